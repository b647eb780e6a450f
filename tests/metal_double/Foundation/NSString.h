// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Foundation/NSObject.h>

typedef NSUInteger NSStringEncoding;
enum : NSStringEncoding { NSASCIIStringEncoding = 1, NSUTF8StringEncoding = 4 };

@interface NSString : NSObject <NSCopying>
@property(readonly) NSUInteger length;
@property(readonly) const char* UTF8String __attribute__((objc_returns_inner_pointer));
+ (instancetype)string;
+ (instancetype)stringWithUTF8String:(const char*)nullTerminatedCString;
- (instancetype)initWithUTF8String:(const char*)nullTerminatedCString;
- (instancetype)initWithBytes:(const void*)bytes
                       length:(NSUInteger)len
                     encoding:(NSStringEncoding)encoding;
- (BOOL)isEqualToString:(NSString*)aString;
- (NSUInteger)lengthOfBytesUsingEncoding:(NSStringEncoding)enc;
- (NSString*)stringByAppendingString:(NSString*)aString;
@end

// What the compiler makes of @"...".
@interface NSConstantString : NSString {
  char* bytes;
  unsigned int byteCount;
}
@end
