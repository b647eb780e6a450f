// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "graph/placement.hpp"
#include "ir/plan.hpp"

namespace segue::graph {

/// What is wrong with a placement for a plan, a sentence each; none if nothing is.
///
/// Looks at the storages' places, the alignment and the size of the arena, and works out anew when
/// commands touch each storage; the placement's own lifetimes are not believed. The plan is not
/// malformed.
[[nodiscard]] std::vector<std::string> check_placement(const ir::Plan& plan,
                                                       const Placement& placement);

}  // namespace segue::graph
