// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ir/storage.hpp"

namespace segue::runtime {

/// How errors name a buffer: `buffer "weights"`, or `the unlabelled buffer`.
[[nodiscard]] inline std::string describe_buffer(std::string_view label) {
  if (label.empty()) return "the unlabelled buffer";
  return "buffer \"" + std::string(label) + "\"";
}
[[nodiscard]] inline std::string describe(const ir::Storage& storage) {
  return describe_buffer(storage.label);
}

}  // namespace segue::runtime
