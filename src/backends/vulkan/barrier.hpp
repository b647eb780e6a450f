// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "backends/vulkan/api.hpp"
#include "ir/command_list.hpp"

namespace segue::vulkan {

/// What the commands on one side of a barrier are, as a set of bits.
enum class StageSet : std::uint8_t {
  kNone = 0,
  kDispatch = 1,  ///< Storage buffers of kernels.
  kIndirect = 2,  ///< Group counts read by the device.
  kTransfer = 4,
  kNative = 8,       ///< Anything: a user's own commands.
  kParameters = 16,  ///< Inline bytes that the device has written.
  kHost = 32,
};
[[nodiscard]] constexpr StageSet operator|(StageSet a, StageSet b) {
  return static_cast<StageSet>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr StageSet& operator|=(StageSet& a, StageSet b) { return a = a | b; }
[[nodiscard]] constexpr bool has(StageSet set, StageSet part) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(part)) != 0;
}

[[nodiscard]] constexpr StageSet stages_of(ir::CommandKind kind) {
  switch (kind) {
    case ir::CommandKind::kDispatch: return StageSet::kDispatch;
    case ir::CommandKind::kDispatchIndirect: return StageSet::kDispatch | StageSet::kIndirect;
    case ir::CommandKind::kFill:
    case ir::CommandKind::kCopy:
    case ir::CommandKind::kUpload: return StageSet::kTransfer;
    case ir::CommandKind::kNative: return StageSet::kNative;
    case ir::CommandKind::kBarrier: return StageSet::kNone;
  }
  return StageSet::kNone;
}

/// A full memory barrier with no more stages and accesses than its two sides have.
[[nodiscard]] constexpr VkMemoryBarrier2 memory_barrier(StageSet before, StageSet after) {
  VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  if (has(before, StageSet::kDispatch | StageSet::kParameters)) {
    barrier.srcStageMask |= VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
    barrier.srcAccessMask |= VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
  }
  if (has(before, StageSet::kIndirect))
    barrier.srcStageMask |=
        VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT;  // read there: no access to wait for
  if (has(before, StageSet::kTransfer)) {
    barrier.srcStageMask |= VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
    barrier.srcAccessMask |= VK_ACCESS_2_TRANSFER_WRITE_BIT;
  }
  if (has(before, StageSet::kNative)) {
    barrier.srcStageMask |= VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    barrier.srcAccessMask |= VK_ACCESS_2_MEMORY_WRITE_BIT;
  }
  if (has(after, StageSet::kDispatch)) {
    barrier.dstStageMask |= VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
    barrier.dstAccessMask |=
        VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
  }
  if (has(after, StageSet::kParameters)) {
    barrier.dstStageMask |= VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
    barrier.dstAccessMask |= VK_ACCESS_2_UNIFORM_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_READ_BIT;
  }
  if (has(after, StageSet::kIndirect)) {
    barrier.dstStageMask |= VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT;
    barrier.dstAccessMask |= VK_ACCESS_2_INDIRECT_COMMAND_READ_BIT;
  }
  if (has(after, StageSet::kTransfer)) {
    barrier.dstStageMask |= VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
    barrier.dstAccessMask |= VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  }
  if (has(after, StageSet::kNative)) {
    barrier.dstStageMask |= VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    barrier.dstAccessMask |= VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  }
  if (has(after, StageSet::kHost)) {
    barrier.dstStageMask |= VK_PIPELINE_STAGE_2_HOST_BIT;
    barrier.dstAccessMask |= VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_HOST_WRITE_BIT;
  }
  return barrier;
}

}  // namespace segue::vulkan
