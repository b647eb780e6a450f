// SPDX-License-Identifier: Apache-2.0
//
// Which devices the conformance cases run on.
#include <cstdlib>
#include <string>

#include "conformance/harness.hpp"
#include "segue/open.hpp"

namespace segue::test {
namespace {

class DevicesTest : public testing::TestWithParam<std::string> {};

TEST_P(DevicesTest, IsThereOrSkippedByName) {  // row H8
  const Result<Device> device = open_device(GetParam());
  if (!device) {
    if (is_required(GetParam())) FAIL() << device.error().to_string();
    GTEST_SKIP() << GetParam() << " is missing: " << device.error().to_string();
  }
  bool covered = false;
  for (const ConformanceDevice& each : conformance_devices()) covered |= each.spec == GetParam();
  EXPECT_TRUE(covered) << GetParam() << " has no conformance kernels.";
}

INSTANTIATE_TEST_SUITE_P(All, DevicesTest, testing::Values("host", "vulkan", "cuda", "metal"),
                         [](const auto& instance) { return instance.param; });

TEST(RequiredDevices, AreAListOfWholeNames) {  // row H8
  const char* before = std::getenv("SEGUE_REQUIRE_DEVICES");
  const std::string saved = before == nullptr ? "" : before;
  setenv("SEGUE_REQUIRE_DEVICES", "vulkan,cuda", 1);
  EXPECT_TRUE(is_required("vulkan"));
  EXPECT_TRUE(is_required("cuda"));
  EXPECT_FALSE(is_required("host"));
  EXPECT_FALSE(is_required("cud"));
  EXPECT_FALSE(is_required(""));
  unsetenv("SEGUE_REQUIRE_DEVICES");
  EXPECT_FALSE(is_required("vulkan"));
  if (before != nullptr) setenv("SEGUE_REQUIRE_DEVICES", saved.c_str(), 1);
}

}  // namespace
}  // namespace segue::test
