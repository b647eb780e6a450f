// SPDX-License-Identifier: Apache-2.0
//
// Greedy grouping: extend the group as far as it goes, then cut. Each cut stands as late as any
// placement of that many barriers allows (by induction: another placement's k-th group cannot reach
// past the greedy one's, since a group that started earlier or at the same place meets the same
// conflict), so none has fewer. This is interval partitioning by the "stays ahead" argument of
// Kleinberg and Tardos, Algorithm Design, section 4.1.
#include "graph/direct_planner.hpp"

#include <optional>

#include "graph/dependencies.hpp"

namespace segue::graph {
namespace {

std::optional<Conflict> best_conflict(const ir::CommandList& list, const ir::Command& earlier,
                                      std::span<const AccessRange> later) {
  std::optional<Conflict> best;
  list.for_each_range(earlier, [&](const AccessRange& before) {
    for (std::size_t i = 0; i < later.size(); ++i) {
      const std::optional<HazardKind> hazard = hazard_between(before, later[i]);
      if (!hazard || (best && rank(best->hazard) <= rank(*hazard))) continue;
      best = Conflict{*hazard, static_cast<std::uint32_t>(i), shared_bytes(before, later[i])};
    }
  });
  return best;
}

}  // namespace

void DirectPlanner::begin(ir::Plan& plan, BarrierMode mode) {
  plan.clear();
  plan.list = nullptr;
  mode_ = mode;
  tracker_.reset();
  counts_ = {};
  group_begin_ = 0;
  tracked_ = 0;
}

std::span<const AccessRange> DirectPlanner::gather(const ir::CommandList& list,
                                                   const ir::Command& command) {
  const std::size_t most =
      std::size_t{command.argument_count} + command.read_count + command.write_count;
  if (scratch_.size() < most) scratch_.resize(most);
  AccessRange* next = scratch_.data();
  list.for_each_range(command, [&next](const AccessRange& range) { *next++ = range; });
  return {scratch_.data(), next};
}

void DirectPlanner::append(const ir::CommandList& list, std::uint32_t index, ir::Plan& plan,
                           bool infer) {
  const ir::Command& command = list.commands()[index];
  if (command.kind == ir::CommandKind::kBarrier) {
    if (group_is_empty(plan)) return;
    ++counts_.requested;
    tracker_.reset();
    tracked_ = static_cast<std::uint32_t>(plan.order.size());
    end_group(plan, {ir::BarrierReason::kRequested,
                     HazardKind::kReadAfterWrite,
                     plan.order.back(),
                     index + 1,
                     {}});
    return;
  }
  if (infer) {
    const bool tracks = mode_ == BarrierMode::kAutomatic;
    return append(index, tracks ? gather(list, command) : std::span<const AccessRange>(), plan);
  }
  static_cast<void>(name_later_command(index, plan));
  if (mode_ == BarrierMode::kAutomatic) {
    tracker_.add(gather(list, command));
    ++tracked_;
  }
  plan.order.push_back(index);
}

void DirectPlanner::append(std::uint32_t index, std::span<const AccessRange> ranges,
                           ir::Plan& plan) {
  const bool needed_barrier = name_later_command(index, plan);
  if (mode_ == BarrierMode::kAutomatic) {
    if (const std::optional<Conflict> conflict = tracker_.check_and_add(ranges)) {
      ++counts_.inferred;
      end_group(plan, {ir::BarrierReason::kHazard, conflict->hazard, kUnresolvedCommand, index,
                       conflict->range});
    } else if (!needed_barrier) {
      ++counts_.concurrent;
    }
    ++tracked_;
  }
  plan.order.push_back(index);
}

bool DirectPlanner::name_later_command(std::uint32_t index, ir::Plan& plan) const {
  if (!group_is_empty(plan) || plan.barriers.empty()) [[likely]]
    return false;
  plan.barriers.back().later = index;
  return plan.barriers.back().reason == ir::BarrierReason::kHazard;
}

bool DirectPlanner::barrier_between(const ir::CommandList& list,
                                    std::span<const AccessRange> ranges, ir::Plan& plan) {
  track_untracked(list, plan);
  const std::optional<Conflict> conflict = tracker_.check(ranges);
  if (!conflict) return false;
  tracker_.reset();
  ++counts_.inferred;
  const auto next = static_cast<std::uint32_t>(list.size());
  end_group(plan, {ir::BarrierReason::kHazard, conflict->hazard, kUnresolvedCommand, next,
                   conflict->range});
  return true;
}

/// Manual mode tracks nothing until somebody asks.
void DirectPlanner::track_untracked(const ir::CommandList& list, const ir::Plan& plan) {
  for (; tracked_ < plan.order.size(); ++tracked_) {
    tracker_.add(gather(list, list.commands()[plan.order[tracked_]]));
  }
}

/// Leaves the tracker to the caller, which has the ranges that start the next group.
void DirectPlanner::end_group(ir::Plan& plan, const ir::PlannedBarrier& barrier) {
  group_begin_ = static_cast<std::uint32_t>(plan.order.size());
  plan.group_ends.push_back(group_begin_);
  plan.barriers.push_back(barrier);
}

void DirectPlanner::finish(const ir::CommandList& list, ir::Plan& plan) {
  plan.list = &list;
  if (!group_is_empty(plan)) {
    plan.group_ends.push_back(static_cast<std::uint32_t>(plan.order.size()));
  } else if (!plan.barriers.empty()) {
    plan.barriers.pop_back();
  }
}

ir::Plan plan_recorded_order(const ir::CommandList& list, BarrierMode mode) {
  ir::Plan plan;
  DirectPlanner planner;
  planner.begin(plan, mode);
  for (std::uint32_t index = 0; index < list.size(); ++index) planner.append(list, index, plan);
  planner.finish(list, plan);
  for (std::size_t i = 0; i < plan.barriers.size(); ++i) plan.barriers[i] = explain(plan, i);
  return plan;
}

ir::PlannedBarrier explain(const ir::Plan& plan, std::size_t index) {
  ir::PlannedBarrier barrier = plan.barriers[index];
  if (barrier.reason == ir::BarrierReason::kRequested) return barrier;
  const std::span<const ir::Command> commands = plan.list->commands();
  const std::span<const std::uint32_t> group = plan.group(index);
  const auto search = [&](std::span<const AccessRange> ranges) {
    for (std::size_t i = group.size(); i-- > 0;) {
      const std::optional<Conflict> conflict =
          best_conflict(*plan.list, commands[group[i]], ranges);
      if (!conflict) continue;
      barrier.hazard = conflict->hazard;
      barrier.earlier = group[i];
      barrier.range = conflict->range;
      return true;
    }
    return false;
  };
  std::vector<AccessRange> later;
  if (barrier.later < commands.size()) {
    plan.list->for_each_range(commands[barrier.later],
                              [&later](const AccessRange& range) { later.push_back(range); });
  }
  // The ranges of barrier_between() need not be those of the command that came after it; and
  // whoever changed the ranges of a planned command finds no conflict at all.
  if (!search(later) && !search({&barrier.range, 1})) barrier.earlier = group.back();
  return barrier;
}

}  // namespace segue::graph
