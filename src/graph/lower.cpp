// SPDX-License-Identifier: Apache-2.0
#include "graph/lower.hpp"

#include "graph/schedule.hpp"

namespace segue::graph {

std::vector<std::uint32_t> lower(const ir::Plan& plan, std::size_t first_group,
                                 std::size_t last_group, ir::CommandList& list,
                                 const ir::Relocate& relocate) {
  std::vector<std::uint32_t> original;
  ir::ListCopier copier(*plan.list, list, relocate);
  for (std::size_t g = first_group; g < last_group; ++g) {
    for (const std::uint32_t command : plan.group(g)) {
      copier.append(command);
      original.push_back(command);
    }
    if (g + 1 == last_group || plan.barriers[g].reason != ir::BarrierReason::kRequested) continue;
    ir::Command fence;
    fence.kind = ir::CommandKind::kBarrier;
    fence.first_argument = list.argument_total();
    fence.first_range = list.range_total();
    fence.first_shared = list.shared_total();
    list.append(fence);
    original.push_back(plan.barriers[g].earlier);
  }
  return original;
}

Lowered lower(const ir::Plan& plan, const ir::Relocate& relocate) {
  Lowered lowered;
  lowered.original = lower(plan, 0, plan.group_count(), lowered.list, relocate);
  return lowered;
}

ir::Plan plan_lowered(const ir::CommandList& list) {
  return plan_schedule(list, Dependencies(list), Schedule::kRecorded);
}

}  // namespace segue::graph
