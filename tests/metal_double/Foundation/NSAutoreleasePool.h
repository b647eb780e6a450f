// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Foundation/NSObject.h>

@interface NSAutoreleasePool : NSObject
+ (void)addObject:(id)anObject;
- (void)addObject:(id)anObject;
- (void)drain;
@end
