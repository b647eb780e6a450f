// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "backends/vulkan/create_context.hpp"
#include "hal/hal.hpp"
#include "segue/vulkan.hpp"

namespace segue::vulkan {

/// @param queue_count  How many queues will be made: whether they have to share the driver's.
/// @error  Those of vulkan::create_device().
[[nodiscard]] Result<std::shared_ptr<hal::Device>> create_hal_device(const VulkanOptions& options,
                                                                     unsigned queue_count,
                                                                     const ApiHook& hook = {});

}  // namespace segue::vulkan
