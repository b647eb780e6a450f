// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "fault/metal_scenario.hpp"
#include "fault/watchdog.hpp"
#include "metal_double/double.hpp"

namespace segue::test {

/// Starts each test on a new machine, and ends it without broken rules or objects that are alive.
class MetalDoubleTest : public testing::Test {
 protected:
  static constexpr std::chrono::seconds kPatience{60};

  void SetUp() override { metal_double::reset(); }
  void TearDown() override {
    metal_double::hold_execution(false);
    expect_clean();
    metal_double::reset();
  }
  /// Starts over on another machine.
  static void use(const Machine& machine) { metal_double::reset(machine.options); }
  static void expect_clean() {
    EXPECT_THAT(metal_double::take_violations(), testing::IsEmpty());
    EXPECT_THAT(metal_double::live_objects(), testing::IsEmpty());
  }
  template <class T>
  static std::string code_of(const Result<T>& result) {
    return result ? std::string("success") : std::string(to_string(result.error().code));
  }
  template <class T>
  static void expect_success(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << result.error().to_string();
  }
};

}  // namespace segue::test
