// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "graph/dependencies.hpp"
#include "ir/plan.hpp"
#include "segue/schedule.hpp"

namespace segue::graph {

/// The commands of a list in the order of `schedule`, without hand-placed barriers. `seed` is for
/// kRandom.
[[nodiscard]] std::vector<std::uint32_t> order_commands(const ir::CommandList& list,
                                                        const Dependencies& dependencies,
                                                        Schedule schedule, std::uint64_t seed = 0);

/// Two commands that an order puts the wrong way round.
struct OrderViolation {
  std::uint32_t earlier = 0;
  std::uint32_t later = 0;
  std::optional<Dependency> dependency;  ///< None: a hand-placed barrier stands between them.
};
/// The first dependency or hand-placed barrier that `order` breaks. It names each command that is
/// no hand-placed barrier once.
[[nodiscard]] std::optional<OrderViolation> find_violation(const Dependencies& dependencies,
                                                           std::span<const std::uint32_t> order);

/// Places the fewest barriers that `order` allows, each with its reason: cuts a group where a
/// command depends on one of it, or where a hand-placed barrier stands.
///
/// @pre find_violation() finds none.
[[nodiscard]] ir::Plan plan_order(const ir::CommandList& list, const Dependencies& dependencies,
                                  std::vector<std::uint32_t> order);

/// order_commands() and plan_order().
[[nodiscard]] ir::Plan plan_schedule(const ir::CommandList& list, const Dependencies& dependencies,
                                     Schedule schedule, std::uint64_t seed = 0);

[[nodiscard]] ScheduleReport report(const ir::Plan& plan, const Dependencies& dependencies,
                                    Schedule schedule);

}  // namespace segue::graph
