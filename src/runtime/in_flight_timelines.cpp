// SPDX-License-Identifier: Apache-2.0
//
// What timelines have to do with submissions in flight: what the host may signal, and what is never
// signalled any more.
#include <algorithm>

#include "base/fail.hpp"
#include "runtime/device_core.hpp"
#include "runtime/submission_state.hpp"
#include "runtime/timeline_order.hpp"
#include "runtime/timeline_state.hpp"

namespace segue::runtime {
namespace {

bool any_waits(InFlight in_flight) {
  return std::ranges::any_of(in_flight, [](const SubmissionState* each) {
    return !each->retired && !each->timelines.waits().empty();
  });
}

/// Signals of submissions that the host would overtake.
Result<> check_unfinished_signals(InFlight in_flight, const TimelineState& timeline,
                                  std::uint64_t now, std::uint64_t value) {
  for (const SubmissionState* each : in_flight) {
    if (each->retired) continue;
    for (const TimelineUses::Point& signal : each->timelines.signals()) {
      if (signal.timeline.get() != &timeline || signal.value <= now || signal.value > value)
        continue;
      return base::fail(
          ErrorCode::kInvalidArgument,
          "The host signals value {} of timeline \"{}\" while {} is unfinished, which "
          "is to signal {}; until then the host must stay below.",
          value, timeline.label(), describe(*each), signal.value);
    }
  }
  return {};
}

}  // namespace

void DeviceCore::mark_lost() noexcept {
  if (lost_.exchange(true, std::memory_order_acq_rel)) return;
  const std::lock_guard lock(timelines_mutex_);
  for (TimelineState* timeline : timelines_) {
    timeline->mark_failed(
        timeline->reached_below(UINT64_MAX) + 1,
        {ErrorCode::kDeviceLost,
         fmt::format("Timeline \"{}\" fails: the device is lost.", timeline->label()),
         {},
         {},
         {}});
    timeline->end_waits(UINT64_MAX);
  }
}

void DeviceCore::add_timeline(TimelineState& timeline) {
  const std::lock_guard lock(timelines_mutex_);
  timelines_.push_back(&timeline);
}

void DeviceCore::remove_timeline(TimelineState& timeline) noexcept {
  const std::lock_guard lock(timelines_mutex_);
  std::erase(timelines_, &timeline);
}

Result<> DeviceCore::signal_timeline(TimelineState& timeline, std::uint64_t value) {
  // Under the lock, so that no submission comes in between that signals less.
  const std::lock_guard lock(in_flight_mutex_);
  SEGUE_TRY_ASSIGN(const std::uint64_t now, timeline.value());
  if (value <= now) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The host signals value {} of timeline \"{}\", which has reached {}; the "
                      "value must increase.",
                      value, timeline.label(), now);
  }
  SEGUE_TRY(check_unfinished_signals(in_flight_, timeline, now, value));
  return timeline.signal(value);
}

void DeviceCore::release_stalled() noexcept {
  // A submission may wait for several timelines, of which one becomes ripe after another.
  for (bool any_ripe = true; any_ripe;) {
    std::vector<BlockedWait> waits;
    {
      const std::lock_guard lock(in_flight_mutex_);
      if (!any_waits(in_flight_)) return;
      waits = find_stalls(in_flight_, Signallers::kHost).waits;
      spread_failure(in_flight_, nullptr, waits);
    }
    any_ripe = false;
    for (const BlockedWait& wait : waits) {
      if (!wait.ripe) continue;
      wait.timeline->end_waits(wait.value);
      any_ripe = true;
    }
  }
}

void DeviceCore::fail_signals(SubmissionState& submission) noexcept {
  if (submission.timelines.signals().empty()) return;
  {
    const std::lock_guard lock(in_flight_mutex_);
    spread_failure(in_flight_, &submission, {});
  }
  for (const TimelineUses::Point& signal : submission.timelines.signals())
    signal.timeline->end_waits(signal.value);
}

Result<> DeviceCore::make_room() {
  const std::size_t limit = hal_->limits().max_submissions_in_flight;
  for (;;) {
    base::Ref<SubmissionState> first;
    {
      const std::lock_guard lock(in_flight_mutex_);
      if (in_flight_.size() < limit) return {};
      std::size_t i = 0;
      if (any_waits(in_flight_)) {
        const Stalls stalls = find_stalls(in_flight_, Signallers::kOthers);
        i = static_cast<std::size_t>(std::ranges::find(stalls.stalled, false) -
                                     stalls.stalled.begin());
        if (i == in_flight_.size()) {
          return base::fail(
              ErrorCode::kBusy,
              "The device allows {} unfinished submissions, and so many wait until somebody "
              "signals, first of all value {} of timeline \"{}\".",
              limit, stalls.waits.front().value, stalls.waits.front().timeline->label());
        }
      }
      first = base::Ref(in_flight_[i]);
    }
    first->queue->wait(*first, std::nullopt);
  }
}

Result<> DeviceCore::check_progress(const SubmissionState& submission) {
  const std::lock_guard lock(in_flight_mutex_);
  const auto found = std::ranges::find(in_flight_, &submission);
  if (found == in_flight_.end() || !any_waits(in_flight_)) return {};
  const Stalls stalls = find_stalls(in_flight_, Signallers::kOthers);
  if (!stalls.stalled[static_cast<std::size_t>(found - in_flight_.begin())]) return {};
  // Its own wait if that is what stalls, else the first of what it may come after.
  const auto own = std::ranges::find_if(stalls.waits, [&submission](const BlockedWait& wait) {
    return std::ranges::any_of(
        submission.timelines.waits(), [&wait](const TimelineUses::Point& point) {
          return point.timeline == wait.timeline && point.value == wait.value;
        });
  });
  const BlockedWait& named = own != stalls.waits.end() ? *own : stalls.waits.front();
  return base::fail(ErrorCode::kBusy,
                    "Waiting for {} may take for ever: nothing that was submitted signals value {} "
                    "of timeline \"{}\".",
                    describe(submission), named.value, named.timeline->label());
}

}  // namespace segue::runtime
