// SPDX-License-Identifier: Apache-2.0
#include "runtime/submission_state.hpp"

#include <fmt/format.h>

#include <utility>

namespace segue::runtime {

void SubmissionState::complete(hal::Outcome&& outcome) noexcept {
  const DeviceThreadScope scope;  // what the list kept alive may hold the last handle of the device
  outcome_ = std::move(outcome);
  if (!outcome_.error && check_lifetimes) outcome_.error = find_freed_buffer();
  if (outcome_.error && outcome_.error->code == ErrorCode::kDeviceLost) core_.mark_lost();
  Counters delta;
  delta.command_buffers = outcome_.command_buffers;
  delta.barriers_issued = outcome_.barriers_issued;
  delta.barrier_ns = outcome_.barrier_ns;
  core_.counters.add(delta);

  // Resources go before anybody learns of the completion, so that whoever waited finds them free.
  core_.retire_submission(*this);
  list.clear();
  predecessors.clear();
  if ((flags_.fetch_or(kFinished) & kAbandoned) != 0) report_if_unseen();
  // The reference of being in flight goes before `completed` is set, so that whoever waited can use
  // the recording again at once; what comes after that does not touch it. See destroy().
  if (core_.unregister_submission(*this)) core_.recycle(this);
}

void SubmissionState::abandon() noexcept {
  if ((flags_.fetch_or(kAbandoned) & kFinished) != 0) report_if_unseen();
}

void SubmissionState::report_if_unseen() noexcept {
  if (outcome_.error && !error_observed_.exchange(true)) core_.report(*outcome_.error);
}

Result<> SubmissionState::result() {
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
  queue = nullptr;
  predecessors.clear();
  wait_list.clear();
  waits = {};
  waited_for = false;
  check_lifetimes = false;
  outcome_ = {};
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
