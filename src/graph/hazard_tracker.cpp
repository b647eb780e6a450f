// SPDX-License-Identifier: Apache-2.0
//
// Few live ranges, as between most barriers of a decoder, stay in a flat array that fits the
// first-level cache. More go into an index: a hash table from memory to two coverages, what is read
// and what is written.
//
// A coverage keeps a hull, which most often is the only interval (an activation, a weight, a slice
// of a cache) and otherwise a quick reject, and from the second separate interval on a set. Joining
// overlapping and touching intervals loses nothing: a later range meets the union exactly if it
// meets one of the parts. Reads and writes are kept apart because reads may meet reads. In a set,
// new intervals wait in a tail of at most 64, which a check scans without branches; then they are
// merged into the sorted part, which a check searches in logarithmic time. So an addition moves a
// 64th of the set on average, and nothing at all where no set grows that long.
//
// A slot is live if it carries the current epoch, which makes reset() constant. Slots are never
// freed within an epoch, so linear probing needs no tombstones.
#include "segue/hazard.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace segue {
namespace {

constexpr std::size_t kFirstSlotCount = 128;
constexpr std::size_t kSlotsPerMemory = 4;  // Free slots stay out of the cache; collisions cost.
constexpr std::size_t kTailIntervals = 64;
constexpr std::size_t kFewRanges = 8;  // A dispatch has two to six.

/// Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4): 2^64 over the
/// golden ratio.
std::size_t home_slot(MemoryId memory, std::uint32_t shift) {
  return static_cast<std::size_t>((static_cast<std::uint64_t>(memory) * 0x9E3779B97F4A7C15u) >>
                                  shift);
}

}  // namespace

std::optional<Conflict> HazardTracker::check(std::span<const AccessRange> ranges) const {
  std::optional<Conflict> conflict;
  indexed_ ? check_index(ranges, conflict) : check_flat(ranges, conflict);
  return conflict;
}

void HazardTracker::add(std::span<const AccessRange> ranges) {
  if (indexed_) {
    add_to_index(ranges);
  } else if (live_ranges_ + ranges.size() <= kFlatRanges) {
    add_to_flat(ranges);
  } else {
    indexed_ = true;
    add_to_index({flat_.data(), std::exchange(live_ranges_, 0)});
    add_to_index(ranges);
  }
}

std::optional<Conflict> HazardTracker::check_and_add(std::span<const AccessRange> ranges) {
  std::optional<Conflict> conflict;
  if (!indexed_) {
    check_flat(ranges, conflict);
  } else if (ranges.size() <= kFewRanges) {
    if (check_and_add_to_index(ranges, conflict)) return conflict;
  } else {
    check_index(ranges, conflict);
  }
  if (conflict) reset();
  add(ranges);
  return conflict;
}

inline void HazardTracker::check_flat(std::span<const AccessRange> ranges,
                                      std::optional<Conflict>& conflict) const {
  for (const AccessRange& range : ranges) {
    for (std::size_t i = 0; i < live_ranges_; ++i) {
      if (!conflicts(flat_[i], range)) continue;
      conflict.emplace(*hazard_between(flat_[i], range),
                       static_cast<std::uint32_t>(&range - ranges.data()),
                       shared_bytes(flat_[i], range));
      return;
    }
  }
}

inline void HazardTracker::add_to_flat(std::span<const AccessRange> ranges) {
  for (const AccessRange& range : ranges) {
    flat_[live_ranges_] = range;
    live_ranges_ += range.begin < range.end ? 1 : 0;
  }
}

/// Looks each memory up once. False on conflict; slots claimed in vain go with the reset that
/// follows.
bool HazardTracker::check_and_add_to_index(std::span<const AccessRange> ranges,
                                           std::optional<Conflict>& conflict) {
  reserve_slots(ranges.size());
  std::array<Slot*, kFewRanges> slots;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    slots[i] = &find_or_claim(ranges[i].memory);
    if (check_slot(*slots[i], ranges[i], i, conflict)) return false;
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) add_to_slot(*slots[i], ranges[i]);
  return true;
}

inline const HazardTracker::Slot* HazardTracker::find(MemoryId memory) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = home_slot(memory, shift_);; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.epoch != epoch_) return nullptr;
    if (slot.memory == memory) return &slot;
  }
}

inline HazardTracker::Slot& HazardTracker::find_or_claim(MemoryId memory) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = home_slot(memory, shift_);; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.epoch != epoch_) {
      slot = {memory, epoch_, {}, {}};
      ++live_memories_;
      return slot;
    }
    if (slot.memory == memory) return slot;
  }
}

inline void HazardTracker::reserve_slots(std::size_t more_memories) {
  const std::size_t wanted = kSlotsPerMemory * (live_memories_ + more_memories);
  if (wanted > slots_.size()) [[unlikely]]
    grow(wanted);
}

void HazardTracker::grow(std::size_t slot_count) {
  std::vector<Slot> old(std::max(kFirstSlotCount, std::bit_ceil(slot_count)));
  old.swap(slots_);
  shift_ = 64 - static_cast<std::uint32_t>(std::countr_zero(slots_.size()));
  for (const Slot& slot : old) {
    if (slot.epoch != epoch_) continue;
    --live_memories_;
    find_or_claim(slot.memory) = slot;
  }
}

void HazardTracker::clear_index() {
  indexed_ = false;
  ++epoch_;
  live_memories_ = 0;
  used_sets_ = 0;
}

inline const HazardTracker::Interval* HazardTracker::find_overlap(const Coverage& coverage,
                                                                  const AccessRange& range) const {
  if (!overlaps(coverage.hull.begin, coverage.hull.end, range.begin, range.end)) return nullptr;
  if (coverage.set == 0) return &coverage.hull;
  return sets_[coverage.set - 1].find_overlap(range.begin, range.end);
}

inline bool HazardTracker::check_slot(const Slot& slot, const AccessRange& range,
                                      std::size_t range_index,
                                      std::optional<Conflict>& conflict) const {
  HazardKind hazard =
      reads(range.access) ? HazardKind::kReadAfterWrite : HazardKind::kWriteAfterWrite;
  const Interval* live = find_overlap(slot.writes, range);
  if (live == nullptr && writes(range.access)) {
    hazard = HazardKind::kWriteAfterRead;
    live = find_overlap(slot.reads, range);
  }
  if (live == nullptr) return false;
  conflict.emplace(hazard, static_cast<std::uint32_t>(range_index),
                   AccessRange{range.memory, std::max(live->begin, range.begin),
                               std::min(live->end, range.end), range.access});
  return true;
}

void HazardTracker::check_index(std::span<const AccessRange> ranges,
                                std::optional<Conflict>& conflict) const {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const Slot* slot = find(ranges[i].memory);
    if (slot != nullptr && check_slot(*slot, ranges[i], i, conflict)) return;
  }
}

inline void HazardTracker::add_to_slot(Slot& slot, const AccessRange& range) {
  if (range.begin >= range.end) return;
  // What conflicts with a read conflicts with a write of the same bytes, so read-write needs no
  // second entry.
  insert(writes(range.access) ? slot.writes : slot.reads, range.begin, range.end);
  ++live_ranges_;
}

void HazardTracker::add_to_index(std::span<const AccessRange> ranges) {
  reserve_slots(ranges.size());
  for (const AccessRange& range : ranges) add_to_slot(find_or_claim(range.memory), range);
}

inline void HazardTracker::IntervalSet::insert(std::uint64_t begin, std::uint64_t end) {
  intervals.emplace_back(begin, end);
  if (intervals.size() - sorted >= kTailIntervals) sort_tail();
}

inline void HazardTracker::insert(Coverage& coverage, std::uint64_t begin, std::uint64_t end) {
  Interval& hull = coverage.hull;
  if (coverage.set == 0) {
    const bool empty = hull.begin >= hull.end;
    const bool touches = begin <= hull.end && end >= hull.begin;
    if (!empty && !touches) {
      if (used_sets_ == sets_.size()) [[unlikely]]
        sets_.emplace_back();
      coverage.set = ++used_sets_;
      sets_[coverage.set - 1].start(hull, {begin, end});
    }
  } else {
    sets_[coverage.set - 1].insert(begin, end);
  }
  hull.begin = std::min(hull.begin, begin);
  hull.end = std::max(hull.end, end);
}

void HazardTracker::IntervalSet::start(const Interval& first, const Interval& second) {
  intervals.clear();
  intervals.push_back(first);
  intervals.push_back(second);
  sorted = 0;
}

const HazardTracker::Interval* HazardTracker::IntervalSet::find_overlap(std::uint64_t begin,
                                                                        std::uint64_t end) const {
  const std::span<const Interval> all(intervals);
  const auto overlaps_it = [=](const Interval& live) {
    return overlaps(live.begin, live.end, begin, end);
  };
  bool in_tail = false;
  for (const Interval& live : all.subspan(sorted)) in_tail |= overlaps_it(live);
  if (in_tail) return &*std::ranges::find_if(all.subspan(sorted), overlaps_it);
  const auto first = std::ranges::upper_bound(all.first(sorted), begin, {}, &Interval::end);
  return first != all.begin() + static_cast<std::ptrdiff_t>(sorted) && overlaps_it(*first)
             ? &*first
             : nullptr;
}

/// Merges the tail into the sorted part from the back, then joins what touches.
void HazardTracker::IntervalSet::sort_tail() {
  std::array<Interval, kTailIntervals> tail;
  const auto tail_end = std::ranges::copy(std::span(intervals).subspan(sorted), tail.begin()).out;
  std::sort(tail.begin(), tail_end,
            [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  std::size_t from = sorted;
  std::size_t to = intervals.size();
  for (auto next = tail_end; next != tail.begin();) {
    const bool take_sorted = from > 0 && intervals[from - 1].begin > (next - 1)->begin;
    intervals[--to] = take_sorted ? intervals[--from] : *--next;
  }
  std::size_t last = from == 0 ? 0 : from - 1;  // What stands before did not move.
  for (std::size_t i = last + 1; i < intervals.size(); ++i) {
    if (intervals[i].begin <= intervals[last].end) {
      intervals[last].end = std::max(intervals[last].end, intervals[i].end);
    } else {
      intervals[++last] = intervals[i];
    }
  }
  intervals.resize(last + 1);
  sorted = intervals.size();
}

}  // namespace segue
