// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/dependencies.hpp"

namespace segue::graph {

/// The graph of dependencies with some sets of commands drawn together into one vertex each.
/// Acyclic as long as every set was asked about before it was contracted.
class Contraction {
 public:
  explicit Contraction(const Dependencies& dependencies);

  [[nodiscard]] bool contracted(std::uint32_t command) const {
    return group_of_[command] != kNoGroup;
  }
  /// The set of a contracted command, counted as they were contracted.
  [[nodiscard]] std::uint32_t group(std::uint32_t command) const { return group_of_[command]; }

  /// A command outside `members` that must run after one of them and before another; kNoCommand if
  /// none, so that they can be contracted.
  [[nodiscard]] std::uint32_t outsider_between(std::span<const std::uint32_t> members);

  /// @pre `members` ascend, none is contracted, and outsider_between() finds none.
  void contract(std::span<const std::uint32_t> members);

  /// All commands in an order that the graph allows, hand-placed barriers at their places, and of
  /// each contracted set the first only. Of several that could come next, the first recorded does.
  [[nodiscard]] std::vector<std::uint32_t> order(const ir::CommandList& list) const;

 private:
  static constexpr std::uint32_t kNoGroup = UINT32_MAX;

  /// The commands that stand for the same vertex as `command`.
  [[nodiscard]] std::span<const std::uint32_t> vertex(std::uint32_t command) const {
    if (!contracted(command)) return {&identity_[command], 1};
    return groups_[group_of_[command]];
  }
  void visit_vertex(std::uint32_t command);

  const Dependencies& dependencies_;
  std::vector<std::uint32_t> identity_;
  std::vector<std::uint32_t> group_of_;
  std::vector<std::vector<std::uint32_t>> groups_;
  // The last command of any set that begins at or before a command and ends after it.
  std::vector<std::uint32_t> span_end_;
  std::vector<std::uint32_t> visited_;  // number of the search that came by last
  std::uint32_t search_ = 0;
  std::vector<std::uint32_t> stack_;
};

}  // namespace segue::graph
