// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "graph/fusion_replacement.hpp"
#include "ir/command_list.hpp"
#include "ir/list_copier.hpp"

namespace segue::graph {

/// Writes a list anew, with fused dispatches in place of others.
class FusedList {
 public:
  /// Starts empty but for the slots of `from`.
  explicit FusedList(const ir::CommandList& from);

  /// Appends a command of the old list as it was.
  void copy(std::uint32_t command) { copier_.append(command); }
  /// Appends a fused dispatch.
  void append(const Replacement& replacement);
  [[nodiscard]] ir::CommandList take() { return std::move(to_); }

 private:
  void take_argument(const ir::Argument& argument, const Parameter& parameter);

  const ir::CommandList& from_;
  ir::CommandList to_;
  ir::ListCopier copier_;
};

}  // namespace segue::graph
