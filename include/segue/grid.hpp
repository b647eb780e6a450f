// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace segue {

/// Three extents; x varies fastest.
struct Extent3 {
  std::uint32_t x = 1;
  std::uint32_t y = 1;
  std::uint32_t z = 1;

  [[nodiscard]] constexpr bool empty() const { return x == 0 || y == 0 || z == 0; }
  [[nodiscard]] constexpr std::uint64_t count() const { return std::uint64_t{x} * y * z; }
  friend bool operator==(const Extent3&, const Extent3&) = default;
};

enum class GridKind : std::uint8_t { kThreads, kGroups };

/// How much work a dispatch covers: an exact number of threads, or a number of thread groups.
struct Grid {
  GridKind kind = GridKind::kGroups;
  Extent3 extent;

  friend bool operator==(const Grid&, const Grid&) = default;
};

/// Exactly this many threads, whatever the group size; see Signature::guards_ragged_edges for
/// counts that the group size does not divide.
[[nodiscard]] constexpr Grid threads(std::uint32_t x, std::uint32_t y = 1, std::uint32_t z = 1) {
  return {GridKind::kThreads, {x, y, z}};
}

/// This many thread groups of the dispatch's group size.
[[nodiscard]] constexpr Grid groups(std::uint32_t x, std::uint32_t y = 1, std::uint32_t z = 1) {
  return {GridKind::kGroups, {x, y, z}};
}

}  // namespace segue
