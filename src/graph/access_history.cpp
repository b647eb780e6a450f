// SPDX-License-Identifier: Apache-2.0
#include "graph/access_history.hpp"

#include <algorithm>
#include <cstddef>

namespace segue::graph {
namespace {

std::size_t hash(MemoryId id) {
  // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
  return static_cast<std::size_t>((static_cast<std::uint64_t>(id) * 0x9E3779B97F4A7C15U) >> 32);
}

}  // namespace

AccessHistory::Memory& AccessHistory::memory(MemoryId id) {
  if (memories_.size() * 2 >= index_.size()) grow_index();
  const std::size_t mask = index_.size() - 1;
  for (std::size_t i = hash(id) & mask;; i = (i + 1) & mask) {
    if (index_[i] == 0) {
      memories_.push_back({id, {}});
      index_[i] = static_cast<std::uint32_t>(memories_.size());
    }
    Memory& found = memories_[index_[i] - 1];
    if (found.id == id) return found;
  }
}

void AccessHistory::grow_index() {
  index_.assign(std::max<std::size_t>(64, index_.size() * 2), 0);
  const std::size_t mask = index_.size() - 1;
  for (std::uint32_t m = 0; m < memories_.size(); ++m) {
    std::size_t i = hash(memories_[m].id) & mask;
    while (index_[i] != 0) i = (i + 1) & mask;
    index_[i] = m + 1;
  }
}

std::size_t AccessHistory::cut(Memory& memory, std::uint64_t begin, std::uint64_t end) {
  std::vector<Stretch>& stretches = memory.stretches;
  const auto ends_after = [&stretches](std::uint64_t at) {
    const auto found = std::ranges::partition_point(
        stretches, [at](const Stretch& stretch) { return stretch.end <= at; });
    return static_cast<std::size_t>(found - stretches.begin());
  };
  const auto cut_at = [&stretches](std::size_t i, std::uint64_t at) {
    if (i == stretches.size() || stretches[i].begin >= at || stretches[i].end <= at) return false;
    Stretch left = stretches[i];
    left.end = at;
    stretches[i].begin = at;
    stretches.insert(stretches.begin() + static_cast<std::ptrdiff_t>(i), left);
    return true;
  };
  std::size_t first = ends_after(begin);
  if (cut_at(first, begin)) ++first;
  std::size_t last = first;
  while (last < stretches.size() && stretches[last].end < end) ++last;
  cut_at(last, end);
  return first;
}

void AccessHistory::enter_read(Memory& memory, std::size_t first, const AccessRange& range,
                               std::uint32_t command) {
  std::vector<Stretch>& stretches = memory.stretches;
  std::uint64_t covered = range.begin;
  for (std::size_t i = first; covered < range.end; ++i) {
    if (i == stretches.size() || stretches[i].begin > covered) {  // bytes nobody has touched yet
      const std::uint64_t gap_end =
          i == stretches.size() ? range.end : std::min(range.end, stretches[i].begin);
      stretches.insert(stretches.begin() + static_cast<std::ptrdiff_t>(i), {covered, gap_end});
    }
    Stretch& stretch = stretches[i];
    covered = stretch.end;
    if (stretch.readers != kNoReader && readers_[stretch.readers].command == command) continue;
    readers_.push_back({command, stretch.readers});
    stretch.readers = static_cast<std::uint32_t>(readers_.size() - 1);
  }
}

void AccessHistory::enter_write(Memory& memory, std::size_t first, const AccessRange& range,
                                std::uint32_t command) {
  std::vector<Stretch>& stretches = memory.stretches;
  std::size_t last = first;
  while (last < stretches.size() && stretches[last].begin < range.end) ++last;
  const auto begin = stretches.begin() + static_cast<std::ptrdiff_t>(first);
  const Stretch written{range.begin, range.end, command, kNoReader};
  if (last == first) {
    stretches.insert(begin, written);
    return;
  }
  *begin = written;
  stretches.erase(begin + 1, stretches.begin() + static_cast<std::ptrdiff_t>(last));
}

}  // namespace segue::graph
