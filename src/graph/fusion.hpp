// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "ir/command_list.hpp"
#include "segue/error.hpp"
#include "segue/fusion.hpp"

namespace segue::graph {

struct FusionResult {
  ir::CommandList list;
  FusionReport report;
};

/// Replaces what matches `patterns` by their fused dispatches. The patterns are applied in the
/// order given, each in one pass over the list as the earlier ones left it.
///
/// The new list has the same slots, in the same order and with the same defaults. A fused dispatch
/// keeps the scope of the first dispatch that it replaces, and is labelled with its pattern's name.
///
/// @error kInvalidArgument  A pattern, or a dispatch that it makes, contradicts itself or the fused
///                          kernel's signature.
[[nodiscard]] Result<FusionResult> fuse(const ir::CommandList& list,
                                        std::span<const FusionPattern> patterns);

}  // namespace segue::graph
