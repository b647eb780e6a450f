// SPDX-License-Identifier: Apache-2.0
#include "graph/fused_list.hpp"

#include <algorithm>
#include <utility>

namespace segue::graph {

FusedList::FusedList(const ir::CommandList& from)
    : from_(from), to_(from.retains()), copier_(from, to_) {
  // All of them, in order, so that they keep their indices.
  for (std::uint32_t slot = 0; slot < from.slots().size(); ++slot)
    static_cast<void>(copier_.copy_slot(slot));
}

/// An argument of a replaced dispatch, with the access that the fused kernel gives it.
void FusedList::take_argument(const ir::Argument& argument, const Parameter& parameter) {
  if (argument.is_view()) {
    to_.add_view(*argument.storage, argument.offset, argument.size, parameter.access, true);
  } else {
    to_.add_bytes({from_.bytes(argument), static_cast<std::size_t>(argument.size)});
  }
}

void FusedList::append(const Replacement& replacement) {
  const FusedDispatch& dispatch = replacement.dispatch;
  const Signature& signature = dispatch.kernel.signature();
  const GridExtents extents = *grid_extents(dispatch.kernel, dispatch.grid);
  ir::Command command;
  command.op = dispatch.op;
  command.grid_kind = dispatch.grid.kind;
  command.argument_count = static_cast<std::uint8_t>(dispatch.arguments.size());
  command.first_argument = to_.argument_total();
  command.first_range = to_.range_total();
  command.first_shared = to_.shared_total();
  command.kernel = dispatch.kernel.impl();
  command.thread_count = extents.threads;
  command.group_size = signature.group_size;
  command.group_count = extents.groups;
  command.label = to_.add_name(replacement.match.pattern->name);
  command.scope = copier_.copy_name(from_.commands()[replacement.match.commands[0]].scope);
  for (std::size_t i = 0; i < dispatch.arguments.size(); ++i) {
    const FusedArgument& given = dispatch.arguments[i];
    if (given.source)
      take_argument(replacement.match.argument(from_, *given.source), signature.parameters[i]);
    else
      to_.add_bytes(given.content);
  }
  for (std::size_t i = dispatch.arguments.size(); i < signature.parameters.size(); ++i) {
    to_.add_shared_size(signature.parameters[i].size_bytes);
    ++command.shared_count;
  }
  for (const FusedSlotUse& use : slot_uses(from_, replacement)) {
    to_.add_slot_use(use.slot, use.argument, use.offset);
    ir::Slot& slot = to_.mutable_slots()[use.slot];
    if (slot.kind != ir::SlotKind::kView) continue;
    const Parameter& parameter = signature.parameters[use.argument];
    slot.alignment = std::max(slot.alignment, parameter.alignment);
    if (slot.access != parameter.access) slot.access = Access::kReadWrite;
  }
  to_.append(command);
}

}  // namespace segue::graph
