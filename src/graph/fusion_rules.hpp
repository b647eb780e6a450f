// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/contraction.hpp"
#include "graph/fusion_match.hpp"

namespace segue::graph {

/// What a match's dispatches touch, apart from values that stay inside the fused kernel.
struct OuterAccess {
  std::uint32_t command = 0;
  AccessRange range;
};
/// Leaves out what eliminated links write, and what consumers read of eliminated and kept values.
[[nodiscard]] std::vector<OuterAccess> outer_accesses(const ir::CommandList& list,
                                                      const FusionMatch& match);

/// Whether `links`, and nothing else, connect the dispatches of a match, so that one dispatch may
/// run in their place. A sentence why not, or none.
[[nodiscard]] std::optional<std::string> find_refusal(const ir::CommandList& list,
                                                      const Dependencies& dependencies,
                                                      Contraction& contraction,
                                                      const FusionMatch& match);

}  // namespace segue::graph
