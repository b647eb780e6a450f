// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Foundation/NSEnumerator.h>
#import <Foundation/NSObject.h>

@interface NSArray<__covariant ObjectType> : NSObject <NSCopying, NSFastEnumeration>
@property(readonly) NSUInteger count;
- (ObjectType)objectAtIndex:(NSUInteger)index;
- (ObjectType)objectAtIndexedSubscript:(NSUInteger)idx;
@property(readonly) ObjectType firstObject;
- (BOOL)containsObject:(ObjectType)anObject;
+ (instancetype)array;
+ (instancetype)arrayWithObject:(ObjectType)anObject;
+ (instancetype)arrayWithObjects:(const ObjectType[])objects count:(NSUInteger)cnt;
- (instancetype)initWithObjects:(const ObjectType[])objects count:(NSUInteger)cnt;
@end
