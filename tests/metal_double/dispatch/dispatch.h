// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Foundation/NSObject.h>

@protocol OS_dispatch_queue <NSObject>
@end
@protocol OS_dispatch_data <NSObject>
@end

typedef NSObject<OS_dispatch_queue>* dispatch_queue_t;
typedef NSObject<OS_dispatch_data>* dispatch_data_t;
typedef void (^dispatch_block_t)(void);

// With this destructor the bytes are copied.
#define DISPATCH_DATA_DESTRUCTOR_DEFAULT nullptr

extern "C" {
NS_RETURNS_RETAINED dispatch_data_t dispatch_data_create(const void* buffer, size_t size,
                                                         dispatch_queue_t queue,
                                                         dispatch_block_t destructor);
}

#define dispatch_release(object) [(object) release]
