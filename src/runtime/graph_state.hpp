// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "graph/dependencies.hpp"
#include "graph/placement.hpp"
#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "runtime/device_core.hpp"
#include "segue/executable.hpp"
#include "segue/hazard.hpp"
#include "segue/schedule.hpp"

namespace segue::runtime {

/// What a capture leaves: a command list that no longer changes, and the device it is for.
class GraphState {
 public:
  explicit GraphState(std::shared_ptr<DeviceCore> owner) : core(std::move(owner)) {}

  std::shared_ptr<DeviceCore> core;
  ir::CommandList list;
  BarrierMode mode = BarrierMode::kAutomatic;

  /// Computed when first asked for. Thread-safe.
  [[nodiscard]] const graph::Dependencies& dependencies() const;

 private:
  mutable std::once_flag once_;
  mutable std::optional<graph::Dependencies> dependencies_;
};

/// What users see of a plan's barriers: commands are positions in `list`.
[[nodiscard]] BarrierInfo describe_barrier(const ir::CommandList& list,
                                           const ir::PlannedBarrier& barrier);
[[nodiscard]] std::vector<BarrierInfo> describe_barriers(const ir::Plan& plan);
[[nodiscard]] std::vector<SlotInfo> describe_slots(const ir::CommandList& list);
/// Without the barriers that were added, which only the lowered list shows.
[[nodiscard]] PlacementReport describe_placement(const graph::Placement& placement);
/// What every buffer in an arena of transient buffers begins at a multiple of.
[[nodiscard]] std::uint64_t arena_alignment(const DeviceCore& core);

}  // namespace segue::runtime
