// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "segue/access.hpp"
#include "segue/buffer.hpp"
#include "segue/error.hpp"
#include "segue/graph.hpp"

namespace segue::verify {

/// Bytes `[begin, end)` of a memory that a command's arguments or explicit ranges cover, and where
/// they lie in the scratch memory that the command runs on.
struct Window {
  MemoryId memory = MemoryId::kNone;
  std::uint64_t begin = 0, end = 0;
  std::uint64_t place = 0;                         ///< Of `begin`, in the scratch.
  std::uint64_t region_begin = 0, region_end = 0;  ///< With guards, in the scratch.
  std::vector<std::byte> content;                  ///< What memory really holds.
  std::vector<std::uint8_t> declared;              ///< Of each byte: bits of Access, or 0.

  [[nodiscard]] std::uint64_t size() const { return end - begin; }
  /// Bits of Access that the command declares for the byte at `position` of the scratch; 0 in
  /// guards.
  [[nodiscard]] unsigned declared_at(std::uint64_t position) const {
    return position >= place && position - place < size() ? declared[position - place] : 0U;
  }
};

/// Where everything that a command touches lies in scratch memory: its windows one behind the
/// other, each between guards.
struct ScratchLayout {
  std::vector<Window> windows;
  std::uint64_t alignment = 1;  ///< Addresses keep their remainder by it.
  std::uint64_t size_bytes = 0;

  [[nodiscard]] const Window* find(const AccessRange& range) const;
  /// Where a view of the graph lies in the scratch.
  [[nodiscard]] std::uint64_t place_of(const BufferView& view) const;
};

/// The views that a command names: arguments, then explicit ranges.
[[nodiscard]] std::vector<BufferView> named_views(const GraphNode& node);

/// Merges what the command touches into windows and places them. Contents are left empty.
///
/// @pre Each explicit range lies in memory that an argument names.
[[nodiscard]] ScratchLayout lay_out(const GraphNode& node, std::uint64_t guard_bytes,
                                    std::uint64_t least_alignment);

/// Sizes Window::declared and fills it from what the command declares.
void declare_bytes(const GraphNode& node, ScratchLayout& layout);

}  // namespace segue::verify
