// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/plan.hpp"
#include "segue/access.hpp"

namespace segue::graph {

/// Two commands that the recording orders and the plan does not.
struct MissingOrder {
  static constexpr std::uint32_t kNoFence = UINT32_MAX;

  std::uint32_t earlier = 0;        ///< Position in the command list.
  std::uint32_t later = 0;          ///< Position in the command list.
  std::uint32_t earlier_group = 0;  ///< Where the plan runs them: not before `later_group`.
  std::uint32_t later_group = 0;
  /// Why they conflict, data that flows first. None if only a fence orders them.
  std::optional<HazardKind> hazard;
  AccessRange range;               ///< Bytes that both touch, with the later access.
  std::uint32_t fence = kNoFence;  ///< Position of the last fence between them, if there is one.
};

/// What a check of a plan against its command list found.
struct Certificate {
  std::vector<std::string> malformed;  ///< The plan is none: a command lost, an end out of place.
  std::vector<MissingOrder> missing;   ///< By later command, then by earlier.
  /// Barriers after group g that no pair and no fence needs: groups g and g + 1 could be one.
  std::vector<std::uint32_t> needless;
  std::uint32_t requested = 0;      ///< Barriers a fence asks for, even if a conflict does too.
  std::uint32_t barriers = 0;       ///< Between groups.
  std::uint32_t critical_path = 0;  ///< Commands of the longest chain in which each follows.

  /// For sentences: how commands are called, and memories that have a label. Filled if some order
  /// is missing.
  std::vector<std::string> command_names;
  std::map<MemoryId, std::string> memory_names;

  /// Every command runs once, and nothing that the recording orders overlaps or swaps.
  [[nodiscard]] bool valid() const { return malformed.empty() && missing.empty(); }
  /// As few barriers as any order of execution allows: one less than the critical path is long.
  [[nodiscard]] bool minimal() const {
    return barriers == (critical_path == 0 ? 0 : critical_path - 1);
  }
  /// A sentence for each finding, the first of many, and a last line that counts.
  [[nodiscard]] std::string to_string() const;
};

/// A sentence for an order that is missing.
[[nodiscard]] std::string describe(const Certificate& certificate, const MissingOrder& order);

/// Checks order and groups of a plan; does not look at the reasons of its barriers. Judges a
/// malformed plan no further. Costs a comparison for each pair of ranges of one memory.
[[nodiscard]] Certificate certify(const ir::Plan& plan);

/// A sentence for each barrier of a plan whose reason is untrue: the commands named do not stand on
/// its two sides, do not clash in the bytes and in the way named, or have no fence between them.
/// The plan is not malformed.
[[nodiscard]] std::vector<std::string> untrue_reasons(const ir::Plan& plan);

/// The plan with groups `group` and `group + 1` made one. To see that a check misses the barrier.
[[nodiscard]] ir::Plan without_barrier(const ir::Plan& plan, std::size_t group);

}  // namespace segue::graph
