// SPDX-License-Identifier: Apache-2.0
//
// Orders of a graph's commands, and barriers for any order.
//
// By level: commands are sorted by the length of the longest chain that ends at them, as in
// Mirsky's theorem ("A Dual of Dilworth's Decomposition Theorem", 1971): the fewest sets of
// mutually independent commands that cover a graph are as many as its longest chain has members.
// One barrier stands between two sets, and no placement has fewer, since no two members of a chain
// may share a set.
//
// Barriers for an order: the groups are extended as far as they go (see direct_planner.cpp for why
// that is optimal). A command conflicts with its group exactly if one of its direct predecessors is
// in it: an indirect one has something in between, which stands in a later group already.
#include "graph/schedule.hpp"

#include <algorithm>
#include <cassert>
#include <random>
#include <utility>

namespace segue {

std::string_view to_string(Schedule schedule) {
  switch (schedule) {
    case Schedule::kRecorded: return "recorded";
    case Schedule::kLookahead: return "lookahead";
    case Schedule::kCriticalPath: return "critical_path";
    case Schedule::kRandom: return "random";
  }
  return "unknown";
}

}  // namespace segue

namespace segue::graph {
namespace {

constexpr std::uint32_t kLookaheadWindow = 64;  // commands behind the one that waits
constexpr std::uint32_t kNoGroup = UINT32_MAX;

bool is_work(const ir::CommandList& list, std::uint32_t command) {
  return list.commands()[command].kind != ir::CommandKind::kBarrier;
}

std::vector<std::uint32_t> recorded_order(const ir::CommandList& list) {
  std::vector<std::uint32_t> order;
  order.reserve(list.size());
  for (std::uint32_t command = 0; command < list.size(); ++command) {
    if (is_work(list, command)) order.push_back(command);
  }
  return order;
}

/// Counting sort: levels in order, recorded order within a level.
std::vector<std::uint32_t> level_order(const ir::CommandList& list,
                                       const Dependencies& dependencies) {
  std::vector<std::uint32_t> next(dependencies.critical_path() + std::size_t{1}, 0);
  for (std::uint32_t command = 0; command < list.size(); ++command) {
    if (is_work(list, command)) ++next[dependencies.level(command) + std::size_t{1}];
  }
  for (std::size_t level = 1; level < next.size(); ++level) next[level] += next[level - 1];
  std::vector<std::uint32_t> order(dependencies.work_count());
  for (std::uint32_t command = 0; command < list.size(); ++command) {
    if (is_work(list, command)) order[next[dependencies.level(command)]++] = command;
  }
  return order;
}

/// The rule of ggml-metal's reordering pass, on our relation: a command ahead may join the open
/// group if everything it depends on is placed, and nothing of that in the group itself. Nothing
/// moves past a kind that is not reorderable, the waiting command included.
class Lookahead {
 public:
  Lookahead(const ir::CommandList& list, const Dependencies& dependencies)
      : list_(list), dependencies_(dependencies), group_of_(list.size(), kNoGroup) {}

  std::vector<std::uint32_t> run() {
    order_.reserve(dependencies_.work_count());
    for (std::uint32_t command = 0; command < list_.size(); ++command) {
      if (!is_work(list_, command) || group_of_[command] != kNoGroup) continue;
      const bool new_segment =
          !order_.empty() && dependencies_.segment(order_.back()) != dependencies_.segment(command);
      if (new_segment) {
        ++group_;
      } else if (!joins_group(command)) {
        fill_group(command);
        ++group_;
      }
      place(command);
    }
    return std::move(order_);
  }

 private:
  [[nodiscard]] bool joins_group(std::uint32_t command) const {
    return std::ranges::all_of(dependencies_.predecessors(command), [this](const Dependency& edge) {
      return group_of_[edge.earlier] != kNoGroup && group_of_[edge.earlier] != group_;
    });
  }
  void place(std::uint32_t command) {
    group_of_[command] = group_;
    order_.push_back(command);
  }
  void fill_group(std::uint32_t waiting) {
    if (!is_reorderable(list_.commands()[waiting].op)) return;
    const std::size_t end =
        std::min<std::size_t>(std::size_t{waiting} + 1 + kLookaheadWindow, list_.size());
    for (std::uint32_t ahead = waiting + 1; ahead < end; ++ahead) {
      if (!is_work(list_, ahead)) break;
      if (group_of_[ahead] != kNoGroup) continue;
      if (!is_reorderable(list_.commands()[ahead].op)) break;
      if (joins_group(ahead)) place(ahead);
    }
  }

  const ir::CommandList& list_;
  const Dependencies& dependencies_;
  std::vector<std::uint32_t> group_of_;
  std::vector<std::uint32_t> order_;
  std::uint32_t group_ = 0;
};

std::vector<std::uint32_t> random_order(const ir::CommandList& list,
                                        const Dependencies& dependencies, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> missing(list.size(), 0);  // predecessors not yet placed
  for (const Dependency& edge : dependencies.edges()) ++missing[edge.later];
  std::vector<std::uint32_t> order, ready;
  const auto count = static_cast<std::uint32_t>(list.size());
  for (std::uint32_t begin = 0, end = 0; begin < count; begin = end) {
    while (end < count &&
           (!is_work(list, end) || dependencies.segment(end) == dependencies.segment(begin))) {
      ++end;
    }
    for (std::uint32_t command = begin; command < end; ++command) {
      if (is_work(list, command) && missing[command] == 0) ready.push_back(command);
    }
    while (!ready.empty()) {
      const std::size_t pick = random() % ready.size();
      const std::uint32_t command = ready[pick];
      ready[pick] = ready.back();
      ready.pop_back();
      order.push_back(command);
      for (const std::uint32_t edge : dependencies.successors(command)) {
        const std::uint32_t later = dependencies.edges()[edge].later;
        if (--missing[later] == 0 && later < end) ready.push_back(later);
      }
    }
  }
  return order;
}

}  // namespace

std::vector<std::uint32_t> order_commands(const ir::CommandList& list,
                                          const Dependencies& dependencies, Schedule schedule,
                                          std::uint64_t seed) {
  switch (schedule) {
    case Schedule::kRecorded: break;
    case Schedule::kLookahead: return Lookahead(list, dependencies).run();
    case Schedule::kCriticalPath: return level_order(list, dependencies);
    case Schedule::kRandom: return random_order(list, dependencies, seed);
  }
  return recorded_order(list);
}

std::optional<OrderViolation> find_violation(const Dependencies& dependencies,
                                             std::span<const std::uint32_t> order) {
  std::vector<bool> placed(dependencies.command_count(), false);
  std::uint32_t previous = order.empty() ? 0 : order.front();
  for (const std::uint32_t command : order) {
    if (dependencies.segment(command) < dependencies.segment(previous))
      return OrderViolation{command, previous, std::nullopt};
    for (const Dependency& edge : dependencies.predecessors(command)) {
      if (!placed[edge.earlier]) return OrderViolation{edge.earlier, command, edge};
    }
    placed[command] = true;
    previous = command;
  }
  return std::nullopt;
}

ir::Plan plan_order(const ir::CommandList& list, const Dependencies& dependencies,
                    std::vector<std::uint32_t> order) {
  assert(!find_violation(dependencies, order));
  ir::Plan plan;
  plan.list = &list;
  plan.order = std::move(order);
  plan.group_ends.reserve(dependencies.critical_path());
  plan.barriers.reserve(dependencies.critical_path());
  std::vector<std::uint32_t> group_of(list.size(), kNoGroup);
  std::uint32_t group = 0;
  for (std::uint32_t i = 0; i < plan.order.size(); ++i) {
    const std::uint32_t command = plan.order[i];
    std::optional<ir::PlannedBarrier> barrier;
    if (i != 0 && dependencies.segment(command) != dependencies.segment(plan.order[i - 1])) {
      barrier = {ir::BarrierReason::kRequested, HazardKind::kReadAfterWrite, plan.order[i - 1],
                 command, AccessRange{}};
    } else {
      const Dependency* reason = nullptr;
      for (const Dependency& edge : dependencies.predecessors(command)) {
        if (group_of[edge.earlier] != group) continue;
        if (reason == nullptr || rank(edge.hazard) < rank(reason->hazard)) reason = &edge;
      }
      if (reason != nullptr) {
        barrier = {ir::BarrierReason::kHazard, reason->hazard, reason->earlier, command,
                   reason->range};
      }
    }
    if (barrier) {
      plan.group_ends.push_back(i);
      plan.barriers.push_back(*barrier);
      ++group;
    }
    group_of[command] = group;
  }
  if (!plan.order.empty()) plan.group_ends.push_back(static_cast<std::uint32_t>(plan.order.size()));
  return plan;
}

ir::Plan plan_schedule(const ir::CommandList& list, const Dependencies& dependencies,
                       Schedule schedule, std::uint64_t seed) {
  return plan_order(list, dependencies, order_commands(list, dependencies, schedule, seed));
}

ScheduleReport report(const ir::Plan& plan, const Dependencies& dependencies, Schedule schedule) {
  ScheduleReport report;
  report.schedule = schedule;
  report.dispatches = static_cast<std::uint32_t>(plan.order.size());
  report.barriers = static_cast<std::uint32_t>(plan.barriers.size());
  report.critical_path = dependencies.critical_path();
  report.bound = report.critical_path == 0 ? 0 : report.critical_path - 1;
  report.elided = report.dispatches == 0 ? 0 : report.dispatches - 1 - report.barriers;
  return report;
}

}  // namespace segue::graph
