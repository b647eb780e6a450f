// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/command_list.hpp"
#include "segue/access.hpp"

namespace segue::graph {

/// Two commands whose recorded order matters, and why.
struct Dependency {
  std::uint32_t earlier = 0;
  std::uint32_t later = 0;
  HazardKind hazard = HazardKind::kReadAfterWrite;
  AccessRange range;  ///< Bytes that both touch, with the access of the later.
};

/// Of several hazards between two commands, the one to name: data that flows explains more than
/// storage reused. Lower is better.
[[nodiscard]] constexpr int rank(HazardKind hazard) {
  switch (hazard) {
    case HazardKind::kReadAfterWrite: return 0;
    case HazardKind::kWriteAfterWrite: return 1;
    case HazardKind::kWriteAfterRead: return 2;
  }
  return 3;
}

/// Which commands of a list must keep their order: the one relation that schedules, barriers,
/// fusion and graph edges are made from.
///
/// Commands are positions in the list. Every pair in conflict is connected, directly or through
/// others; each command that reads has a direct edge from every command whose bytes it reads.
/// Hand-placed barriers have no edges but divide the list into segments: everything of a segment
/// comes before everything of the next one. Immutable.
class Dependencies {
 public:
  explicit Dependencies(const ir::CommandList& list);

  [[nodiscard]] std::uint32_t command_count() const {
    return static_cast<std::uint32_t>(level_.size());
  }
  /// Commands that are no hand-placed barriers.
  [[nodiscard]] std::uint32_t work_count() const { return work_count_; }
  /// Edges into `command`, each earlier command once.
  [[nodiscard]] std::span<const Dependency> predecessors(std::uint32_t command) const {
    return {edges_.data() + first_edge_[command], edges_.data() + first_edge_[command + 1]};
  }
  /// Positions in edges() of the edges out of `command`.
  [[nodiscard]] std::span<const std::uint32_t> successors(std::uint32_t command) const {
    return {out_edges_.data() + first_out_[command], out_edges_.data() + first_out_[command + 1]};
  }
  [[nodiscard]] std::span<const Dependency> edges() const { return edges_; }
  /// How many hand-placed barriers with something before them come before the command.
  [[nodiscard]] std::uint32_t segment(std::uint32_t command) const { return segment_[command]; }
  /// Length of the longest chain that ends before the command: commands of one level are
  /// independent. Of a hand-placed barrier: 0, without meaning.
  [[nodiscard]] std::uint32_t level(std::uint32_t command) const { return level_[command]; }
  /// Commands in the longest chain, 0 for none.
  [[nodiscard]] std::uint32_t critical_path() const { return critical_path_; }
  /// One longest chain, in order.
  [[nodiscard]] std::vector<std::uint32_t> critical_commands(const ir::CommandList& list) const;

 private:
  void index_successors();

  std::vector<Dependency> edges_;          // by later command
  std::vector<std::uint32_t> first_edge_;  // by command, and one past the end
  std::vector<std::uint32_t> out_edges_;   // by earlier command
  std::vector<std::uint32_t> first_out_;   // by command, and one past the end
  std::vector<std::uint32_t> segment_;
  std::vector<std::uint32_t> level_;
  std::uint32_t work_count_ = 0;
  std::uint32_t critical_path_ = 0;
};

}  // namespace segue::graph
