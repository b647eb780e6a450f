// SPDX-License-Identifier: Apache-2.0
//
// Barriers carry no more stages and accesses than their two sides have.
#include "backends/vulkan/barrier.hpp"

#include <gtest/gtest.h>

namespace segue::vulkan {
namespace {

constexpr VkAccessFlags2 kStorage =
    VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
constexpr VkAccessFlags2 kTransfers =
    VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;

TEST(VulkanBarrier, BetweenDispatchesIsComputeOnly) {  // row C4
  const VkMemoryBarrier2 barrier = memory_barrier(StageSet::kDispatch, StageSet::kDispatch);
  EXPECT_EQ(barrier.srcStageMask, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT);
  EXPECT_EQ(barrier.dstStageMask, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT);
  EXPECT_EQ(barrier.srcAccessMask, VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT);
  EXPECT_EQ(barrier.dstAccessMask, kStorage);
}

TEST(VulkanBarrier, NamesTransfersWhereTheyAre) {  // row C4
  const VkMemoryBarrier2 to = memory_barrier(StageSet::kDispatch, StageSet::kTransfer);
  EXPECT_EQ(to.srcStageMask, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT);
  EXPECT_EQ(to.dstStageMask, VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT);
  EXPECT_EQ(to.dstAccessMask, kTransfers);
  const VkMemoryBarrier2 from = memory_barrier(StageSet::kTransfer, StageSet::kDispatch);
  EXPECT_EQ(from.srcStageMask, VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT);
  EXPECT_EQ(from.srcAccessMask, VK_ACCESS_2_TRANSFER_WRITE_BIT);
  EXPECT_EQ(from.dstAccessMask, kStorage);
}

TEST(VulkanBarrier, ReachesGroupCountsReadByTheDevice) {  // rows B6, C4
  const VkMemoryBarrier2 barrier =
      memory_barrier(StageSet::kDispatch, stages_of(ir::CommandKind::kDispatchIndirect));
  EXPECT_EQ(barrier.dstStageMask,
            VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT);
  EXPECT_EQ(barrier.dstAccessMask, kStorage | VK_ACCESS_2_INDIRECT_COMMAND_READ_BIT);
}

TEST(VulkanBarrier, OfNativeCallbacksIsForEverything) {  // row G9
  const VkMemoryBarrier2 barrier = memory_barrier(StageSet::kNative, StageSet::kNative);
  EXPECT_EQ(barrier.srcStageMask, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT);
  EXPECT_EQ(barrier.dstAccessMask, VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT);
}

TEST(VulkanBarrier, OfSeveralKindsIsTheirUnion) {  // row C4
  const StageSet both = StageSet::kDispatch | StageSet::kTransfer;
  const VkMemoryBarrier2 barrier = memory_barrier(both, both);
  EXPECT_EQ(barrier.srcStageMask,
            VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT);
  EXPECT_EQ(barrier.dstAccessMask, kStorage | kTransfers);
}

}  // namespace
}  // namespace segue::vulkan
