// SPDX-License-Identifier: Apache-2.0
#include "segue/submission.hpp"

#include <utility>

#include "base/fail.hpp"
#include "runtime/deadline.hpp"
#include "runtime/device_state.hpp"
#include "runtime/submission_state.hpp"

namespace segue {
namespace {

std::unexpected<Error> nothing_submitted() {
  return base::fail(ErrorCode::kInvalidState,
                    "The submission is empty: nothing was committed to wait for.");
}

}  // namespace

Submission::Submission() noexcept = default;

Submission::Submission(std::shared_ptr<runtime::DeviceState> device,
                       base::Ref<runtime::SubmissionState> state)
    : device_(std::move(device)), state_(std::move(state)) {}

Submission::Submission(Submission&& other) noexcept
    : device_(std::move(other.device_)), state_(std::exchange(other.state_, {})) {}

Submission& Submission::operator=(Submission&& other) noexcept {
  Submission moved(std::move(other));
  std::swap(device_, moved.device_);
  std::swap(state_, moved.state_);
  return *this;
}

Submission::~Submission() {
  if (state_) state_->abandon();
  state_ = {};  // before the device, to whose free list it goes back
}

Result<> Submission::wait() {
  if (!state_) return nothing_submitted();
  // The first part of an early start completes before the second: same queue.
  if (!state_->done()) state_->queue->wait(*state_, std::nullopt);
  return state_->result();
}

Result<std::vector<DispatchTime>> Submission::dispatch_times() const {
  if (!is_done()) {
    return base::fail(ErrorCode::kInvalidState,
                      "The times of a submission's dispatches are known once it completed.");
  }
  if (!state_->first_part) return state_->dispatch_times();
  std::vector<DispatchTime> times = state_->first_part->dispatch_times();
  const std::vector<DispatchTime>& rest = state_->dispatch_times();
  times.insert(times.end(), rest.begin(), rest.end());
  return times;
}

Result<> Submission::wait_for(std::chrono::nanoseconds timeout) {
  if (!state_) return nothing_submitted();
  if (!state_->done() && !state_->queue->wait(*state_, runtime::deadline_after(timeout))) {
    return base::fail(ErrorCode::kTimeout, "The submission \"{}\" has not completed within {} ns.",
                      state_->label, timeout.count());
  }
  return state_->result();
}

void Submission::on_complete(CompletionCallback callback) {
  if (!state_) return callback(nothing_submitted());
  state_->on_complete(std::move(callback));
}

bool Submission::is_done() const { return state_ && state_->done(); }

SubmissionStatus Submission::status() const {
  if (!is_done()) return SubmissionStatus::kPending;
  const bool failed =
      state_->outcome().error || (state_->first_part && state_->first_part->outcome().error);
  return failed ? SubmissionStatus::kFailed : SubmissionStatus::kCompleted;
}

Result<GpuTime> Submission::gpu_time() const {
  if (!is_done()) {
    return base::fail(ErrorCode::kInvalidState,
                      "The device time of a submission is known once it completed.");
  }
  const runtime::SubmissionState& first = state_->first_part ? *state_->first_part : *state_;
  return GpuTime{first.outcome().start_seconds, state_->outcome().end_seconds};
}

std::string_view Submission::label() const {
  return state_ ? std::string_view(state_->label) : std::string_view();
}

NativeHandle Submission::native_handle() const {
  if (!state_) return {"none", nullptr, 0};
  if (state_->queue != nullptr) {
    NativeHandle handle = state_->queue->native_handle(*state_);
    if (!handle.type.empty()) return handle;
  }
  return {"serial", state_.get(), state_->serial};
}

}  // namespace segue
