// SPDX-License-Identifier: Apache-2.0
//
// From a graph to an executable: schedule, place transient buffers, lower, link.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "base/fail.hpp"
#include "graph/certificate.hpp"
#include "graph/lower.hpp"
#include "graph/placement.hpp"
#include "graph/schedule.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/certificate.hpp"
#include "runtime/executable_state.hpp"

namespace segue::runtime {
namespace {

constexpr unsigned kMostInFlight = 256;

/// Sums up what arguments and ranges of a list touch, but for those that slots fill.
std::vector<ir::ResourceUse> fixed_resources(const ir::CommandList& list) {
  std::vector<ir::ResourceUse> resources;
  std::unordered_map<const ir::Storage*, std::size_t> known;
  const auto add = [&](const ir::Argument& bytes, bool is_read, bool is_written) {
    const auto [entry, is_new] = known.try_emplace(bytes.storage, resources.size());
    if (is_new) resources.push_back({bytes.storage});
    ir::ResourceUse& use = resources[entry->second];
    const std::uint64_t end = bytes.offset + bytes.size;
    if (is_read) use.add(bytes.offset, end, Access::kRead);
    if (is_written) use.add(bytes.offset, end, Access::kWrite);
  };
  for (std::uint32_t c = 0; c < list.size(); ++c) {
    const ir::Command& command = list.commands()[c];
    for (std::uint32_t i = 0; i < command.argument_count; ++i) {
      const ir::Argument& argument = list.arguments(command)[i];
      if (!argument.is_view() || is_view_slot(list, c, i)) continue;
      add(argument, reads(argument.access) && !command.explicit_reads,
          writes(argument.access) && !command.explicit_writes);
    }
    for (const ir::Argument& range : list.explicit_ranges(command))
      add(range, reads(range.access), writes(range.access));
  }
  std::ranges::partition(
      resources, [](const ir::ResourceUse& use) { return use.write_begin != use.write_end; });
  return resources;
}

}  // namespace

Counters count_barriers(const ir::Plan& plan) {
  Counters counts;
  counts.barriers_inferred = static_cast<std::uint64_t>(
      std::ranges::count(plan.barriers, ir::BarrierReason::kHazard, &ir::PlannedBarrier::reason));
  counts.concurrent = plan.order.size() - counts.barriers_inferred;
  return counts;
}

Result<std::shared_ptr<ExecutableState>> ExecutableState::create(const GraphState& graph,
                                                                 const CompileOptions& options) {
  if (options.max_in_flight == 0 || options.max_in_flight > kMostInFlight) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "An executable is to have {} replays in flight; it has 1 to {}.",
                      options.max_in_flight, kMostInFlight);
  }
  SEGUE_TRY(graph.core->check_alive());
  std::shared_ptr<ExecutableState> state(new ExecutableState(graph.core));
  state->queue_ = options.queue;
  state->label_ = options.label;
  std::vector<std::uint32_t> original;
  SEGUE_TRY(state->lower_graph(graph, options, original));
  SEGUE_TRY(state->make_instances(options.max_in_flight));
  state->guard_ = SlotGuard(state->plan(), std::move(original));
  state->counts_ = count_barriers(state->plan());
  return state;
}

Result<> ExecutableState::lower_graph(const GraphState& graph, const CompileOptions& options,
                                      std::vector<std::uint32_t>& original) {
  const graph::Dependencies& dependencies = graph.dependencies();
  const ir::Plan plan =
      graph::plan_schedule(graph.list, dependencies, options.schedule, options.seed);
  report_ = graph::report(plan, dependencies, options.schedule);

  ir::Relocate relocate;
  std::unordered_map<const ir::Storage*, std::uint64_t> offsets;
  Buffer arena;
  if (options.place_transients) {
    const graph::Placement placement = graph::find_placement(plan, arena_alignment(*core_));
    placement_ = describe_placement(placement);
    if (!placement.placed.empty()) {
      BufferDesc desc;
      desc.size_bytes = placement.arena_bytes;
      desc.host_access = HostAccess::kNone;
      desc.label = "transients";
      SEGUE_TRY_ASSIGN(arena, create_buffer(core_, desc));
      for (const graph::Placed& placed : placement.placed) {
        offsets.emplace(placed.storage, placed.offset);
        placed_.push_back(placed.storage->memory);
      }
      std::ranges::sort(placed_);
      relocate = [&offsets, &arena](ir::Storage& storage) -> ir::Relocation {
        const auto found = offsets.find(&storage);
        if (found == offsets.end()) return {&storage, 0};
        return {arena.state(), found->second};
      };
    }
  }
  graph::Lowered lowered = graph::lower(plan, relocate);
  list_ = std::move(lowered.list);
  plan_ = graph::plan_lowered(list_);
  original = std::move(lowered.original);
  placement_.barriers_added = static_cast<std::uint32_t>(plan_.barriers.size()) - report_.barriers;
  return {};
}

Result<> ExecutableState::make_instances(unsigned count) {
  std::vector<hal::ProgramInstance> linked;
  const std::size_t slots = list_.slots().size();
  for (unsigned i = 0; i < count; ++i) {
    auto instance = std::make_unique<Instance>();
    instance->list = list_;
    instance->plan = plan_;
    instance->plan.list = &instance->list;
    instance->versions.assign(slots, 1);
    instance->bound.resize(slots);
    instance->loads.reserve(slots);
    linked.push_back({&instance->list, &instance->plan});
    instances_.push_back(std::move(instance));
  }
  collect_slots();
  resources_ = fixed_resources(list_);
  for (const auto& instance : instances_) {
    instance->resources.reserve(resources_.size() + slots);
    bind_resources(*instance);
    // Kept apart, since commands and arguments are out of the caches when the next replay is set.
    for (const ir::SlotUse& use : uses_) {
      const ir::Command& command = instance->list.commands()[use.command];
      const bool bytes = list_.slots()[use.slot].kind == ir::SlotKind::kBytes;
      const ir::Argument* argument =
          bytes ? &instance->list.arguments(command)[use.argument] : nullptr;
      instance->targets.push_back(bytes ? instance->list.mutable_bytes(*argument) + use.offset
                                        : nullptr);
    }
  }
  for (const ir::ResourceUse& use : instances_.front()->resources)
    SEGUE_TRY(ensure_backed(static_cast<BufferState&>(*use.storage)));
  SEGUE_TRY_ASSIGN(program_, core_->hal().link(linked));
  return {};
}

void ExecutableState::collect_slots() {
  const std::span<const ir::Slot> slots = list_.slots();
  first_use_.assign(slots.size() + 1, 0);
  for (const ir::SlotUse& use : list_.slot_uses()) ++first_use_[use.slot + std::size_t{1}];
  std::partial_sum(first_use_.begin(), first_use_.end(), first_use_.begin());
  uses_.resize(list_.slot_uses().size());
  std::vector<std::uint32_t> next(first_use_.begin(), first_use_.end() - 1);
  for (const ir::SlotUse& use : list_.slot_uses()) uses_[next[use.slot]++] = use;

  values_.resize(slots.size());
  views_.reserve(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const ir::Slot& slot = slots[i];
    Value& value = values_[i];
    if (slot.kind == ir::SlotKind::kView) {
      value.view = slot.view;
      value.view.access = slot.access;
      value.storage = base::Ref<ir::Storage>(slot.view.storage);
    } else if (slot.kind == ir::SlotKind::kBytes) {
      value.bytes = value_bytes_.size();
      const std::byte* bytes = list_.inline_bytes() + slot.bytes;
      value_bytes_.insert(value_bytes_.end(), bytes, bytes + slot.size);
    } else {
      value.grid = slot.grid;
    }
  }
}

Certificate ExecutableState::certify() const { return runtime::certify(plan()); }

}  // namespace segue::runtime
