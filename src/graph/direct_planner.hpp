// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "segue/hazard.hpp"

namespace segue::graph {

/// What a planner decided since begin().
struct PlanCounts {
  std::uint64_t inferred = 0;    ///< Barriers placed because of a conflict.
  std::uint64_t requested = 0;   ///< Barriers placed by hand.
  std::uint64_t concurrent = 0;  ///< Tracked commands that no inferred barrier precedes directly.
};

/// PlannedBarrier::earlier of an inferred barrier before explain() has looked for the command.
inline constexpr std::uint32_t kUnresolvedCommand = UINT32_MAX;

/// Plans commands in recorded order, one by one as they are recorded: direct encoding.
///
/// begin(), then append() after each command of the list, then finish(). A command joins the
/// current group unless it conflicts with it; then one barrier ends the group and the command
/// starts the next one. No placement in recorded order needs fewer barriers.
///
/// A barrier at the very end, with no command behind it, is counted but left out of the plan: the
/// end of a submission orders as much. Inferred barriers name their later command, bytes and hazard
/// at once, and the earlier command only when explain() is asked, so that recording does not pay
/// for it. Reused without allocating. Not thread-safe.
class DirectPlanner {
 public:
  /// Starts a new plan: empties `plan`, forgets live ranges and counts.
  void begin(ir::Plan& plan, BarrierMode mode);

  /// Plans command `index` of `list`, the one after those appended before. Without `infer` it joins
  /// the current group whatever it touches; commands after it are checked against it all the same.
  void append(const ir::CommandList& list, std::uint32_t index, ir::Plan& plan, bool infer = true);

  /// The same for a command that is no barrier and whose ranges are at hand: those that
  /// CommandList::for_each_range() gives.
  void append(std::uint32_t index, std::span<const AccessRange> ranges, ir::Plan& plan);

  /// Ends the group if `ranges`, what the next command is going to touch, conflict with it. Adds
  /// nothing itself. Works in both modes, since it is a barrier placed by hand. Returns whether it
  /// placed one.
  bool barrier_between(const ir::CommandList& list, std::span<const AccessRange> ranges,
                       ir::Plan& plan);

  /// Completes `plan`, which then refers to `list`. Call once, after the last command.
  void finish(const ir::CommandList& list, ir::Plan& plan);

  [[nodiscard]] BarrierMode mode() const { return mode_; }
  [[nodiscard]] const PlanCounts& counts() const { return counts_; }
  /// Non-empty ranges that commands of the current group touch, 0 after a barrier; in manual mode
  /// as of the last barrier_between().
  [[nodiscard]] std::size_t live_range_count() const { return tracker_.live_range_count(); }

 private:
  std::span<const AccessRange> gather(const ir::CommandList& list, const ir::Command& command);
  void track_untracked(const ir::CommandList& list, const ir::Plan& plan);
  /// Tells a barrier that stands right before command `index` which command that is. Whether there
  /// is one that was inferred.
  bool name_later_command(std::uint32_t index, ir::Plan& plan) const;
  void end_group(ir::Plan& plan, const ir::PlannedBarrier& barrier);
  [[nodiscard]] bool group_is_empty(const ir::Plan& plan) const {
    return plan.order.size() == group_begin_;
  }

  BarrierMode mode_ = BarrierMode::kAutomatic;
  HazardTracker tracker_;
  PlanCounts counts_;
  std::uint32_t group_begin_ = 0;  ///< Where the current group starts in Plan::order.
  std::uint32_t tracked_ = 0;      ///< Commands of Plan::order tracked; lags in manual mode.
  std::vector<AccessRange> scratch_;
};

/// Plans a whole list in recorded order, with every barrier explained.
[[nodiscard]] ir::Plan plan_recorded_order(const ir::CommandList& list,
                                           BarrierMode mode = BarrierMode::kAutomatic);

/// Barrier `index` of a plan with its reason complete: the last command of the group before it that
/// conflicts with the later command, the bytes and the hazard of these two. Works while the plan
/// grows, if Plan::list is set; the later command of a barrier with nothing behind it is one past
/// the end.
[[nodiscard]] ir::PlannedBarrier explain(const ir::Plan& plan, std::size_t index);

}  // namespace segue::graph
