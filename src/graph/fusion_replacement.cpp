// SPDX-License-Identifier: Apache-2.0
//
// A pattern's replacement is the user's code: what contradicts the kernel's signature is the
// pattern's error, what does not fit these dispatches is a reason to leave them alone.
#include "graph/fusion_replacement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/fail.hpp"
#include "graph/fusion_rules.hpp"

namespace segue::graph {
namespace {

template <class... Args>
std::unexpected<Error> fail(const Replacement& replacement, fmt::format_string<Args...> format,
                            Args&&... args) {
  return base::fail(ErrorCode::kInvalidArgument, "Fusion pattern \"{}\", kernel \"{}\": {}",
                    replacement.match.pattern->name, replacement.dispatch.kernel.name(),
                    fmt::format(format, std::forward<Args>(args)...));
}

/// The argument of a dispatch of the match, or null if there is no such point.
const ir::Argument* find_point(const ir::CommandList& list, const FusionMatch& match,
                               FusionPoint point) {
  if (point.node >= match.members().size()) return nullptr;
  const ir::Command& command = list.commands()[match.command(point)];
  return point.argument < command.argument_count ? &list.arguments(command)[point.argument]
                                                 : nullptr;
}

std::optional<std::uint32_t> bytes_slot(const ir::CommandList& list, std::uint32_t command,
                                        std::uint32_t argument, std::uint32_t offset) {
  for (const ir::SlotUse& use : list.slot_uses(command)) {
    if (use.argument == argument && use.offset == offset &&
        list.slots()[use.slot].kind == ir::SlotKind::kBytes) {
      return use.slot;
    }
  }
  return std::nullopt;
}

Result<> check_kernel(const ir::CommandList& list, const Replacement& replacement) {
  const FusedDispatch& dispatch = replacement.dispatch;
  if (!dispatch.kernel) return fail(replacement, "The fused dispatch has no kernel.");
  const ir::Kernel* replaced = list.commands()[replacement.match.commands[0]].kernel;
  if (replaced != nullptr && dispatch.kernel.impl()->compiled_by != replaced->compiled_by)
    return fail(replacement, "The kernel belongs to another device than the dispatches.");
  const Signature& signature = dispatch.kernel.signature();
  const std::size_t wanted = signature.argument_count();
  if (dispatch.arguments.size() != wanted || wanted > UINT8_MAX) {
    return fail(replacement, "The kernel takes {} arguments but the fused dispatch gives {}.",
                wanted, dispatch.arguments.size());
  }
  for (const Parameter& parameter : signature.parameters) {
    if (parameter.kind == ParameterKind::kShared && parameter.sizing == SharedSizing::kLaunch) {
      return fail(replacement,
                  "Shared parameter \"{}\" is sized by the dispatch; a fused dispatch cannot.",
                  parameter.name);
    }
    if (parameter.kind == ParameterKind::kBuffer && !parameter.access_known) {
      return fail(replacement, "The signature does not state the access of parameter \"{}\".",
                  parameter.name);
    }
  }
  if (!grid_extents(dispatch.kernel, dispatch.grid)) {
    return fail(replacement,
                "A grid of {}x{}x{} {} does not fit: it has at least 1 and at most {} threads on "
                "each axis, and whole groups unless the kernel guards ragged edges.",
                dispatch.grid.extent.x, dispatch.grid.extent.y, dispatch.grid.extent.z,
                dispatch.grid.kind == GridKind::kThreads ? "threads" : "groups", UINT32_MAX);
  }
  return {};
}

Result<> check_carried(const ir::CommandList& list, const Replacement& replacement,
                       std::size_t argument) {
  const FusedArgument& given = replacement.dispatch.arguments[argument];
  for (const FusedArgument::CarriedSlot& carried : given.slots) {
    const ir::Argument* from = find_point(list, replacement.match, carried.from);
    if (from == nullptr || from->is_view()) {
      return fail(replacement,
                  "Argument {} carries a slot of argument {} of dispatch {}, where no bytes are.",
                  argument, carried.from.argument, carried.from.node);
    }
    if (std::uint64_t{carried.offset} + carried.size_bytes > given.content.size()) {
      return fail(replacement, "Argument {} carries a slot to bytes {} to {}, but it has {} bytes.",
                  argument, carried.offset, std::uint64_t{carried.offset} + carried.size_bytes,
                  given.content.size());
    }
    const auto slot = bytes_slot(list, replacement.match.command(carried.from),
                                 carried.from.argument, carried.from_offset);
    if (slot && list.slots()[*slot].size != carried.size_bytes) {
      return fail(replacement, "Argument {} carries {} bytes of slot \"{}\", which has {} bytes.",
                  argument, carried.size_bytes, list.name(list.slots()[*slot].name),
                  list.slots()[*slot].size);
    }
  }
  return {};
}

Result<> check_argument(const ir::CommandList& list, const Replacement& replacement,
                        std::size_t argument) {
  const FusedArgument& given = replacement.dispatch.arguments[argument];
  const Parameter& parameter = replacement.dispatch.kernel.signature().parameters[argument];
  const ir::Argument* taken = nullptr;
  if (given.source) {
    taken = find_point(list, replacement.match, *given.source);
    if (taken == nullptr) {
      return fail(replacement, "Argument {} is argument {} of dispatch {}, which does not exist.",
                  argument, given.source->argument, given.source->node);
    }
  }
  const bool is_view = taken != nullptr && taken->is_view();
  const bool wants_view = parameter.kind == ParameterKind::kBuffer;
  if (is_view != wants_view) {
    return fail(replacement, "Argument {} ({}) is {}, but the kernel takes {}.", argument,
                parameter.name, is_view ? "a buffer view" : "inline bytes",
                wants_view ? "a buffer view" : "inline bytes");
  }
  if (is_view) return {};
  const std::uint64_t size = taken != nullptr ? taken->size : given.content.size();
  if (size == 0 || (parameter.size_bytes != 0 && size != parameter.size_bytes)) {
    return fail(replacement, "Argument {} ({}) has {} bytes, but the kernel takes {}.", argument,
                parameter.name, size, parameter.size_bytes);
  }
  return check_carried(list, replacement, argument);
}

std::string_view verb(Access access) { return access == Access::kRead ? "read" : "write"; }

/// Whether one range of `by` covers the range of `what`, at least with `access`.
template <class Ranges, class Projection>
bool covers(const Ranges& by, Projection range_of, const AccessRange& what, Access access) {
  return std::ranges::any_of(by, [&](const auto& entry) {
    const AccessRange& range = range_of(entry);
    const bool used = access == Access::kRead ? reads(range.access) : writes(range.access);
    return used && range.memory == what.memory && range.begin <= what.begin &&
           what.end <= range.end;
  });
}

/// The footprint that the fused kernel's signature gives.
std::vector<AccessRange> fused_ranges(const ir::CommandList& list, const Replacement& replacement) {
  std::vector<AccessRange> ranges;
  const Signature& signature = replacement.dispatch.kernel.signature();
  for (std::size_t i = 0; i < replacement.dispatch.arguments.size(); ++i) {
    const FusedArgument& given = replacement.dispatch.arguments[i];
    if (!given.source) continue;
    const ir::Argument& taken = replacement.match.argument(list, *given.source);
    if (!taken.is_view() || taken.size == 0) continue;
    AccessRange range = taken.range();
    range.access = signature.parameters[i].access;
    ranges.push_back(range);
  }
  return ranges;
}

std::optional<std::string> footprint_difference(const ir::CommandList& list,
                                                const Replacement& replacement) {
  const std::vector<OuterAccess> outer = outer_accesses(list, replacement.match);
  const std::vector<AccessRange> fused = fused_ranges(list, replacement);
  const std::string_view kernel = replacement.dispatch.kernel.name();
  for (const Access access : {Access::kRead, Access::kWrite}) {
    const auto uses = [access](const AccessRange& range) {
      return access == Access::kRead ? reads(range.access) : writes(range.access);
    };
    for (const OuterAccess& was : outer) {
      if (uses(was.range) && !covers(fused, std::identity{}, was.range, access)) {
        return fmt::format("Kernel \"{}\" does not {} bytes {} to {}, which dispatch {} does.",
                           kernel, verb(access), was.range.begin, was.range.end,
                           describe_command(list, was.command));
      }
    }
    for (const AccessRange& is : fused) {
      if (uses(is) &&
          !covers(
              outer, [](const OuterAccess& was) -> const AccessRange& { return was.range; }, is,
              access)) {
        return fmt::format(
            "Kernel \"{}\" {}s bytes {} to {}, which no dispatch does that it replaces, but for "
            "values that disappear.",
            kernel, verb(access), is.begin, is.end);
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> lost_slot(const ir::CommandList& list, const Replacement& replacement) {
  const std::vector<FusedSlotUse> kept = slot_uses(list, replacement);
  for (const std::uint32_t command : replacement.match.members()) {
    for (const ir::SlotUse& use : list.slot_uses(command)) {
      if (std::ranges::find(kept, use.slot, &FusedSlotUse::slot) == kept.end()) {
        return fmt::format("Slot \"{}\" of dispatch {} would be lost.",
                           list.name(list.slots()[use.slot].name), describe_command(list, command));
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> misalignment(const ir::CommandList& list,
                                        const Replacement& replacement) {
  const Signature& signature = replacement.dispatch.kernel.signature();
  for (std::size_t i = 0; i < replacement.dispatch.arguments.size(); ++i) {
    const FusedArgument& given = replacement.dispatch.arguments[i];
    if (!given.source) continue;
    const ir::Argument& taken = replacement.match.argument(list, *given.source);
    const std::uint32_t alignment = std::max(signature.parameters[i].alignment, 1U);
    if (taken.is_view() && (taken.storage->native_offset + taken.offset) % alignment != 0) {
      return fmt::format(
          "Argument {} ({}) begins at byte {} of buffer \"{}\"; kernel \"{}\" needs "
          "an alignment of {} bytes.",
          i, signature.parameters[i].name, taken.offset, taken.storage->label,
          replacement.dispatch.kernel.name(), alignment);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<GridExtents> grid_extents(const Kernel& kernel, Grid grid) {
  const Signature& signature = kernel.signature();
  GridExtents extents;
  for (const auto axis : {&Extent3::x, &Extent3::y, &Extent3::z}) {
    const std::uint64_t extent = grid.extent.*axis, size = signature.group_size.*axis;
    if (extent == 0 || size == 0) return std::nullopt;
    const bool counts_threads = grid.kind == GridKind::kThreads;
    if (counts_threads && extent % size != 0 && !signature.guards_ragged_edges) return std::nullopt;
    const std::uint64_t threads = counts_threads ? extent : extent * size;
    if (threads > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    extents.threads.*axis = static_cast<std::uint32_t>(threads);
    extents.groups.*axis =
        static_cast<std::uint32_t>(counts_threads ? (extent + size - 1) / size : extent);
  }
  return extents;
}

std::vector<FusedSlotUse> slot_uses(const ir::CommandList& list, const Replacement& replacement) {
  std::vector<FusedSlotUse> uses;
  for (std::uint32_t i = 0; i < replacement.dispatch.arguments.size(); ++i) {
    const FusedArgument& given = replacement.dispatch.arguments[i];
    if (given.source) {
      for (const ir::SlotUse& use : list.slot_uses(replacement.match.command(*given.source))) {
        const bool grid = list.slots()[use.slot].kind == ir::SlotKind::kGrid;
        if (!grid && use.argument == given.source->argument)
          uses.push_back({use.slot, i, use.offset});
      }
      continue;
    }
    for (const FusedArgument::CarriedSlot& carried : given.slots) {
      const auto slot = bytes_slot(list, replacement.match.command(carried.from),
                                   carried.from.argument, carried.from_offset);
      if (slot) uses.push_back({*slot, i, carried.offset});
    }
  }
  return uses;
}

Result<> check_replacement(const ir::CommandList& list, const Replacement& replacement) {
  SEGUE_TRY(check_kernel(list, replacement));
  for (std::size_t i = 0; i < replacement.dispatch.arguments.size(); ++i)
    SEGUE_TRY(check_argument(list, replacement, i));
  return {};
}

std::optional<std::string> find_difference(const ir::CommandList& list,
                                           const Replacement& replacement) {
  if (auto difference = footprint_difference(list, replacement)) return difference;
  if (auto lost = lost_slot(list, replacement)) return lost;
  return misalignment(list, replacement);
}

}  // namespace segue::graph
