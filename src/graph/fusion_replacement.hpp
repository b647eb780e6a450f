// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/fusion_match.hpp"
#include "segue/error.hpp"

namespace segue::graph {

/// A match and what takes its place.
struct Replacement {
  FusionMatch match;
  FusedDispatch dispatch;
};

/// A slot that fills an argument of a fused dispatch.
struct FusedSlotUse {
  std::uint32_t slot = 0;
  std::uint32_t argument = 0;
  std::uint32_t offset = 0;
};
[[nodiscard]] std::vector<FusedSlotUse> slot_uses(const ir::CommandList& list,
                                                  const Replacement& replacement);

/// The extents of a grid of `kernel`, as recording computes them. None if they do not fit.
struct GridExtents {
  Extent3 threads, groups;
};
[[nodiscard]] std::optional<GridExtents> grid_extents(const Kernel& kernel, Grid grid);

/// Whether the dispatch that a pattern made fits its kernel.
///
/// @error kInvalidArgument  In a sentence that names the pattern.
Result<> check_replacement(const ir::CommandList& list, const Replacement& replacement);

/// Whether the fused dispatch touches what the dispatches of the match touched, and no more, and
/// keeps their slots. A sentence why not, or none.
///
/// @pre check_replacement() succeeds.
[[nodiscard]] std::optional<std::string> find_difference(const ir::CommandList& list,
                                                         const Replacement& replacement);

}  // namespace segue::graph
