// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "backends/vulkan/context.hpp"
#include "segue/vulkan.hpp"

namespace segue::vulkan {

/// Tests change entry points here, each time a level of them was loaded.
using ApiHook = std::function<void(Api&)>;

/// Opens the instance and the device that `options` ask for.
///
/// @error  Those of vulkan::create_device().
[[nodiscard]] Result<ContextPointer> create_context(const VulkanOptions& options,
                                                    const ApiHook& hook = {});

/// What this machine has, best first.
[[nodiscard]] Result<std::vector<DeviceSummary>> summarise_devices();

}  // namespace segue::vulkan
