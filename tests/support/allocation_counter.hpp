// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace segue::test {

/// Calls of operator new in this program so far, all threads together. A test that uses it names
/// support/allocation_counter.cpp among its sources, which replaces the global operator new.
[[nodiscard]] std::uint64_t allocation_count();

}  // namespace segue::test
