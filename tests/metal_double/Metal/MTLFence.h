// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/MTLTypes.h>

@protocol MTLDevice;

@protocol MTLFence <NSObject>
@property(readonly) id<MTLDevice> device;
@property(copy, atomic) NSString* label;
@end
