// SPDX-License-Identifier: Apache-2.0
#include "segue/executable.hpp"

#include <utility>

#include "base/fail.hpp"
#include "runtime/executable_state.hpp"

namespace segue {

Executable::Executable() noexcept = default;
Executable::Executable(std::unique_ptr<runtime::ExecutableHandle> handle)
    : handle_(std::move(handle)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;
Executable::~Executable() = default;

namespace {

std::unexpected<Error> nothing_compiled() {
  return base::fail(ErrorCode::kInvalidState,
                    "The executable is empty; Graph::compile() makes one.");
}

}  // namespace

Result<SlotId> Executable::slot(std::string_view name) const {
  if (!handle_) return nothing_compiled();
  return handle_->state->find_slot(name);
}
std::vector<SlotInfo> Executable::slots() const {
  if (!handle_) return {};
  return runtime::describe_slots(handle_->state->list());
}
Result<> Executable::set(SlotId slot, const BufferView& view) {
  if (!handle_) return nothing_compiled();
  return handle_->state->set_view(slot, view);
}
Result<> Executable::set(SlotId slot, std::span<const std::byte> bytes) {
  if (!handle_) return nothing_compiled();
  return handle_->state->set_bytes(slot, bytes);
}
Result<> Executable::set(SlotId slot, Extent3 grid) {
  if (!handle_) return nothing_compiled();
  return handle_->state->set_grid(slot, grid);
}
Result<> Executable::load(SlotId slot, const BufferView& source) {
  if (!handle_) return nothing_compiled();
  return handle_->state->load(slot, source);
}

Result<Submission> Executable::submit(std::string_view label, Waiting waiting) {
  return submit({.label = label, .waiting = waiting});
}

Result<Submission> Executable::submit(const SubmitOptions& options) {
  if (!handle_) return nothing_compiled();
  return handle_->state->submit(handle_->device, options);
}

Result<> Executable::submit_and_wait(std::string_view label) {
  return submit_and_wait({.label = label});
}

Result<> Executable::submit_and_wait(const SubmitOptions& options) {
  if (!handle_) return nothing_compiled();
  SubmitOptions waited = options;
  waited.waiting = Waiting::kSoon;
  SEGUE_TRY_ASSIGN(Submission submission, handle_->state->submit(handle_->device, waited));
  Counters delta;
  delta.syncs = 1;
  handle_->device->core()->counters.add(delta);
  return submission.wait();
}

void Executable::set_profiling(bool on) {
  if (handle_) handle_->state->profiling = on;
}
ScheduleReport Executable::report() const {
  return handle_ ? handle_->state->report() : ScheduleReport{};
}
PlacementReport Executable::placement() const {
  return handle_ ? handle_->state->placement() : PlacementReport{};
}
std::vector<BarrierInfo> Executable::barriers() const {
  if (!handle_) return {};
  return runtime::describe_barriers(handle_->state->plan());
}
Certificate Executable::certify() const {
  return handle_ ? handle_->state->certify() : Certificate{};
}

}  // namespace segue
