// SPDX-License-Identifier: Apache-2.0
#include "runtime/submission_state.hpp"

#include <fmt/format.h>

#include <utility>

#include "runtime/executable_state.hpp"

namespace segue::runtime {

std::string describe(const SubmissionState& submission) {
  if (!submission.label.empty()) return fmt::format("submission \"{}\"", submission.label);
  if (submission.serial == 0) return "this submission";
  return fmt::format("submission {}", submission.serial);
}

void SubmissionState::complete(hal::Outcome&& outcome) noexcept {
  const DeviceThreadScope scope;  // what the list kept alive may hold the last handle of the device
  outcome_ = std::move(outcome);
  if (!outcome_.error && check_lifetimes) outcome_.error = find_freed_buffer();
  if (!timelines.empty()) settle_timelines();
  if (outcome_.error && outcome_.error->code == ErrorCode::kDeviceLost) core_.mark_lost();
  if (outcome_.error && outcome_.error->label_path.empty()) outcome_.error->label_path = label;
  Counters delta;
  delta.command_buffers = outcome_.command_buffers;
  delta.barriers_issued = outcome_.barriers_issued;
  delta.barrier_ns = outcome_.barrier_ns;
  core_.counters.add(delta);

  if (time_commands) collect_times();

  // Resources go before anybody learns of the completion, so that whoever waited finds them free.
  core_.retire_submission(*this);
  list.clear();
  finish_replay();
  predecessors.clear();
  DeviceCore& core = core_;
  const bool used_timelines = !timelines.empty();
  if (used_timelines) timelines.clear(*this);
  const std::uint8_t flags = flags_.fetch_or(kFinished);
  if ((flags & kHasCallbacks) != 0) run_callbacks();
  if ((flags & kAbandoned) != 0) report_if_unseen();
  // The reference of being in flight goes before `completed` is set, so that whoever waited can use
  // the recording again at once; what comes after that does not touch it. See destroy().
  if (core.unregister_submission(*this)) core.recycle(this);
  if (used_timelines && core.hopeless_timelines.load() != 0) core.release_stalled();
}

/// Passes failure on from what was waited for to what was to be signalled.
void SubmissionState::settle_timelines() noexcept {
  for (const TimelineUses::Point& wait : timelines.waits()) {
    if (!outcome_.error) outcome_.error = wait.timeline->failure_at(wait.value);
  }
  if (outcome_.error) return core_.fail_signals(*this);
  for (const TimelineUses::Point& signal : timelines.signals())
    signal.timeline->note_reached(signal.value);
}

void SubmissionState::on_complete(CompletionCallback callback) {
  {
    const std::lock_guard lock(callbacks_mutex_);
    callbacks_.push_back(std::move(callback));
    const std::uint8_t flags = flags_.fetch_or(kHasCallbacks);
    if ((flags & kFinished) == 0) return;
  }
  run_callbacks();
}

/// By the thread that completes the submission, and by any that comes with a callback afterwards.
/// Each callback is called by whoever takes it out.
void SubmissionState::run_callbacks() noexcept {
  std::vector<CompletionCallback> callbacks;
  {
    const std::lock_guard lock(callbacks_mutex_);
    callbacks.swap(callbacks_);
  }
  for (const CompletionCallback& callback : callbacks) callback(result());
}

void SubmissionState::abandon() noexcept {
  if ((flags_.fetch_or(kAbandoned) & kFinished) != 0) report_if_unseen();
}

void SubmissionState::report_if_unseen() noexcept {
  if (first_part) first_part->report_if_unseen();  // completed before: same queue
  if (outcome_.error && !error_observed_.exchange(true)) core_.report(*outcome_.error);
}

/// Labels are read off the list while it is there.
void SubmissionState::collect_times() {
  for (const hal::CommandTime& time : outcome_.command_times) {
    DispatchTime dispatch;
    const ir::Command& command = plan->list->commands()[time.command];
    dispatch.label = plan->list->label_path(command);
    if (dispatch.label.empty()) dispatch.label = ir::to_string(command.kind);
    dispatch.command = first_command + time.command;
    dispatch.start_seconds = time.start_seconds;
    dispatch.end_seconds = time.end_seconds;
    core_.label_times.add(dispatch);
    dispatch_times_.push_back(std::move(dispatch));
  }
}

void SubmissionState::finish_replay() noexcept {
  if (!replayed) return;
  replay_resources = {};
  // The instance is free before the executable may go with this reference.
  const std::shared_ptr<ExecutableState> executable = std::move(replayed);
  executable->release_instance(instance);
}

Result<> SubmissionState::result() {
  if (first_part) SEGUE_TRY(first_part->result());
  if (!outcome_.error) return {};
  error_observed_.store(true);
  return std::unexpected(*outcome_.error);
}

std::optional<Error> SubmissionState::find_freed_buffer() const {
  for (const ir::ResourceUse& use : list.resources()) {
    if (use.storage->handles.load() != 0) continue;
    return Error{
        ErrorCode::kInvalidState,
        fmt::format(
            "Buffer \"{}\" was freed before the unretained recording that uses it completed.",
            use.storage->label),
        {},
        {},
        {}};
  }
  return std::nullopt;
}

void SubmissionState::reset(bool retain) {
  list.clear(retain);
  recorded_plan.clear();
  label.clear();
  serial = 0;
  retired = false;
  replayed.reset();
  replay_resources = {};
  first_part = {};
  first_command = 0;
  program = nullptr;
  ticket = 0;
  ticket_queue = nullptr;
  instance = 0;
  loads = {};
  time_commands = false;
  queue = nullptr;
  predecessors.clear();
  wait_list.clear();
  waits = {};
  timelines.clear(*this);
  callbacks_.clear();
  waited_for = false;
  name = {};
  check_lifetimes = false;
  outcome_ = {};
  dispatch_times_.clear();
  error_observed_.store(false);
  flags_.store(0);
  completed.store(false);
}

void SubmissionState::destroy() noexcept {
  const bool submitted = serial != 0;
  if (submitted) wait_completed();  // for the last few instructions of complete(), if at all
  core_.recycle(this);
}

}  // namespace segue::runtime
