// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/submission_state.hpp"

namespace segue::runtime {

/// Submissions that have not completed, in the order of submission. None may complete meanwhile:
/// call with DeviceCore's lock held.
using InFlight = std::span<SubmissionState* const>;

/// Refuses a submission that could never run, or never signal what it is to.
///
/// It comes after what is before it on its queue, what it conflicts with, and what signals exactly
/// a value that it waits for; and so on from there. (What signals a larger value it need not come
/// after, for somebody else may signal one in between.) Nobody that comes after a submission may
/// signal a value that this one waits for, or passes.
///
/// @error kInvalidArgument  Another submission comes before and waits for the value, or signals one
///                          that is not smaller; or the timeline has reached the value.
/// Otherwise why a timeline failed.
[[nodiscard]] Result<> check_order(InFlight in_flight, SubmissionState& added);

/// Who could still signal, besides submissions in flight.
enum class Signallers : std::uint8_t {
  kOthers,  ///< Other processes, where a timeline is shared with them.
  kHost,    ///< These, and the host where it has a handle; so may submissions to come.
};

struct BlockedWait {
  base::Ref<TimelineState> timeline;
  std::uint64_t value = 0;
  /// No submission that will complete signals the timeline, so its number can be raised by hand
  /// without meeting one.
  bool ripe = false;
};

/// Submissions that never complete, and the waits because of which they do not. There is one of
/// these if there is one of those.
struct Stalls {
  std::vector<bool> stalled;  ///< As the submissions in flight.
  std::vector<BlockedWait> waits;
};
[[nodiscard]] Stalls find_stalls(InFlight in_flight, Signallers signallers);

/// Marks the timelines as failed that `failed` was to signal, that `waits` wait for in vain, and
/// that fail with those: submissions that wait for what failed fail when they complete, and with
/// them what they were to signal. All of this is known before any wait ends, so that nobody takes
/// what a failed submission still signals for good. Values stay good that are reached, or that
/// submissions signal which do not fail.
void spread_failure(InFlight in_flight, SubmissionState* failed,
                    std::span<const BlockedWait> waits);

}  // namespace segue::runtime
