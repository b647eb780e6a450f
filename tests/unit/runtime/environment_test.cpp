// SPDX-License-Identifier: Apache-2.0
#include "runtime/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/device_core.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using runtime::resolve_options;
using runtime::ResolvedOptions;

/// Starts without any of the variables and puts the caller's back.
class EnvironmentTest : public testing::Test {
 protected:
  EnvironmentTest() {
    for (const char* name :
         {"SEGUE_DEVICE", "SEGUE_AUTO_BARRIER", "SEGUE_PROFILE_BARRIERS", "SEGUE_PROFILE",
          "SEGUE_UNRETAINED_REFS", "SEGUE_NO_RESIDENCY", "SEGUE_LOG", "XDG_CACHE_HOME", "HOME"}) {
      if (const char* value = std::getenv(name)) saved_.emplace_back(name, value);
      names_.emplace_back(name);
      unsetenv(name);
    }
  }
  ~EnvironmentTest() override {
    for (const std::string& name : names_) unsetenv(name.c_str());
    for (const auto& [name, value] : saved_) set(name, value);
  }
  static void set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
  }

  static std::string message(const Result<ResolvedOptions>& resolved) {
    if (resolved) return {};
    EXPECT_EQ(resolved.error().code, ErrorCode::kInvalidArgument);
    return resolved.error().message;
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::pair<std::string, std::string>> saved_;
};

TEST_F(EnvironmentTest, DefaultsHoldWhereNothingIsSet) {  // row J7
  const ResolvedOptions options = resolve_options({}).value();
  EXPECT_TRUE(options.automatic_barriers);
  EXPECT_FALSE(options.profile);
  EXPECT_FALSE(options.profile_barriers);
  EXPECT_FALSE(options.unretained);
  EXPECT_FALSE(options.no_residency);
  EXPECT_EQ(options.log_level, "warn");
  EXPECT_EQ(options.queue_count, 1u);
}

struct Flag {
  const char* variable;
  std::optional<bool> DeviceOptions::* given;
  bool ResolvedOptions::* resolved;
};
constexpr Flag kFlags[] = {
    {"SEGUE_AUTO_BARRIER", &DeviceOptions::automatic_barriers,
     &ResolvedOptions::automatic_barriers},
    {"SEGUE_PROFILE", &DeviceOptions::profile, &ResolvedOptions::profile},
    {"SEGUE_PROFILE_BARRIERS", &DeviceOptions::profile_barriers,
     &ResolvedOptions::profile_barriers},
    {"SEGUE_UNRETAINED_REFS", &DeviceOptions::unretained, &ResolvedOptions::unretained},
    {"SEGUE_NO_RESIDENCY", &DeviceOptions::no_residency, &ResolvedOptions::no_residency},
};

TEST_F(EnvironmentTest, EachVariableSetsItsDefault) {  // row J7, C6
  for (const Flag& flag : kFlags) {
    set(flag.variable, "0");
    EXPECT_FALSE(resolve_options({}).value().*flag.resolved) << flag.variable;
    set(flag.variable, "1");
    EXPECT_TRUE(resolve_options({}).value().*flag.resolved) << flag.variable;
    set(flag.variable, "");
    EXPECT_EQ(resolve_options({}).value().*flag.resolved, ResolvedOptions{}.*flag.resolved)
        << flag.variable;
  }
  set("SEGUE_LOG", "debug");
  EXPECT_EQ(resolve_options({}).value().log_level, "debug");
}

TEST_F(EnvironmentTest, OptionsInCodeWin) {  // row J7
  for (const Flag& flag : kFlags) {
    DeviceOptions options;
    options.*flag.given = true;
    set(flag.variable, "0");
    EXPECT_TRUE(resolve_options(options).value().*flag.resolved) << flag.variable;
    options.*flag.given = false;
    set(flag.variable, "1");
    EXPECT_FALSE(resolve_options(options).value().*flag.resolved) << flag.variable;
    set(flag.variable, "nonsense");
    EXPECT_FALSE(resolve_options(options).value().*flag.resolved) << flag.variable;
    unsetenv(flag.variable);
  }
  DeviceOptions options;
  options.log_level = "off";
  set("SEGUE_LOG", "trace");
  EXPECT_EQ(resolve_options(options).value().log_level, "off");
}

TEST_F(EnvironmentTest, BadValuesNameVariableValueAndWhatIsAllowed) {  // row J7, K4
  for (const Flag& flag : kFlags) {
    set(flag.variable, "yes");
    EXPECT_EQ(message(resolve_options({})), std::string("Environment variable ") + flag.variable +
                                                " is \"yes\"; the values allowed are 0 and 1.");
    unsetenv(flag.variable);
  }
  set("SEGUE_LOG", "loud");
  EXPECT_EQ(message(resolve_options({})),
            "Environment variable SEGUE_LOG is \"loud\"; the levels allowed are trace, debug, "
            "info, warn, error and "
            "off.");
  DeviceOptions options;
  options.log_level = "quiet";
  EXPECT_EQ(message(resolve_options(options)),
            "DeviceOptions::log_level is \"quiet\"; the levels allowed are trace, debug, info, "
            "warn, error and off.");
  options = {};
  options.queue_count = 0;
  unsetenv("SEGUE_LOG");
  EXPECT_EQ(message(resolve_options(options)),
            "DeviceOptions::queue_count is 0; a device has at least 1 queue.");
}

TEST_F(EnvironmentTest, ABadValueKeepsTheDeviceFromOpening) {  // row J7
  set("SEGUE_PROFILE", "2");
  const auto device = test::open_fake(std::make_shared<test::FakeDevice>());
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(EnvironmentTest, IsReadOnceWhenTheDeviceIsMade) {  // row J7
  set("SEGUE_NO_RESIDENCY", "1");
  auto hal = std::make_shared<test::FakeDevice>();
  hal->test_features.residency_sets = true;
  const Device device = test::open_fake(hal).value();
  unsetenv("SEGUE_NO_RESIDENCY");
  EXPECT_FALSE(device.residency().enabled());
  EXPECT_TRUE(test::open_fake(hal).value().residency().enabled());
}

TEST_F(EnvironmentTest, SwitchingBarriersOffLogsAWarning) {  // row C6, J7
  set("SEGUE_AUTO_BARRIER", "0");
  testing::internal::CaptureStderr();
  EXPECT_TRUE(test::open_fake(std::make_shared<test::FakeDevice>()).has_value());
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("Automatic barriers are off"));

  set("SEGUE_LOG", "error");
  testing::internal::CaptureStderr();
  EXPECT_TRUE(test::open_fake(std::make_shared<test::FakeDevice>()).has_value());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(EnvironmentTest, NamesTheDevice) {  // row J7
  EXPECT_EQ(runtime::device_spec_from_environment().value(), "auto");
  for (const char* spec : {"auto", "host", "metal", "vulkan", "vulkan:0", "cuda", "cuda:12"}) {
    set("SEGUE_DEVICE", spec);
    EXPECT_EQ(runtime::device_spec_from_environment().value(), spec);
  }
  for (const char* spec :
       {"gpu", "vulkan:", "vulkan:x", "vulkan:-1", "vulkan0", "host:0", "cuda:99999", "Host"}) {
    set("SEGUE_DEVICE", spec);
    const auto refused = runtime::device_spec_from_environment();
    ASSERT_FALSE(refused.has_value()) << spec;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused.error().message,
              "Environment variable SEGUE_DEVICE is \"" + std::string(spec) +
                  "\"; the devices allowed are host, vulkan[:n], cuda[:n], metal and auto.");
  }
}

TEST_F(EnvironmentTest, SaysWhereCachesGo) {  // row J7
  EXPECT_EQ(runtime::user_cache_directory(), "");
  set("HOME", "relative");
  EXPECT_EQ(runtime::user_cache_directory(), "");
  set("HOME", "/home/somebody");
  EXPECT_EQ(runtime::user_cache_directory(), "/home/somebody/.cache/segue");
  set("XDG_CACHE_HOME", "relative");
  EXPECT_EQ(runtime::user_cache_directory(), "/home/somebody/.cache/segue");
  set("XDG_CACHE_HOME", "/cache");
  EXPECT_EQ(runtime::user_cache_directory(), "/cache/segue");
}

TEST(Environment, IsReadInOnePlace) {  // row J7
  const std::filesystem::path root = SEGUE_SOURCE_DIR;
  std::vector<std::string> readers;
  for (const char* folder : {"src", "include"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path());
      const std::string text((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());
      if (text.find("getenv") != std::string::npos) {
        readers.push_back(std::filesystem::relative(entry.path(), root).generic_string());
      }
    }
  }
  EXPECT_THAT(readers, testing::ElementsAre("src/runtime/environment.cpp"));
}

}  // namespace
}  // namespace segue
