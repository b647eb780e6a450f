// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/command_list.hpp"
#include "segue/access.hpp"

namespace segue::ir {

/// Why a barrier stands where it stands.
enum class BarrierReason : std::uint8_t {
  kHazard,     ///< A conflict between two commands.
  kRequested,  ///< Placed by hand: a fence.
};

/// A barrier with its reason. Commands are positions in the command list, not in the order of
/// execution.
struct PlannedBarrier {
  BarrierReason reason = BarrierReason::kHazard;
  HazardKind hazard = HazardKind::kReadAfterWrite;
  std::uint32_t earlier = 0;  ///< The command before the barrier that conflicts.
  std::uint32_t later = 0;    ///< The command after it.
  AccessRange range;          ///< Bytes that both touch.
};

/// What a backend executes: commands in groups. Commands of one group may overlap; everything of a
/// group finishes, and its writes are visible, before the next group starts.
struct Plan {
  const CommandList* list = nullptr;
  /// Positions in the list, in order of execution. Hand-placed barriers are not in it.
  std::vector<std::uint32_t> order;
  /// Where each group ends in `order`; increasing, the last one is order.size(). Empty for no
  /// commands.
  std::vector<std::uint32_t> group_ends;
  /// The barrier after group g, for each group but the last.
  std::vector<PlannedBarrier> barriers;

  [[nodiscard]] std::size_t group_count() const { return group_ends.size(); }
  [[nodiscard]] std::span<const std::uint32_t> group(std::size_t g) const {
    const std::uint32_t begin = g == 0 ? 0 : group_ends[g - 1];
    return {order.data() + begin, group_ends[g] - begin};
  }
  void clear() {
    order.clear();
    group_ends.clear();
    barriers.clear();
  }
};

}  // namespace segue::ir
