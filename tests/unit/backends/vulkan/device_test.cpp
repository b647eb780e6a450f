// SPDX-License-Identifier: Apache-2.0
//
// Opening devices: which, and why not.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "backends/vulkan/create_context.hpp"
#include "segue/open.hpp"
#include "segue/vulkan.hpp"
#include "support/vulkan_device.hpp"

namespace segue::vulkan {
namespace {

class VulkanDevices : public testing::Test {
 protected:
  void SetUp() override {
    test::prepare_vulkan_environment();
    const auto all = list_devices();
    if (!all || all->empty()) GTEST_SKIP() << "vulkan is missing.";
    devices_ = *all;
  }
  std::vector<DeviceSummary> devices_;
};

/// An environment variable with another value while it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    if (before != nullptr) before_ = before;
    setenv(name, value, 1);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST_F(VulkanDevices, ThatDoNotQualifySayWhy) {  // row H8
  for (const DeviceSummary& device : devices_) {
    EXPECT_FALSE(device.name.empty());
    EXPECT_FALSE(device.driver.empty());
    EXPECT_EQ(device.usable, device.reason.empty());
  }
}

/// Takes a feature away from every device that the driver reports.
ApiHook without_timeline_semaphores() {
  return [](Api& api) {
    if (api.GetPhysicalDeviceFeatures2 == nullptr) return;
    static PFN_vkGetPhysicalDeviceFeatures2 original = nullptr;
    original = api.GetPhysicalDeviceFeatures2;
    api.GetPhysicalDeviceFeatures2 = [](VkPhysicalDevice device,
                                        VkPhysicalDeviceFeatures2* features) {
      original(device, features);
      for (auto* next = static_cast<VkBaseOutStructure*>(features->pNext); next != nullptr;
           next = next->pNext) {
        if (next->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES) continue;
        reinterpret_cast<VkPhysicalDeviceVulkan12Features*>(next)->timelineSemaphore = VK_FALSE;
      }
    };
  };
}

TEST_F(VulkanDevices, WithoutWhatIsNeededAreRejectedByName) {  // row H8
  const auto context = create_context({}, without_timeline_semaphores());
  ASSERT_FALSE(context.has_value());
  EXPECT_EQ(context.error().code, ErrorCode::kUnsupported);
  for (const DeviceSummary& device : devices_)
    EXPECT_TRUE(context.error().message.contains(device.name));
  EXPECT_TRUE(context.error().message.contains("it has no timeline semaphores"))
      << context.error().message;
}

TEST_F(VulkanDevices, BeyondTheLastAreNotFound) {  // row K4
  VulkanOptions options;
  options.index = 1000;
  const auto device = create_device({}, options);
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(device.error().message.contains("1000")) << device.error().message;
}

TEST_F(VulkanDevices, OfSoftwareCanBeLeftOut) {
  VulkanOptions options;
  options.allow_software = false;
  const auto device = create_device({}, options);
  bool hardware = false;
  for (const DeviceSummary& each : devices_) hardware |= each.usable && !each.software;
  EXPECT_EQ(device.has_value(), hardware);
  if (!device) {
    EXPECT_TRUE(device.error().message.contains("software devices are not allowed"))
        << device.error().message;
  }
}

TEST_F(VulkanDevices, SayWhatTheyHold) {  // row H8
  const Device device = create_device({}, test::validated_options()).value();
  EXPECT_EQ(device.backend(), "vulkan");
  EXPECT_EQ(device.native_handle().type, "VkDevice");
  EXPECT_NE(device.native_handle().object, nullptr);
  EXPECT_GE(device.limits().max_inline_bytes, 4096U);
  EXPECT_GE(device.limits().max_arguments, 16U);
  EXPECT_FALSE(device.clock_name().empty());
  EXPECT_EQ(open_device("vulkan").value().name(), device.name());
}

TEST(VulkanDrivers, ThatAreMissingAreAClearError) {  // row K4
  const ScopedVariable none("VK_ICD_FILENAMES", "/nonexistent/icd.json");
  const ScopedVariable no_files("VK_DRIVER_FILES", "/nonexistent/icd.json");
  VulkanOptions options;
  options.on_message = [](Severity, std::string_view) {};  // the loader complains as well
  const auto device = create_device({}, options);
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(device.error().message.contains("Vulkan driver") ||
              device.error().message.contains("Vulkan loader"))
      << device.error().message;
}

}  // namespace
}  // namespace segue::vulkan
