// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "backends/host/scratch.hpp"
#include "ir/command_list.hpp"

namespace segue::host {

/// How many parts a command can be cut into: groups of a dispatch, blocks of a fill or a copy,
/// otherwise 1. 0 for one with nothing to do. Reads the group counts of an indirect dispatch.
[[nodiscard]] std::uint64_t part_count(const ir::CommandList& list, const ir::Command& command);

/// An estimate of a command's work: the bytes it is given, for memory traffic is what a decoder
/// waits for.
[[nodiscard]] std::uint64_t work_bytes(const ir::CommandList& list, const ir::Command& command);

inline constexpr std::uint64_t kAllParts = ~std::uint64_t{0};

/// Runs parts `[begin, end)` of a command, as far as it has them, on this thread. Passes on what a
/// kernel throws.
void run_parts(const ir::CommandList& list, const ir::Command& command, std::uint64_t begin,
               std::uint64_t end, Scratch& scratch);

}  // namespace segue::host
