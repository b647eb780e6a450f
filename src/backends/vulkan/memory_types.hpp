// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <vector>

#include "backends/vulkan/vulkan_memory.hpp"

namespace segue::vulkan {

/// The memory types that serve a use, the best first; to be tried in this order while the driver
/// says that it has no more of one. Memory that kernels work on (kDevice, kDeviceOnly) is always
/// local to the device: what does not fit is an error, not a model that runs at the speed of the
/// bus. What is mapped is always coherent. Pure.
///
/// @param type_bits  The types that may back the buffer, as vkGetBufferMemoryRequirements says.
[[nodiscard]] std::vector<std::uint32_t> ranked_types(
    const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t type_bits, MemoryUse use);

/// Whether the host sees memory of a type and needs no flush to do so.
[[nodiscard]] bool is_host_coherent(const VkPhysicalDeviceMemoryProperties& memory,
                                    std::uint32_t type);
/// Whether what the host reads of it comes through its cache.
[[nodiscard]] bool is_host_cached(const VkPhysicalDeviceMemoryProperties& memory,
                                  std::uint32_t type);

}  // namespace segue::vulkan
