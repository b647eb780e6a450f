// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace segue {

/// What happened since the start or the last reset. The meanings hold for direct encoding and for
/// replay.
struct Counters {
  std::uint64_t syncs = 0;  ///< Waits that blocked through commit_and_wait() in any form.
  std::uint64_t dispatches_recorded =
      0;  ///< At recording, captured or not; fills, copies and uploads included.
  std::uint64_t dispatches_executed = 0;  ///< At submission, each replay included.
  std::uint64_t command_buffers = 0;      ///< Native ones begun; on the host, plans started.
  std::uint64_t barriers_issued = 0;      ///< Really handed to the device, inferred ones included.
  std::uint64_t barriers_inferred = 0;    ///< Placed because two dispatches conflict.
  std::uint64_t concurrent = 0;  ///< Tracked dispatches that needed no barrier before them.
  std::uint64_t boundary_waits =
      0;  ///< Orderings against earlier submissions, other queues and the host.
  std::uint64_t barrier_ns =
      0;  ///< CPU time of the barrier calls, if DeviceOptions::profile_barriers.
  std::uint64_t residency_flushes = 0;  ///< Commits that changed what is resident.

  /// concurrent / (concurrent + barriers_inferred): the share of dispatches that a barrier after
  /// each would have stalled for nothing. No value when nothing was tracked.
  [[nodiscard]] std::optional<double> elision_rate() const {
    const std::uint64_t tracked = concurrent + barriers_inferred;
    if (tracked == 0) return std::nullopt;
    return static_cast<double>(concurrent) / static_cast<double>(tracked);
  }
};

/// Device time of the dispatches with one label path, in seconds; see DeviceOptions::profile.
struct LabelTime {
  std::string label;  ///< Scopes and label, joined by '/'; the kernel's name without a label.
  std::uint64_t count = 0;
  double total_seconds = 0;
  double min_seconds = 0;
  double max_seconds = 0;
};

/// Counters of all devices of this process together.
[[nodiscard]] Counters process_counters();
void reset_process_counters();

}  // namespace segue
