// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

// A position comes with the inline bytes of a dispatch, which a replay may change; the view of a
// cache does not move with it. These keep kernels inside the view.

namespace segue::host {

/// How many of the rows 0 to `wanted` - 1 a view of `elements` elements holds. Divides only where
/// it does not hold them all.
[[nodiscard]] inline std::uint64_t rows_held(std::size_t elements, std::uint64_t columns,
                                             std::uint64_t wanted) {
  // Neither factor is large enough for a view: no product below wraps.
  if (wanted <= (std::uint64_t{1} << 33) && columns <= UINT32_MAX / 2 &&
      wanted * columns <= elements) [[likely]] {
    return wanted;
  }
  return columns == 0 ? wanted : std::min<std::uint64_t>(wanted, elements / columns);
}

/// How many of the rows `position` to `position` + `tokens` - 1 a cache holds.
[[nodiscard]] inline std::uint64_t rows_in_cache(std::size_t elements, std::uint64_t columns,
                                                 std::uint32_t position, std::uint32_t tokens) {
  const std::uint64_t held = rows_held(elements, columns, std::uint64_t{position} + tokens);
  return held > position ? held - position : 0;
}

}  // namespace segue::host
