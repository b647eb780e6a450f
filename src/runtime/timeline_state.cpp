// SPDX-License-Identifier: Apache-2.0
#include "runtime/timeline_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "runtime/device_core.hpp"

namespace segue::runtime {

TimelineState::TimelineState(std::shared_ptr<DeviceCore> core,
                             std::unique_ptr<hal::Timeline> native, std::string label,
                             std::uint64_t initial, bool shared)
    : core_(std::move(core)),
      native_(std::move(native)),
      label_(std::move(label)),
      shared_(shared),
      reached_(initial) {
  core_->add_timeline(*this);
}

void TimelineState::destroy() noexcept {
  core_->remove_timeline(*this);
  if (hopeless_.load(std::memory_order_relaxed)) --core_->hopeless_timelines;
  delete this;
}

void TimelineState::count_as_hopeless() noexcept {
  if (!hopeless_.exchange(true)) ++core_->hopeless_timelines;
}

void TimelineState::add_handle() noexcept {
  if (handles_.fetch_add(1, std::memory_order_relaxed) == 0) retain();
}

void TimelineState::drop_handle() noexcept {
  if (handles_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  count_as_hopeless();
  core_->release_stalled();
  release();
}

bool TimelineState::host_may_signal() const {
  return (handles_.load(std::memory_order_acquire) != 0 || shared()) &&
         !failed_.load(std::memory_order_acquire);
}

Result<std::uint64_t> TimelineState::value() {
  if (auto error = failure()) return std::unexpected(*std::move(error));
  return native_->value();
}

Result<bool> TimelineState::wait(std::uint64_t value,
                                 std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (auto error = failure_at(value)) return std::unexpected(*std::move(error));
  Result<bool> reached = native_->wait(value, deadline);
  if (auto error = failure_at(value)) return std::unexpected(*std::move(error));
  if (!reached && reached.error().code == ErrorCode::kDeviceLost) core_->mark_lost();
  return reached;
}

Result<NativeHandle> TimelineState::export_handle() {
  SEGUE_TRY_ASSIGN(NativeHandle handle, native_->export_handle());
  shared_.store(true, std::memory_order_relaxed);
  return handle;
}

Result<> TimelineState::signal(std::uint64_t value) {
  SEGUE_TRY(native_->signal(value));
  note_reached(value);
  return {};
}

bool TimelineState::is_over(std::uint64_t value) {
  {
    const std::lock_guard lock(mutex_);
    if (value <= ended_) return true;
  }
  const Result<std::uint64_t> now = native_->value();
  return !now || *now >= value;
}

std::optional<Error> TimelineState::failure_at(std::uint64_t value) {
  if (!failed_.load(std::memory_order_acquire)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (value < first_failed_) return std::nullopt;
  return failure_;
}

void TimelineState::note_reached(std::uint64_t value) noexcept {
  const std::lock_guard lock(mutex_);
  reached_ = std::max(reached_, value);
}

std::uint64_t TimelineState::reached_below(std::uint64_t limit) {
  // Where the number is there already, a device has raised it in spite of a failure and no longer
  // tells what was before.
  const Result<std::uint64_t> now = native_->value();
  const std::lock_guard lock(mutex_);
  return now && *now < limit ? std::max(*now, reached_) : reached_;
}

void TimelineState::mark_failed(std::uint64_t first, const Error& error) noexcept {
  const std::lock_guard lock(mutex_);
  first_failed_ = failure_ ? std::min(first_failed_, first) : first;
  if (failure_) return;
  failure_ = error;
  failed_.store(true, std::memory_order_release);
  count_as_hopeless();
}

void TimelineState::end_waits(std::uint64_t value) noexcept {
  const std::lock_guard lock(mutex_);
  ended_ = std::max(ended_, value);
  native_->fail(value, *failure_);
}

// Points.

namespace {

const TimelinePoint* find(std::span<const TimelinePoint> points, const Timeline& timeline) {
  const auto found = std::ranges::find(points, timeline, &TimelinePoint::timeline);
  return found == points.end() ? nullptr : &*found;
}

Result<> check(const DeviceCore& core, const Timeline& timeline, std::string_view use) {
  if (!timeline) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "A timeline to be {} is an empty handle; Device::create_timeline() makes one.", use);
  }
  if (&timeline.state()->core() == &core) return {};
  return base::fail(ErrorCode::kInvalidArgument,
                    "Timeline \"{}\" is to be {} by a submission of another device.",
                    timeline.label(), use);
}

Result<> check_apart(const Timeline& timeline, std::uint64_t waited, std::uint64_t signalled) {
  if (waited < signalled) return {};
  return base::fail(ErrorCode::kInvalidArgument,
                    "A submission waits for value {} of timeline \"{}\" and signals value {}; it "
                    "must signal a larger one.",
                    waited, timeline.label(), signalled);
}

}  // namespace

Result<> TimelinePoints::add_wait(const DeviceCore& core, const Timeline& timeline,
                                  std::uint64_t value) {
  SEGUE_TRY(check(core, timeline, "waited for"));
  if (auto error = timeline.state()->failure_at(value)) return std::unexpected(*std::move(error));
  if (const TimelinePoint* signal = find(signals_, timeline))
    SEGUE_TRY(check_apart(timeline, value, signal->value));
  const auto known = std::ranges::find(waits_, timeline, &TimelinePoint::timeline);
  if (known == waits_.end())
    waits_.push_back({timeline, value});
  else
    known->value = std::max(known->value, value);
  return {};
}

Result<> TimelinePoints::add_signal(const DeviceCore& core, const Timeline& timeline,
                                    std::uint64_t value) {
  SEGUE_TRY(check(core, timeline, "signalled"));
  SEGUE_TRY_ASSIGN(const std::uint64_t now, timeline.value());
  if (value <= now) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "A submission is to signal value {} of timeline \"{}\", which has reached {}; "
        "the value must increase.",
        value, timeline.label(), now);
  }
  if (const TimelinePoint* wait = find(waits_, timeline))
    SEGUE_TRY(check_apart(timeline, wait->value, value));
  if (const TimelinePoint* signal = find(signals_, timeline)) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "A submission is to signal values {} and {} of timeline \"{}\"; it signals "
                      "each timeline once.",
                      signal->value, value, timeline.label());
  }
  signals_.push_back({timeline, value});
  return {};
}

// Uses.

void TimelineUses::assign(const TimelinePoints& points, hal::Job& job) {
  clear(job);
  for (const std::span<const TimelinePoint> each : {points.waits(), points.signals()}) {
    for (const TimelinePoint& point : each) {
      points_.push_back({base::Ref(point.timeline.state()), point.value});
      native_.push_back({&point.timeline.state()->native(), point.value});
    }
  }
  wait_count_ = points.waits().size();
  job.timeline_waits = std::span(native_).first(wait_count_);
  job.timeline_signals = std::span(native_).subspan(wait_count_);
}

void TimelineUses::clear(hal::Job& job) noexcept {
  job.timeline_waits = {};
  job.timeline_signals = {};
  points_.clear();
  native_.clear();
  wait_count_ = 0;
}

}  // namespace segue::runtime
