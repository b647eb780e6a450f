// SPDX-License-Identifier: Apache-2.0
//
// What native tools get to see: labels of commands and submissions, names of objects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "backends/vulkan/vulkan_device.hpp"
#include "conformance/vulkan_conformance_kernels.hpp"
#include "runtime/device_state.hpp"
#include "segue/encoder.hpp"
#include "support/vulkan_device.hpp"

namespace segue::vulkan {
namespace {

using testing::Contains;
using testing::ElementsAre;

/// What the driver was told last, in order. One device at a time.
struct Told {
  std::vector<std::string> commands, submissions, names;
};
Told told;

ApiHook listen() {
  return [](Api& api) {
    if (api.CmdBeginDebugUtilsLabelEXT == nullptr) return;
    static PFN_vkCmdBeginDebugUtilsLabelEXT begin = nullptr;
    static PFN_vkQueueBeginDebugUtilsLabelEXT queue_begin = nullptr;
    static PFN_vkSetDebugUtilsObjectNameEXT set_name = nullptr;
    begin = api.CmdBeginDebugUtilsLabelEXT;
    queue_begin = api.QueueBeginDebugUtilsLabelEXT;
    set_name = api.SetDebugUtilsObjectNameEXT;
    api.CmdBeginDebugUtilsLabelEXT = [](VkCommandBuffer commands,
                                        const VkDebugUtilsLabelEXT* label) {
      told.commands.emplace_back(label->pLabelName);
      begin(commands, label);
    };
    api.QueueBeginDebugUtilsLabelEXT = [](VkQueue queue, const VkDebugUtilsLabelEXT* label) {
      told.submissions.emplace_back(label->pLabelName);
      queue_begin(queue, label);
    };
    api.SetDebugUtilsObjectNameEXT = [](VkDevice device,
                                        const VkDebugUtilsObjectNameInfoEXT* info) {
      told.names.emplace_back(info->pObjectName);
      return set_name(device, info);
    };
  };
}

TEST(VulkanLabels, ReachNativeTools) {  // row G8
  told = {};
  auto hal = create_hal_device(test::validated_options(), 1, listen());
  if (!hal) GTEST_SKIP() << "vulkan is missing: " << hal.error().to_string();
  const Device device(runtime::DeviceState::create(*hal, {}).value());
  hal->reset();
  for (KernelSource& source : test::vulkan_conformance_kernels())
    ASSERT_TRUE(device.kernels().add(std::move(source)).has_value());
  BufferDesc desc;
  desc.size_bytes = 256;
  const Buffer x = device.create_buffer(desc).value();
  const Kernel add_one = device.kernels().get("test_add_one").value();
  CommandEncoder encoder = device.create_encoder().value();
  {
    const LabelScope scope(encoder, "layer 3");
    encoder.dispatch(add_one, {x.view()}, threads(64), {.label = "first"});
  }
  encoder.dispatch(add_one, {x.view()}, threads(64));
  ASSERT_TRUE(encoder.commit_and_wait("a token").has_value());
  EXPECT_THAT(told.commands, ElementsAre("layer 3/first"));
  EXPECT_THAT(told.submissions, Contains("a token"));
  EXPECT_THAT(told.names, Contains("test_add_one"));
}

}  // namespace
}  // namespace segue::vulkan
