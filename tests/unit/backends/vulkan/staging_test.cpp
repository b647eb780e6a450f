// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/staging.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <thread>

#include "context_fixture.hpp"
#include "support/test_seed.hpp"

namespace segue::vulkan {
namespace {

using test::VulkanFaults;

constexpr StagingOptions kTinyChunks{.write_chunk_bytes = 96, .read_chunk_bytes = 40};

/// A ring on a device whose own memory the host does not see. What arrives there is looked at
/// through the one type of memory that there really is: a copy by a command buffer of the test's
/// own.
class StagingTest : public DiscreteFixture {
 protected:
  void SetUp() override {
    DiscreteFixture::SetUp();
    if (context_ == nullptr) return;
    ring_ = make_ring(kTinyChunks);
    memory_ = allocate(kSize);
    mirror_ = allocate(kSize, MemoryUse::kReadback);
    std::memset(mirror_->host, 0, kSize);
    copy(mirror_->range(), memory_->range());
  }

  std::unique_ptr<StagingRing> make_ring(const StagingOptions& options) {
    return std::make_unique<StagingRing>(context_, allocator_, *context_->queues.front(), options);
  }

  /// All bytes of the memory, by way of the mirror.
  std::vector<std::byte> content() {
    copy(memory_->range(), mirror_->range());
    return {mirror_->host, mirror_->host + kSize};
  }

  void copy(const BufferRange& from, const BufferRange& to) {
    const Api& api = context_->api;
    VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool_info.queueFamilyIndex = context_->family.index;
    VkCommandPool pool = VK_NULL_HANDLE;
    ASSERT_EQ(api.CreateCommandPool(context_->device, &pool_info, nullptr, &pool), VK_SUCCESS);
    VkCommandBufferAllocateInfo buffer_info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    buffer_info.commandPool = pool;
    buffer_info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    ASSERT_EQ(api.AllocateCommandBuffers(context_->device, &buffer_info, &commands), VK_SUCCESS);
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    ASSERT_EQ(api.BeginCommandBuffer(commands, &begin), VK_SUCCESS);
    barrier(commands);
    const VkBufferCopy region{from.offset, to.offset, kSize};
    api.CmdCopyBuffer(commands, from.buffer, to.buffer, 1, &region);
    barrier(commands);
    ASSERT_EQ(api.EndCommandBuffer(commands), VK_SUCCESS);
    VkCommandBufferSubmitInfo submitted{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO};
    submitted.commandBuffer = commands;
    VkSubmitInfo2 submit{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
    submit.commandBufferInfoCount = 1;
    submit.pCommandBufferInfos = &submitted;
    const VkQueue queue = context_->queues.front()->handle;
    ASSERT_EQ(api.QueueSubmit2(queue, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
    ASSERT_EQ(api.QueueWaitIdle(queue), VK_SUCCESS);
    api.DestroyCommandPool(context_->device, pool, nullptr);
  }

  void barrier(VkCommandBuffer commands) {
    VkMemoryBarrier2 all{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
    all.srcStageMask = all.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    all.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT;
    all.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
    VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
    info.memoryBarrierCount = 1;
    info.pMemoryBarriers = &all;
    context_->api.CmdPipelineBarrier2(commands, &info);
  }

  void forget_device() {
    ring_.reset();
    memory_.reset();
    mirror_.reset();
    allocator_.reset();
    context_.reset();
  }

  static constexpr std::size_t kSize = 1500;
  std::unique_ptr<StagingRing> ring_;
  std::unique_ptr<VulkanMemory> memory_;
  std::unique_ptr<VulkanMemory> mirror_;
};

TEST_F(StagingTest, MovesAnyBytesToAnyPlaceAndTouchesNoOthers) {  // row H6, H7
  std::mt19937_64 random(test::test_seed());
  std::vector<std::byte> expected(kSize);
  for (int step = 0; step < 150; ++step) {
    const std::size_t offset = random() % kSize;
    const std::size_t most = random() % 2 == 0 ? 12 : 700;
    const std::size_t size = std::min<std::size_t>(random() % most, kSize - offset);
    const auto place = expected.begin() + static_cast<std::ptrdiff_t>(offset);
    switch (random() % 3) {
      case 0: {
        const std::vector<std::byte> sent = random_bytes(random, size);
        ASSERT_TRUE(ring_->write(memory_->range(), offset, sent).has_value());
        std::ranges::copy(sent, place);
        break;
      }
      case 1: {
        const auto value = static_cast<std::byte>(random());
        ASSERT_TRUE(ring_->fill(memory_->range(), offset, size, value).has_value());
        std::fill_n(place, size, value);
        break;
      }
      default: {
        std::vector<std::byte> received(size);
        ASSERT_TRUE(ring_->read(memory_->range(), offset, received).has_value());
        ASSERT_TRUE(std::equal(received.begin(), received.end(), place)) << "step " << step;
      }
    }
    ASSERT_EQ(content(), expected) << "step " << step << ", " << size << " bytes at " << offset;
  }
}

TEST_F(StagingTest, MakesNothingBeforeItIsUsedAndNoMoreThanItsChunks) {  // row H6
  VulkanFaults::arm(0);
  const auto ring = make_ring(kTinyChunks);
  EXPECT_EQ(VulkanFaults::disarm(), 0u);
  std::vector<std::byte> bytes(kSize, std::byte{1});
  ASSERT_TRUE(ring->write(memory_->range(), 0, bytes).has_value());
  ASSERT_TRUE(ring->read(memory_->range(), 0, bytes).has_value());
  // Whoever asks for an object again is refused.
  for (const char* const call : {"vkAllocateMemory", "vkCreateBuffer", "vkAllocateCommandBuffers",
                                 "vkCreateCommandPool", "vkCreateSemaphore"}) {
    VulkanFaults::arm_every(call);
    EXPECT_TRUE(ring->write(memory_->range(), 0, bytes).has_value()) << call;
    EXPECT_TRUE(ring->read(memory_->range(), 0, bytes).has_value()) << call;
    EXPECT_TRUE(ring->fill(memory_->range(), 0, kSize, std::byte{2}).has_value()) << call;
    EXPECT_EQ(VulkanFaults::failed_call(), "");
    VulkanFaults::disarm();
  }
}

TEST_F(StagingTest, MovesManyMegabytesThroughItsOrdinaryChunks) {  // row H6
  const auto ring = make_ring({});
  const std::size_t size = (std::size_t{30} << 20) + 5;
  const auto large = allocate(size + 100);
  std::vector<std::byte> sent(size);
  for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  const std::size_t before = allocator_->block_count();
  ASSERT_TRUE(ring->write(large->range(), 50, sent).has_value());
  std::vector<std::byte> received(size);
  ASSERT_TRUE(ring->read(large->range(), 50, received).has_value());
  EXPECT_TRUE(received == sent);
  EXPECT_LE(allocator_->block_count(), before + 2) << "a block for each of two types of memory";
}

TEST_F(StagingTest, ThreadsTakeTurns) {  // row K3
  std::vector<std::jthread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      std::mt19937_64 random(thread);
      for (int i = 0; i < 20; ++i) {
        const std::vector<std::byte> sent = random_bytes(random, 300);
        std::vector<std::byte> received(300);
        ASSERT_TRUE(ring_->write(memory_->range(), thread * 300, sent).has_value());
        ASSERT_TRUE(ring_->read(memory_->range(), thread * 300, received).has_value());
        ASSERT_EQ(received, sent);
      }
    });
  }
}

/// One of the ring's operations, large enough for several chunks.
struct Operation {
  const char* name;
  std::function<Result<>(StagingRing& ring, const BufferRange& range)> run;
};

std::vector<Operation> operations() {
  return {
      {"write",
       [](StagingRing& ring, const BufferRange& range) {
         return ring.write(range, 3, std::vector<std::byte>(400, std::byte{7}));
       }},
      {"read",
       [](StagingRing& ring, const BufferRange& range) {
         std::vector<std::byte> bytes(400);
         return ring.read(range, 3, bytes);
       }},
      {"fill", [](StagingRing& ring,
                  const BufferRange& range) { return ring.fill(range, 3, 400, std::byte{7}); }},
  };
}

TEST_F(StagingTest, EveryFailedCallIsAnErrorAfterWhichTheRingWorks) {  // row G4
  for (const Operation& operation : operations()) {
    for (const bool used_before : {false, true}) {
      for (std::uint64_t nth = 1;; ++nth) {
        const auto ring = make_ring(kTinyChunks);
        if (used_before) {
          for (const Operation& each : operations())
            ASSERT_TRUE(each.run(*ring, memory_->range()).has_value());
        }
        VulkanFaults::arm(nth, VK_ERROR_OUT_OF_HOST_MEMORY);
        const Result<> failed = operation.run(*ring, memory_->range());
        const std::uint64_t calls = VulkanFaults::disarm();
        if (calls < nth) {
          EXPECT_TRUE(failed.has_value());
          EXPECT_GE(nth, used_before ? 5u : 8u) << operation.name;
          break;
        }
        SCOPED_TRACE(std::string(operation.name) + ", " + VulkanFaults::failed_call());
        if (VulkanFaults::failed_call() == "vkSetDebugUtilsObjectNameEXT") {
          EXPECT_TRUE(failed.has_value()) << "names are for people";
          continue;
        }
        ASSERT_FALSE(failed.has_value());
        EXPECT_EQ(failed.error().code, ErrorCode::kOutOfMemory);
        const std::vector<std::byte> sent(400, std::byte{9});
        std::vector<std::byte> received(400);
        ASSERT_TRUE(ring->write(memory_->range(), 5, sent).has_value());
        ASSERT_TRUE(ring->read(memory_->range(), 5, received).has_value());
        EXPECT_EQ(received, sent);
      }
    }
  }
}

TEST_F(StagingTest, ALostDeviceFailsEveryCallAndHangsNone) {  // row G4
  for (const Operation& operation : operations()) {
    for (std::uint64_t nth = 1;; ++nth) {
      SetUp();  // a device is lost for good
      for (const Operation& each : operations())
        ASSERT_TRUE(each.run(*ring_, memory_->range()).has_value());
      VulkanFaults::arm(nth, VK_ERROR_DEVICE_LOST);
      const Result<> failed = operation.run(*ring_, memory_->range());
      const std::uint64_t calls = VulkanFaults::disarm();
      if (calls < nth) {
        EXPECT_TRUE(failed.has_value());
        break;
      }
      SCOPED_TRACE(std::string(operation.name) + ", " + VulkanFaults::failed_call());
      ASSERT_FALSE(failed.has_value());
      EXPECT_EQ(failed.error().code, ErrorCode::kDeviceLost);
      for (const Operation& each : operations())
        EXPECT_EQ(each.run(*ring_, memory_->range()).error().code, ErrorCode::kDeviceLost);
      forget_device();
    }
    forget_device();
  }
}

}  // namespace
}  // namespace segue::vulkan
