// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "segue/access.hpp"

namespace segue {

/// Who places the barriers of a recording.
enum class BarrierMode : std::uint8_t {
  kAutomatic,  ///< Inferred from what each command reads and writes; hand-placed ones come on top.
  kManual,     ///< Only hand-placed ones; a forgotten barrier is a race.
};

/// Why two accesses need an order, `later` coming after `earlier` in recorded order. No value if
/// they need none. A later access that reads is named read-after-write even if it writes too.
[[nodiscard]] constexpr std::optional<HazardKind> hazard_between(const AccessRange& earlier,
                                                                 const AccessRange& later) {
  if (!conflicts(earlier, later)) return std::nullopt;
  if (!writes(earlier.access)) return HazardKind::kWriteAfterRead;
  return reads(later.access) ? HazardKind::kReadAfterWrite : HazardKind::kWriteAfterWrite;
}

/// The bytes that two ranges of one memory share, with the access of `later`. Empty at 0 if they
/// share none.
[[nodiscard]] constexpr AccessRange shared_bytes(const AccessRange& earlier,
                                                 const AccessRange& later) {
  if (earlier.memory != later.memory ||
      !overlaps(earlier.begin, earlier.end, later.begin, later.end)) {
    return {later.memory, 0, 0, later.access};
  }
  return {later.memory, std::max(earlier.begin, later.begin), std::min(earlier.end, later.end),
          later.access};
}

/// What a HazardTracker finds in the way of a new dispatch.
struct Conflict {
  HazardKind hazard = HazardKind::kReadAfterWrite;
  std::uint32_t range_index = 0;  ///< The first of the new ranges that meets a live one.
  AccessRange range;              ///< Bytes that both touch, with the access of the new range.
};

/// Remembers what the dispatches since the last barrier read and wrote, and says whether another
/// one may join them.
///
/// Knows no device. Ranges of one call are those of one dispatch and never conflict with each
/// other: a kernel may read and write the same bytes in place. The cost of a check does not depend
/// on what other memories hold, and grows with the logarithm of what the range's own memory holds.
/// Memory is kept across reset(), so that a repeated sequence allocates nothing.
///
/// Not thread-safe. A moved-from tracker may only be destroyed or assigned to.
class HazardTracker {
 public:
  /// The first conflict of `ranges` with the live ones, or no value. Empty ranges never conflict.
  [[nodiscard]] std::optional<Conflict> check(std::span<const AccessRange> ranges) const;

  /// Makes `ranges` live, whether they conflict or not.
  void add(std::span<const AccessRange> ranges);

  /// check(), then reset() on conflict, then add(): `ranges` join the group, or start the next one
  /// behind a barrier.
  std::optional<Conflict> check_and_add(std::span<const AccessRange> ranges);

  [[nodiscard]] std::optional<Conflict> check(std::initializer_list<AccessRange> ranges) const {
    return check(std::span(ranges.begin(), ranges.size()));
  }
  void add(std::initializer_list<AccessRange> ranges) {
    add(std::span(ranges.begin(), ranges.size()));
  }
  std::optional<Conflict> check_and_add(std::initializer_list<AccessRange> ranges) {
    return check_and_add(std::span(ranges.begin(), ranges.size()));
  }

  /// Forgets all live ranges, as a barrier does. Constant time.
  void reset() {
    live_ranges_ = 0;
    if (indexed_) clear_index();
  }

  /// How many non-empty ranges were added since the last reset().
  [[nodiscard]] std::size_t live_range_count() const { return live_ranges_; }

 private:
  struct Interval {
    std::uint64_t begin = UINT64_MAX;
    std::uint64_t end = 0;
  };
  /// Several intervals of one memory: `sorted` disjoint ones in ascending order, then a short tail
  /// of new ones.
  struct IntervalSet {
    std::vector<Interval> intervals;
    std::size_t sorted = 0;

    [[nodiscard]] const Interval* find_overlap(std::uint64_t begin, std::uint64_t end) const;
    void start(const Interval& first, const Interval& second);
    void insert(std::uint64_t begin, std::uint64_t end);
    void sort_tail();
  };
  /// Intervals of one memory under one kind of access: the hull itself, or a set within it.
  struct Coverage {
    Interval hull;
    std::uint32_t set = 0;  ///< 1 + position in sets_; 0: the hull is the only interval.
  };
  /// What is live of one memory; stale, and so free, if its epoch is not the tracker's. One cache
  /// line.
  struct alignas(64) Slot {
    MemoryId memory = MemoryId::kNone;
    std::uint64_t epoch = 0;
    Coverage reads;
    Coverage writes;
  };
  static constexpr std::size_t kFlatRanges = 16;

  void check_flat(std::span<const AccessRange> ranges, std::optional<Conflict>& conflict) const;
  void add_to_flat(std::span<const AccessRange> ranges);
  void check_index(std::span<const AccessRange> ranges, std::optional<Conflict>& conflict) const;
  [[nodiscard]] bool check_and_add_to_index(std::span<const AccessRange> ranges,
                                            std::optional<Conflict>& conflict);
  void add_to_index(std::span<const AccessRange> ranges);
  [[nodiscard]] bool check_slot(const Slot& slot, const AccessRange& range, std::size_t range_index,
                                std::optional<Conflict>& conflict) const;
  void add_to_slot(Slot& slot, const AccessRange& range);
  void clear_index();
  [[nodiscard]] const Slot* find(MemoryId memory) const;
  [[nodiscard]] Slot& find_or_claim(MemoryId memory);
  void reserve_slots(std::size_t more_memories);
  void grow(std::size_t slot_count);
  [[nodiscard]] const Interval* find_overlap(const Coverage& coverage,
                                             const AccessRange& range) const;
  void insert(Coverage& coverage, std::uint64_t begin, std::uint64_t end);

  std::size_t live_ranges_ = 0;
  bool indexed_ = false;                       ///< Live ranges are in the index, not in flat_.
  std::array<AccessRange, kFlatRanges> flat_;  ///< The live ranges while they are few.

  std::vector<Slot>
      slots_;  ///< Open addressing, a power of two long, at most a quarter of it live.
  std::vector<IntervalSet> sets_;
  std::uint64_t epoch_ = 1;
  std::uint32_t shift_ = 64;  ///< 64 - log2(slots_.size()).
  std::uint32_t live_memories_ = 0;
  std::uint32_t used_sets_ = 0;
};

}  // namespace segue
