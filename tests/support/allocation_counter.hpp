// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace segue::test {

/// Calls of operator new in this program so far, all threads together. A test that uses it names
/// support/allocation_counter.cpp among its sources, which replaces the global operator new.
[[nodiscard]] std::uint64_t allocation_count();

/// False under ThreadSanitizer, whose runtime brings its own operator new.
[[nodiscard]] bool counts_allocations();

}  // namespace segue::test

/// Skips a test that is about allocations where they cannot be counted.
#define SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT() \
  if (!::segue::test::counts_allocations())   \
  GTEST_SKIP() << "ThreadSanitizer brings its own operator new, so allocations are not counted."
