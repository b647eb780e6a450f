// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "graph/access_history.hpp"
#include "ir/command_list.hpp"

namespace segue::graph {

/// What becomes of bytes between two commands, in recorded order and without these two.
struct Overwrites {
  std::uint32_t writer = kNoCommand;  ///< The first that writes any of the bytes.
  bool whole = false;                 ///< Together they write all of them.
};
[[nodiscard]] Overwrites overwrites_between(const ir::CommandList& list, const AccessRange& bytes,
                                            std::uint32_t after, std::uint32_t before);

}  // namespace segue::graph
