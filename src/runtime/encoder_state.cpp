// SPDX-License-Identifier: Apache-2.0
#include "runtime/encoder_state.hpp"

#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"

namespace segue::runtime {

EncoderState::EncoderState(std::shared_ptr<DeviceState> device, const EncoderOptions& options)
    : device_(std::move(device)),
      core_(device_->core().get()),
      limits_(&core_->hal().limits()),
      ragged_groups_(core_->hal().features().ragged_groups),
      direct_mode_(core_->options().automatic_barriers ? options.barriers : BarrierMode::kManual),
      capture_mode_(options.barriers),
      retain_(options.lifetime ? *options.lifetime == Lifetime::kRetained
                               : !core_->options().unretained),
      queue_(options.queue),
      building_ranges_(std::size_t{limits_->max_arguments} + 1) {
  start_recording();
}

EncoderState::~EncoderState() { flush_counters(); }

void EncoderState::start_recording() {
  if (!submission_ || phase_ == Phase::kCommitted)
    submission_ = device_->core()->acquire_recording(retain_);
  submission_->list.clear(submission_->list.retains());
  direct_.list = &submission_->list;
  direct_.plan = &submission_->recorded_plan;
  direct_.planner.begin(*direct_.plan, direct_mode_);
  direct_.plan->list = direct_.list;
  direct_.unannotated = 0;
  current_ = &direct_;
  phase_ = Phase::kRecording;
  error_.reset();
  pending_op_.reset();
  pending_reads_.clear();
  pending_writes_.clear();
  timelines_.clear();
  scopes_.clear();
  scope_text_.clear();
  scope_ends_.clear();
  building_label_ = ir::NameId::kNone;
}

Result<> EncoderState::begin() {
  if (is_capturing())
    return base::fail(ErrorCode::kInvalidState, "A capture is open; take_capture() ends it.");
  flush_counters();
  start_recording();
  return {};
}

bool EncoderState::ready() {
  if (error_) [[unlikely]]
    return false;
  if (phase_ == Phase::kCommitted) [[unlikely]] {
    refuse(ErrorCode::kInvalidState,
           "The encoder records after a commit; call begin() before the next recording.");
    return false;
  }
  return true;
}

void EncoderState::refuse(ErrorCode code, std::string message) {
  fail({code, std::move(message), {}, {}, {}});
}

void EncoderState::fail(Error error) {
  if (error_) return;
  if (phase_ == Phase::kRecording) {
    current_->list->drop_unowned();
    if (!error.dispatch_index)
      error.dispatch_index = static_cast<std::uint32_t>(current_->list->size());
    if (error.label_path.empty()) {
      const auto add = [&path = error.label_path](std::string_view name) {
        path.append(path.empty() || name.empty() ? "" : "/").append(name);
      };
      for (std::size_t i = 0; i < scope_ends_.size(); ++i) add(scope_name(i));
      add(current_->list->name(building_label_));
    }
  }
  error_ = std::move(error);
}

void EncoderState::start_command(ir::Command& command, ir::CommandKind kind,
                                 std::string_view label) {
  const ir::CommandList& list = *current_->list;
  command.kind = kind;
  command.first_argument = list.argument_total();
  command.first_range = list.range_total();
  command.first_shared = list.shared_total();
  command.scope = scope();
  building_arguments_begin_ = command.first_argument;
  if (!label.empty()) command.label = current_->list->add_name(label);
  building_label_ = command.label;
}

ir::Command EncoderState::new_command(ir::CommandKind kind) {
  ir::Command command;
  start_command(command, kind, {});
  return command;
}

void EncoderState::append(const ir::Command& command, bool infer) {
  ir::CommandList& list = *current_->list;
  list.append(command);
  building_label_ = ir::NameId::kNone;
  current_->planner.append(list, static_cast<std::uint32_t>(list.size() - 1), *current_->plan,
                           infer);
  if (command.kind == ir::CommandKind::kBarrier) return;
  current_->unannotated += command.unannotated ? 1 : 0;
  ++unflushed_dispatches_;
}

void EncoderState::append_tracked(const ir::Command& command) {
  ir::CommandList& list = *current_->list;
  list.append(command);
  building_label_ = ir::NameId::kNone;
  current_->planner.append(static_cast<std::uint32_t>(list.size() - 1),
                           {building_ranges_.data(), building_range_count_}, *current_->plan);
  current_->unannotated += command.unannotated ? 1 : 0;
  ++unflushed_dispatches_;
}

// Labels.

void EncoderState::push_label(std::string_view label) {
  if (!ready()) return;
  if (label.empty()) return refuse("A label is empty; it needs at least one character.");
  scopes_.push_back(current_->list->add_name(label, scope()));
  scope_text_.append(label);
  scope_ends_.push_back(scope_text_.size());
}

void EncoderState::pop_label() {
  if (!ready()) return;
  if (scopes_.empty())
    return refuse(ErrorCode::kInvalidState, "A label is popped but none is pushed.");
  scopes_.pop_back();
  scope_ends_.pop_back();
  scope_text_.resize(scope_ends_.empty() ? 0 : scope_ends_.back());
}

/// Names live in a list, so the open scopes enter the current one anew.
void EncoderState::enter_scopes() {
  scopes_.clear();
  for (std::size_t i = 0; i < scope_ends_.size(); ++i)
    scopes_.push_back(current_->list->add_name(scope_name(i), scope()));
}

// Stateful form.

void EncoderState::set_kernel(const Kernel& kernel) {
  if (!ready()) return;
  if (kernel.impl() == bound_kernel_.impl()) return;
  bound_kernel_ = kernel;
  bound_arguments_.clear();
  bound_shared_.clear();
}

void EncoderState::set_argument(std::uint32_t index, const KernelArg& arg) {
  if (!ready()) return;
  if (!bound_kernel_)
    return refuse(ErrorCode::kInvalidState, "An argument is set but no kernel is.");
  const std::uint32_t count = bound_kernel_.impl()->argument_count;
  if (index >= count) {
    return refuse("Argument {} is set but kernel \"{}\" takes {}.", index, bound_kernel_.name(),
                  count);
  }
  bound_arguments_.resize(count);
  BoundArgument& bound = bound_arguments_[index];
  bound.arg = arg;
  if (arg.kind() == KernelArg::Kind::kBytes) {
    bound.bytes.assign(arg.data(), arg.data() + arg.size());
    bound.slots.assign(arg.bytes_slots().begin(), arg.bytes_slots().end());
    bound.names.clear();
    for (const BytesSlot& slot : bound.slots) bound.names.emplace_back(slot.name);
    for (std::size_t i = 0; i < bound.slots.size(); ++i) bound.slots[i].name = bound.names[i];
    bound.arg = KernelArg::bytes(bound.bytes, bound.slots);
  } else {
    bound.buffer = Buffer(arg.state());
    if (!arg.has_slots()) return;
    bound.names.assign(1, std::string(arg.view_slot()));
    bound.arg = arg.with_slot_name(bound.names.front());
  }
}

void EncoderState::set_shared_memory(std::uint32_t index, std::uint32_t size_bytes) {
  if (!ready()) return;
  const auto known = std::ranges::find(bound_shared_, index, &SharedMemorySize::parameter);
  if (known != bound_shared_.end())
    known->size_bytes = size_bytes;
  else
    bound_shared_.push_back({index, size_bytes});
}

void EncoderState::dispatch_stateful(Grid grid, Extent3 group_size) {
  if (!ready()) return;
  if (!bound_kernel_)
    return refuse(ErrorCode::kInvalidState, "The dispatch has no kernel; set_kernel() sets it.");
  bound_arguments_.resize(bound_kernel_.impl()->argument_count);
  std::vector<KernelArg> args;
  for (const BoundArgument& bound : bound_arguments_) args.push_back(bound.arg);
  DispatchOptions options;
  options.group_size = group_size;
  options.shared_memory = bound_shared_;
  dispatch(bound_kernel_.impl(), args, grid, options);
}

// Capture.

void EncoderState::start_capture() {
  if (!ready()) return;
  if (is_capturing())
    return refuse(ErrorCode::kInvalidState, "A capture is started while another one is open.");
  capture_ = std::make_shared<GraphState>(device_->core());
  capture_->mode = capture_mode_;
  captured_.list = &capture_->list;
  captured_.plan = &capture_plan_;
  captured_.planner.begin(capture_plan_, capture_mode_);
  capture_plan_.list = captured_.list;
  captured_.unannotated = 0;
  current_ = &captured_;
  enter_scopes();
}

Result<Graph> EncoderState::take_capture() {
  if (!is_capturing()) {
    if (error_) return std::unexpected(*error_);  // which is why start_capture() did nothing
    return base::fail(ErrorCode::kInvalidState, "A capture is taken but none was started.");
  }
  const std::shared_ptr<const GraphState> taken = std::exchange(capture_, nullptr);
  flush_counters();
  current_ = &direct_;
  enter_scopes();
  if (error_) return std::unexpected(*error_);
  return Graph(taken);
}

// Commit.

Result<> EncoderState::status() const {
  if (error_) return std::unexpected(*error_);
  return {};
}

Result<Submission> EncoderState::commit(std::string_view label, bool wait_at_once) {
  if (phase_ == Phase::kCommitted) {
    return base::fail(ErrorCode::kInvalidState,
                      "The recording is committed already; call begin() before the next one.");
  }
  if (is_capturing()) {
    return base::fail(ErrorCode::kInvalidState,
                      "The commit meets an open capture; take_capture() ends it.");
  }
  phase_ = Phase::kCommitted;
  flush_counters();
  const base::Ref<SubmissionState> submission = std::move(submission_);
  const TimelinePoints timelines = std::exchange(timelines_, {});
  if (error_) return std::unexpected(*error_);
  direct_.planner.finish(submission->list, submission->recorded_plan);
  const graph::PlanCounts& counts = direct_.planner.counts();
  submission->label.assign(label);
  submission->plan = &submission->recorded_plan;
  submission->time_commands = device_->core()->options().profile;
  submission->timelines.assign(timelines, *submission);
  SEGUE_TRY(device_->submit(submission, queue_, wait_at_once));
  Counters delta;
  delta.barriers_inferred = counts.inferred;
  delta.concurrent = direct_mode_ == BarrierMode::kAutomatic ? counts.concurrent : 0;
  device_->core()->counters.add(delta);
  return Submission(device_, submission);
}

void EncoderState::flush_counters() {
  if (unflushed_dispatches_ == 0) return;
  Counters delta;
  delta.dispatches_recorded = std::exchange(unflushed_dispatches_, 0);
  device_->core()->counters.add(delta);
}

RecordingStats EncoderState::stats() const {
  RecordingStats stats;
  if (phase_ == Phase::kCommitted) return stats;
  stats.commands = current_->plan->order.size();
  stats.barriers_inferred = current_->planner.counts().inferred;
  stats.barriers_requested = current_->planner.counts().requested;
  stats.concurrent = current_->planner.counts().concurrent;
  stats.unannotated = current_->unannotated;
  stats.live_ranges = current_->planner.live_range_count();
  return stats;
}

std::vector<BarrierInfo> EncoderState::barriers() const {
  std::vector<BarrierInfo> infos;
  if (phase_ == Phase::kCommitted) return infos;
  const ir::CommandList& list = *current_->list;
  for (std::size_t i = 0; i < current_->plan->barriers.size(); ++i) {
    infos.push_back(describe_barrier(list, graph::explain(*current_->plan, i)));
  }
  return infos;
}

}  // namespace segue::runtime
