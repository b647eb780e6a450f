// SPDX-License-Identifier: Apache-2.0
//
// What a graph says about its plans, and what becomes of it: fused, compiled, submitted.
#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "graph/certificate.hpp"
#include "graph/fusion.hpp"
#include "graph/lower.hpp"
#include "graph/placement.hpp"
#include "graph/schedule.hpp"
#include "runtime/certificate.hpp"
#include "runtime/executable_state.hpp"
#include "runtime/graph_state.hpp"
#include "segue/device.hpp"
#include "segue/graph.hpp"

namespace segue {
namespace runtime {

const graph::Dependencies& GraphState::dependencies() const {
  std::call_once(once_, [this] { dependencies_.emplace(list); });
  return *dependencies_;
}

BarrierInfo describe_barrier(const ir::CommandList& list, const ir::PlannedBarrier& barrier) {
  BarrierInfo info;
  info.requested = barrier.reason == ir::BarrierReason::kRequested;
  info.hazard = barrier.hazard;
  info.earlier = barrier.earlier;
  info.later = barrier.later;
  info.range = barrier.range;
  info.earlier_label = list.label_path(list.commands()[barrier.earlier]);
  if (barrier.later < list.size())
    info.later_label = list.label_path(list.commands()[barrier.later]);
  for (const ir::ResourceUse& use : list.resources()) {
    if (use.storage->memory == barrier.range.memory) info.buffer_label = use.storage->label;
  }
  return info;
}

std::vector<BarrierInfo> describe_barriers(const ir::Plan& plan) {
  std::vector<BarrierInfo> infos;
  infos.reserve(plan.barriers.size());
  for (const ir::PlannedBarrier& barrier : plan.barriers)
    infos.push_back(describe_barrier(*plan.list, barrier));
  return infos;
}

PlacementReport describe_placement(const graph::Placement& placement) {
  return {static_cast<std::uint32_t>(placement.placed.size()),
          placement.separate_bytes,
          placement.arena_bytes,
          placement.lower_bound_bytes,
          0,
          placement.tight_bytes,
          placement.tight_barriers};
}

std::uint64_t arena_alignment(const DeviceCore& core) {
  return std::max(64U, core.hal().limits().direct_view_alignment);
}

std::vector<SlotInfo> describe_slots(const ir::CommandList& list) {
  std::vector<SlotInfo> infos;
  for (const ir::Slot& slot : list.slots()) {
    SlotInfo info;
    info.name = list.name(slot.name);
    info.type = slot.kind == ir::SlotKind::kView    ? SlotType::kView
                : slot.kind == ir::SlotKind::kBytes ? SlotType::kBytes
                                                    : SlotType::kGrid;
    info.size_bytes = slot.size;
    info.max = slot.max;
    info.bound = slot.grid;
    infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace runtime

namespace {

constexpr std::size_t kEarlyDispatches = 64;

const runtime::GraphState& empty_graph() {
  static const runtime::GraphState empty{nullptr};
  return empty;
}

const runtime::GraphState& content(const Graph& graph) {
  return graph.state() ? *graph.state() : empty_graph();
}

ir::Plan plan(const Graph& graph, Schedule schedule, std::uint64_t seed) {
  const runtime::GraphState& state = content(graph);
  return graph::plan_schedule(state.list, state.dependencies(), schedule, seed);
}

Result<> check_device(const Graph& graph, const Device& device) {
  if (!graph.state()) {
    return base::fail(ErrorCode::kInvalidState, "The graph is empty; take_capture() gives one.");
  }
  if (!device || graph.state()->core != device.state()->core()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The graph was captured on another device than \"{}\".",
                      device ? device.name() : "none");
  }
  return {};
}

/// What recording checks of a dispatch, of those that patterns made.
Result<> check_limits(const ir::CommandList& list, const Limits& limits) {
  for (const ir::Command& command : list.commands()) {
    if (command.kind != ir::CommandKind::kDispatch) continue;
    if (command.argument_count > limits.max_arguments) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Dispatch \"{}\" has {} arguments; this device binds at most {}.",
                        list.label_path(command), command.argument_count, limits.max_arguments);
    }
    const Extent3 groups = command.group_count;
    const Extent3 most = limits.max_group_count;
    if (groups.x > most.x || groups.y > most.y || groups.z > most.z) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Dispatch \"{}\" has {}x{}x{} groups; this device takes at most {}x{}x{}.",
                        list.label_path(command), groups.x, groups.y, groups.z, most.x, most.y,
                        most.z);
    }
  }
  return {};
}

/// Some groups of a plan as a submission of their own.
base::Ref<runtime::SubmissionState> lower_part(runtime::DeviceCore& core, const ir::Plan& plan,
                                               std::size_t first_group, std::size_t last_group) {
  base::Ref<runtime::SubmissionState> part = core.acquire_recording(true);
  graph::lower(plan, first_group, last_group, part->list);
  part->recorded_plan = graph::plan_lowered(part->list);
  part->plan = &part->recorded_plan;
  part->label = "early start";
  part->time_commands = core.options().profile;
  return part;
}

/// Submits a part and counts its barriers.
Result<> submit_part(runtime::DeviceState& device,
                     const base::Ref<runtime::SubmissionState>& part) {
  const Counters planned = runtime::count_barriers(*part->plan);
  SEGUE_TRY(device.submit(part, 0, false));
  device.core()->counters.add(planned);
  return {};
}

}  // namespace

std::uint32_t Graph::critical_path() const { return content(*this).dependencies().critical_path(); }

std::vector<SlotInfo> Graph::slots() const { return runtime::describe_slots(content(*this).list); }

ScheduleReport Graph::report(Schedule schedule, std::uint64_t seed) const {
  return graph::report(plan(*this, schedule, seed), content(*this).dependencies(), schedule);
}

std::vector<std::uint32_t> Graph::order(Schedule schedule, std::uint64_t seed) const {
  const runtime::GraphState& state = content(*this);
  return graph::order_commands(state.list, state.dependencies(), schedule, seed);
}

std::vector<BarrierInfo> Graph::barriers(Schedule schedule, std::uint64_t seed) const {
  return runtime::describe_barriers(plan(*this, schedule, seed));
}

PlacementReport Graph::placement(Schedule schedule, std::uint64_t seed) const {
  if (!state_) return {};
  return runtime::describe_placement(
      graph::find_placement(plan(*this, schedule, seed), runtime::arena_alignment(*state_->core)));
}

Certificate Graph::certify(Schedule schedule, std::uint64_t seed) const {
  return runtime::certify(plan(*this, schedule, seed));
}

Result<FusedGraph> Graph::fuse(std::span<const FusionPattern> patterns) const {
  if (!state_)
    return base::fail(ErrorCode::kInvalidState, "The graph is empty; take_capture() gives one.");
  for (const FusionPattern& pattern : patterns) {
    if (pattern.name.empty())
      return base::fail(ErrorCode::kInvalidArgument, "A fusion pattern has no name.");
  }
  SEGUE_TRY_ASSIGN(graph::FusionResult result, graph::fuse(state_->list, patterns));
  SEGUE_TRY(check_limits(result.list, state_->core->hal().limits()));
  auto fused = std::make_shared<runtime::GraphState>(state_->core);
  fused->list = std::move(result.list);
  fused->mode = state_->mode;
  return FusedGraph{Graph(std::move(fused)), std::move(result.report)};
}

Result<Executable> Graph::compile(const Device& device, const CompileOptions& options) const {
  SEGUE_TRY(check_device(*this, device));
  if (options.queue >= device.queue_count()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Queue {} is chosen, but device \"{}\" was made with {}.", options.queue,
                      device.name(), device.queue_count());
  }
  auto handle = std::make_unique<runtime::ExecutableHandle>();
  handle->device = device.state();
  SEGUE_TRY_ASSIGN(handle->state, runtime::ExecutableState::create(*state_, options));
  return Executable(std::move(handle));
}

Result<Submission> Graph::submit_early(const Device& device, Schedule schedule) const {
  SEGUE_TRY(check_device(*this, device));
  const ir::Plan whole = plan(*this, schedule, 0);
  const std::size_t wanted = std::max(kEarlyDispatches, whole.order.size() / 10);
  std::size_t groups = 0;
  while (groups < whole.group_count() && (groups == 0 || whole.group_ends[groups - 1] < wanted))
    ++groups;
  runtime::DeviceCore& core = *device.state()->core();
  base::Ref<runtime::SubmissionState> first = lower_part(core, whole, 0, groups);
  const auto first_commands = static_cast<std::uint32_t>(first->list.size());
  SEGUE_TRY(submit_part(*device.state(), first));
  if (groups == whole.group_count()) return Submission(device.state(), first);
  base::Ref<runtime::SubmissionState> rest = lower_part(core, whole, groups, whole.group_count());
  rest->first_part = first;
  rest->first_command = first_commands;
  if (Result<> submitted = submit_part(*device.state(), rest); !submitted) {
    rest->first_part = {};
    // What has started is finished, and its error, which came first, is the one to report.
    SEGUE_TRY(Submission(device.state(), first).wait());
    return std::unexpected(std::move(submitted).error());
  }
  return Submission(device.state(), rest);
}

}  // namespace segue
