// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/MTLTypes.h>

@protocol MTLDevice;

@protocol MTLEvent <NSObject>
@property(readonly) id<MTLDevice> device;
@property(copy, atomic) NSString* label;
@end

@interface MTLSharedEventHandle : NSObject
@property(readonly) NSString* label;
@end

@protocol MTLSharedEvent <MTLEvent>
- (BOOL)waitUntilSignaledValue:(uint64_t)value timeoutMS:(uint64_t)milliseconds;
- (MTLSharedEventHandle*)newSharedEventHandle;
@property(readwrite) uint64_t signaledValue;
@end
