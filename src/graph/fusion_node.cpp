// SPDX-License-Identifier: Apache-2.0
#include <cassert>

#include "ir/command_list.hpp"
#include "segue/fusion.hpp"

namespace segue {
namespace {

const ir::Argument& argument_of(const ir::CommandList& list, std::uint32_t command,
                                std::size_t argument) {
  const std::span<const ir::Argument> arguments = list.arguments(list.commands()[command]);
  assert(argument < arguments.size());
  return arguments[argument];
}

}  // namespace

OpKind FusionNode::op() const { return list_->commands()[command_].op; }

std::string_view FusionNode::kernel_name() const {
  const ir::Kernel* kernel = list_->commands()[command_].kernel;
  return kernel != nullptr ? std::string_view(kernel->name) : std::string_view();
}

bool FusionNode::runs(const Kernel& kernel) const {
  return kernel && list_->commands()[command_].kernel == kernel.impl();
}

Grid FusionNode::grid() const {
  const ir::Command& command = list_->commands()[command_];
  return {command.grid_kind,
          command.grid_kind == GridKind::kThreads ? command.thread_count : command.group_count};
}

std::size_t FusionNode::argument_count() const {
  return list_->commands()[command_].argument_count;
}

bool FusionNode::is_view(std::size_t argument) const {
  return argument < argument_count() && argument_of(*list_, command_, argument).is_view();
}

AccessRange FusionNode::range(std::size_t argument) const {
  return is_view(argument) ? argument_of(*list_, command_, argument).range() : AccessRange{};
}

std::span<const std::byte> FusionNode::bytes(std::size_t argument) const {
  if (argument >= argument_count() || is_view(argument)) return {};
  const ir::Argument& found = argument_of(*list_, command_, argument);
  return {list_->bytes(found), static_cast<std::size_t>(found.size)};
}

std::string_view FusionNode::slot(std::size_t argument, std::size_t offset_bytes) const {
  for (const ir::SlotUse& use : list_->slot_uses(command_)) {
    const ir::Slot& slot = list_->slots()[use.slot];
    if (slot.kind == ir::SlotKind::kGrid || use.argument != argument) continue;
    if (slot.kind == ir::SlotKind::kView || use.offset == offset_bytes)
      return list_->name(slot.name);
  }
  return {};
}

}  // namespace segue
