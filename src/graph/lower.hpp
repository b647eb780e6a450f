// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/command_list.hpp"
#include "ir/list_copier.hpp"
#include "ir/plan.hpp"

namespace segue::graph {

/// Commands in the order in which they run, and what they were before.
struct Lowered {
  ir::CommandList list;
  std::vector<std::uint32_t> original;  ///< By new position: position in the recorded list.
};

/// Copies groups `[first_group, last_group)` of a plan to `list`, in order, with hand-placed
/// barriers between them, so that recorded order becomes the order of execution. Returns the
/// recorded position of each command copied.
std::vector<std::uint32_t> lower(const ir::Plan& plan, std::size_t first_group,
                                 std::size_t last_group, ir::CommandList& list,
                                 const ir::Relocate& relocate = {});

/// All groups of a plan, as a list of its own.
[[nodiscard]] Lowered lower(const ir::Plan& plan, const ir::Relocate& relocate = {});

/// Plans a list whose recorded order is the order of execution.
[[nodiscard]] ir::Plan plan_lowered(const ir::CommandList& list);

}  // namespace segue::graph
