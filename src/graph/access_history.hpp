// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "segue/access.hpp"

namespace segue::graph {

inline constexpr std::uint32_t kNoCommand = UINT32_MAX;

/// Who wrote each byte of each memory last, and who has read it since.
///
/// A memory is cut into disjoint stretches with one history each. Readers are linked lists that
/// share their tails when a stretch is cut in two, so cutting takes constant time however many
/// readers there are.
class AccessHistory {
 public:
  /// Calls `depends(earlier, hazard, range)` for each command that `command` must follow because of
  /// `ranges`, and enters it. A command may be named several times, with different ranges.
  template <class Visitor>
  void add(std::uint32_t command, std::span<const AccessRange> ranges, Visitor&& depends);

 private:
  static constexpr std::uint32_t kNoReader = UINT32_MAX;
  struct Reader {
    std::uint32_t command;
    std::uint32_t next;
  };
  struct Stretch {
    std::uint64_t begin, end;
    std::uint32_t writer = kNoCommand;
    std::uint32_t readers = kNoReader;
  };
  struct Memory {
    MemoryId id = MemoryId::kNone;
    std::vector<Stretch> stretches;  // ascending, disjoint, not empty
  };

  [[nodiscard]] Memory& memory(MemoryId id);
  void grow_index();
  /// The first stretch that ends after `begin`, cut so that none crosses `begin` or `end`.
  [[nodiscard]] std::size_t cut(Memory& memory, std::uint64_t begin, std::uint64_t end);
  void enter_read(Memory& memory, std::size_t first, const AccessRange& range,
                  std::uint32_t command);
  void enter_write(Memory& memory, std::size_t first, const AccessRange& range,
                   std::uint32_t command);

  std::vector<Memory> memories_;
  std::vector<std::uint32_t> index_;  // open addressing: 1 + position in memories_
  std::vector<Reader> readers_;
};

template <class Visitor>
void AccessHistory::add(std::uint32_t command, std::span<const AccessRange> ranges,
                        Visitor&& depends) {
  // All reads come first: a command reads what others left before it writes there itself.
  for (const AccessRange& range : ranges) {
    if (!reads(range.access) || range.begin >= range.end) continue;
    Memory& where = memory(range.memory);
    const std::size_t first = cut(where, range.begin, range.end);
    for (std::size_t i = first; i < where.stretches.size(); ++i) {
      const Stretch& stretch = where.stretches[i];
      if (stretch.begin >= range.end) break;
      if (stretch.writer == kNoCommand) continue;
      depends(stretch.writer, HazardKind::kReadAfterWrite,
              AccessRange{range.memory, stretch.begin, stretch.end, range.access});
    }
    enter_read(where, first, range, command);
  }
  for (const AccessRange& range : ranges) {
    if (!writes(range.access) || range.begin >= range.end) continue;
    Memory& where = memory(range.memory);
    const std::size_t first = cut(where, range.begin, range.end);
    for (std::size_t i = first; i < where.stretches.size(); ++i) {
      const Stretch& stretch = where.stretches[i];
      if (stretch.begin >= range.end) break;
      const AccessRange shared{range.memory, stretch.begin, stretch.end, range.access};
      bool others_read = false;
      for (std::uint32_t r = stretch.readers; r != kNoReader; r = readers_[r].next) {
        if (readers_[r].command == command) continue;
        others_read = true;
        depends(readers_[r].command, HazardKind::kWriteAfterRead, shared);
      }
      // Whoever has read since follows the writer, so following the readers is enough.
      if (!others_read && stretch.writer != kNoCommand && stretch.writer != command)
        depends(stretch.writer, HazardKind::kWriteAfterWrite, shared);
    }
    enter_write(where, first, range, command);
  }
}

}  // namespace segue::graph
