// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "segue/open.hpp"

namespace segue {
namespace {

TEST(OpenDevice, HostAndAutoOpenADeviceThatSaysItsName) {  // row J7
  for (const std::string_view spec : {"host", "auto"}) {
    const Result<Device> device = open_device(spec);
    ASSERT_TRUE(device) << device.error().to_string();
    EXPECT_TRUE(spec == "auto" || device->backend() == spec) << device->backend();
    EXPECT_FALSE(device->name().empty());
  }
}

TEST(OpenDevice, BackendsThatAreNotBuiltSayWhatIs) {  // row K4
  for (const std::string_view spec : {"cuda", "metal", "cuda:1"}) {
    const Result<Device> device = open_device(spec);
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(device.error().message.find("host"), std::string::npos) << device.error().message;
  }
}

TEST(OpenDevice, AnUnknownNameIsRefused) {  // row K4
  for (const std::string_view spec : {"hots", "host:1", "vulkan:", "cuda:x", " host"}) {
    const Result<Device> device = open_device(spec);
    ASSERT_FALSE(device) << spec;
    EXPECT_EQ(device.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(device.error().message.find(spec), std::string::npos);
  }
}

TEST(OpenDevice, WithoutANameTheEnvironmentDecides) {  // row J7
  ASSERT_EQ(setenv("SEGUE_DEVICE", "metal", 1), 0);
  const Result<Device> from_environment = open_device();
  const Result<Device> given = open_device("host");
  ASSERT_EQ(unsetenv("SEGUE_DEVICE"), 0);
  ASSERT_FALSE(from_environment);
  EXPECT_EQ(from_environment.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(given);
  EXPECT_TRUE(open_device());
}

TEST(OpenDevice, TheListNamesEveryBackendAndWhyOneIsNotUsable) {  // row H8
  const std::vector<DeviceInfo> devices = list_devices();
  for (const std::string_view backend : {"cuda", "metal", "vulkan", "host"})
    EXPECT_TRUE(std::ranges::find(devices, backend, &DeviceInfo::backend) != devices.end())
        << backend;
  for (const DeviceInfo& device : devices) {
    EXPECT_EQ(device.usable, device.reason.empty());
    EXPECT_EQ(device.usable, !device.name.empty());
    EXPECT_TRUE(device.usable || device.backend != "host");
    EXPECT_FALSE(device.usable && (device.backend == "cuda" || device.backend == "metal"));
    if (!device.usable) continue;
    EXPECT_EQ(open_device(device.spec).value().name(), device.name);
  }
}

}  // namespace
}  // namespace segue
