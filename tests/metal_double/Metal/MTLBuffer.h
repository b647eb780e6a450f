// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/MTLResource.h>

@protocol MTLBuffer <MTLResource>
@property(readonly) NSUInteger length;
- (void*)contents __attribute__((objc_returns_inner_pointer));
@property(readonly) MTLGPUAddress gpuAddress;
@end
