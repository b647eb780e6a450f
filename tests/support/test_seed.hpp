// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace segue::test {

/// The seed of a random test: SEGUE_TEST_SEED if set, otherwise a new one. Printed, so that a
/// failure can be repeated.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("SEGUE_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  std::printf("SEGUE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace segue::test
