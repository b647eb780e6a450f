// SPDX-License-Identifier: Apache-2.0
//
// The canary: hazards made on purpose that synchronization validation must report, so that its
// silence in all other tests says something.
#include <gtest/gtest.h>

#include <array>

#include "backends/vulkan/create_context.hpp"
#include "backends/vulkan/vulkan_memory.hpp"
#include "conformance/harness.hpp"
#include "conformance/vulkan_conformance_kernels.hpp"
#include "support/vulkan_device.hpp"

namespace segue::test {
namespace {

class ValidationTest : public testing::Test {
 protected:
  void SetUp() override {
    prepare_vulkan_environment();
    if (!has_validation()) {
      if (is_required("validation")) FAIL() << "This machine has no validation layer.";
      GTEST_SKIP() << "validation is missing: this machine has no such layer.";
    }
    options_.validation = true;
    options_.on_message = messages_.handler();
  }

  ValidationMessages messages_;
  vulkan::VulkanOptions options_;
};

/// How many messages two dispatches bring, of which the second reads what the first wrote. (Writes
/// after writes of kernels are not among what this layer reports.)
std::size_t run_chain(const vulkan::VulkanOptions& options, const ValidationMessages& messages,
                      BarrierMode mode) {
  Device device = vulkan::create_device({}, options).value();
  for (KernelSource& source : vulkan_conformance_kernels())
    EXPECT_TRUE(device.kernels().add(std::move(source)).has_value());
  BufferDesc desc;
  desc.size_bytes = 4096;
  const Buffer x = device.create_buffer(desc).value();
  const Buffer y = device.create_buffer(desc).value();
  EncoderOptions encoder_options;
  encoder_options.barriers = mode;
  CommandEncoder encoder = device.create_encoder(encoder_options).value();
  encoder.dispatch(device.kernels().get("test_add_one").value(), {x.view()}, threads(1024));
  encoder.dispatch(device.kernels().get("test_copy").value(), {x.view(), y.view()}, threads(1024));
  EXPECT_TRUE(encoder.commit_and_wait().has_value());
  return messages.count("SYNC-HAZARD");
}

TEST_F(ValidationTest, ReportsAMissingBarrierBetweenDispatches) {  // row C4
  EXPECT_GE(run_chain(options_, messages_, BarrierMode::kManual), 1U);
}

TEST_F(ValidationTest, IsSilentWhenTheBarrierIsThere) {  // row C4
  EXPECT_EQ(run_chain(options_, messages_, BarrierMode::kAutomatic), 0U);
  EXPECT_TRUE(messages_.all().empty()) << messages_.all().front();
}

TEST_F(ValidationTest, ReportsAMissingBarrierBetweenSubmissions) {  // row C8
  const vulkan::ContextPointer context = vulkan::create_context(options_).value();
  const vulkan::Api& api = context->api;
  const VkDevice device = context->device;
  const auto allocator = vulkan::MemoryAllocator::create(context).value();
  const auto memory = allocator->allocate({.size_bytes = 4096, .label = "canary"}).value();
  const vulkan::BufferRange& range = memory->range();
  VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr, 0,
                                    context->family.index};
  VkCommandPool pool = VK_NULL_HANDLE;
  ASSERT_EQ(api.CreateCommandPool(device, &pool_info, nullptr, &pool), VK_SUCCESS);
  std::array<VkCommandBuffer, 2> commands{};
  const VkCommandBufferAllocateInfo allocation{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                               nullptr, pool, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 2};
  ASSERT_EQ(api.AllocateCommandBuffers(device, &allocation, commands.data()), VK_SUCCESS);
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, nullptr, 0,
                                       nullptr};
  for (std::uint32_t i = 0; i < 2; ++i) {
    ASSERT_EQ(api.BeginCommandBuffer(commands[i], &begin), VK_SUCCESS);
    if (i == 0) {
      api.CmdFillBuffer(commands[i], range.buffer, range.offset, 256, 7);
    } else {
      const VkBufferCopy region{range.offset, range.offset + 1024, 256};
      api.CmdCopyBuffer(commands[i], range.buffer, range.buffer, 1, &region);
    }
    ASSERT_EQ(api.EndCommandBuffer(commands[i]), VK_SUCCESS);
    VkCommandBufferSubmitInfo buffer{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr,
                                     commands[i], 0};
    VkSubmitInfo2 submit{};
    submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    submit.commandBufferInfoCount = 1;
    submit.pCommandBufferInfos = &buffer;
    api.QueueSubmit2(context->queues.front()->handle, 1, &submit, VK_NULL_HANDLE);
  }
  api.QueueWaitIdle(context->queues.front()->handle);
  api.DestroyCommandPool(device, pool, nullptr);
  EXPECT_GE(messages_.count("SYNC-HAZARD"), 1U);
}

}  // namespace
}  // namespace segue::test
