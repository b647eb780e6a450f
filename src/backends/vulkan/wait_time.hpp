// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "backends/vulkan/context.hpp"

namespace segue::vulkan {

/// What is left until `deadline`, in nanoseconds as Vulkan counts them; without one, for ever.
[[nodiscard]] inline std::uint64_t remaining_ns(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (!deadline) return UINT64_MAX;
  const std::chrono::nanoseconds left = *deadline - std::chrono::steady_clock::now();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0));
}

/// Whether a timeline semaphore reaches `value` before `deadline`.
[[nodiscard]] inline Result<bool> wait_semaphore(
    const Context& context, VkSemaphore semaphore, std::uint64_t value,
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore;
  info.pValues = &value;
  const VkResult result = context.api.WaitSemaphores(context.device, &info, remaining_ns(deadline));
  if (result == VK_TIMEOUT) return false;
  SEGUE_TRY(context.check("vkWaitSemaphores", result));
  return true;
}

}  // namespace segue::vulkan
