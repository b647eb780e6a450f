// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "segue/access.hpp"

namespace segue {

/// In which order the commands of a graph run. Every schedule keeps each dependency and each
/// hand-placed barrier, so all give the same results, bit for bit.
enum class Schedule : std::uint8_t {
  kRecorded,  ///< As recorded.
  /// Greedy: before a barrier is placed, up to 64 commands ahead are searched for ones that still
  /// fit before it; kinds that are not is_reorderable() end the search. For comparison.
  kLookahead,
  kCriticalPath,  ///< By dependency level: the fewest barriers that any order allows. Default.
  kRandom,        ///< Some legal order, drawn from a seed. For testing.
};
[[nodiscard]] std::string_view to_string(Schedule schedule);

/// What a schedule costs.
struct ScheduleReport {
  Schedule schedule = Schedule::kCriticalPath;
  std::uint32_t dispatches = 0;     ///< Commands that run: hand-placed barriers are not counted.
  std::uint32_t barriers = 0;       ///< Hand-placed ones included.
  std::uint32_t critical_path = 0;  ///< Commands in the longest chain in which each waits for the
                                    ///< one before it; a hand-placed barrier makes later wait too.
  std::uint32_t bound = 0;   ///< critical_path - 1: no schedule has fewer barriers. 0 if empty.
  std::uint32_t elided = 0;  ///< Of a barrier between any two commands, how many are not there.
};

/// A barrier of a recording and why it is there.
struct BarrierInfo {
  bool requested = false;  ///< By hand; the rest has no meaning then but `later`.
  HazardKind hazard = HazardKind::kReadAfterWrite;
  std::uint32_t earlier = 0;  ///< Command index in the recording.
  std::uint32_t later = 0;
  std::string earlier_label;
  std::string later_label;
  std::string buffer_label;
  AccessRange range;
  [[nodiscard]] std::string to_string() const;
};

}  // namespace segue
