// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ir/plan.hpp"
#include "ir/storage.hpp"

namespace segue::graph {

/// Where a transient storage goes in the arena, and from when to when it is needed.
struct Placed {
  ir::Storage* storage = nullptr;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;         ///< Of the storage; what the placement sets aside is aligned.
  std::uint32_t first_group = 0;  ///< The first group with a command that touches it,
  std::uint32_t last_group = 0;   ///< and the last one.
};

/// Why a transient storage stays where it is: somebody knows it by more than the arguments that
/// name it.
enum class KeptReason : std::uint8_t {
  kAliased,    ///< Another storage of the list is in the same memory.
  kNative,     ///< A native callback uses it, through handles of its own.
  kByPointer,  ///< A command names it in an explicit range and not as an argument.
  kSlot,       ///< The default of a slot, which may get another view, and this one back.
};
[[nodiscard]] std::string_view to_string(KeptReason reason);

struct Kept {
  ir::Storage* storage = nullptr;
  KeptReason reason = KeptReason::kAliased;
};

/// One arena for the transient storages of a plan. Borrows the storages from the plan's list.
///
/// Sizes count each storage up to a multiple of the alignment.
struct Placement {
  std::vector<Placed> placed;  ///< In the order in which the list first names them.
  std::vector<Kept> kept;
  std::uint64_t alignment = 0;
  std::uint64_t arena_bytes = 0;
  std::uint64_t separate_bytes = 0;     ///< What the placed storages take without reuse.
  std::uint64_t lower_bound_bytes = 0;  ///< The most that is alive in one group.
  /// @name What reuse would take that frees bytes after the last command, not the last group, that
  /// touches them; and how many barriers inside groups it would need that nothing else needs.
  /// @{
  std::uint64_t tight_bytes = 0;
  std::uint32_t tight_barriers = 0;
  /// @}
};

/// Places the transient storages that the plan's commands touch. Two share bytes only if no group
/// needs both, so that a barrier stands between their uses already and reuse adds none.
///
/// @param plan       Correct: it orders all that conflicts.
/// @param alignment  Of each offset; a power of two, at least 64.
[[nodiscard]] Placement find_placement(const ir::Plan& plan, std::uint64_t alignment);

}  // namespace segue::graph
