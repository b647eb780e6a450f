// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace segue::test {

/// Whether SEGUE_REQUIRE_DEVICES, a list such as "vulkan,cuda", names `spec`. What it names must be
/// there: a test that would be skipped fails. "validation" is Vulkan's validation layer.
[[nodiscard]] inline bool is_required(std::string_view spec) {
  const char* value = std::getenv("SEGUE_REQUIRE_DEVICES");
  std::string_view rest = value == nullptr ? "" : value;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (rest.substr(0, comma) == spec) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

}  // namespace segue::test
