// SPDX-License-Identifier: Apache-2.0
#include "backends/host/host_program.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/host/command_runner.hpp"

namespace segue::host {

LinkedInstance::LinkedInstance(const hal::ProgramInstance& instance)
    : list_(*instance.list),
      calls_(list_.size()),
      work_(list_.size(), 0),
      first_argument_(list_.size(), 0) {
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < list_.size(); ++i) {
    first_argument_[i] = total;
    total += list_.commands()[i].argument_count;
  }
  arguments_.resize(total);  // never again: contexts point into it
  for (std::uint32_t i = 0; i < list_.size(); ++i) link(i);
  find_targets();
}

/// Commands and arguments are out of the caches when a replay starts; the places alone are few.
void LinkedInstance::find_targets() {
  for (std::uint32_t slot = 0; slot < list_.slots().size(); ++slot) {
    first_target_.push_back(targets_.size());
    if (list_.slots()[slot].kind != ir::SlotKind::kBytes) continue;
    for (const ir::SlotUse& use : list_.slot_uses()) {
      if (use.slot != slot) continue;
      const ir::Argument& argument = list_.arguments(list_.commands()[use.command])[use.argument];
      targets_.push_back(list_.mutable_bytes(argument) + use.offset);
    }
  }
  first_target_.push_back(targets_.size());
}

void LinkedInstance::link(std::uint32_t index) {
  const ir::Command& command = list_.commands()[index];
  work_[index] = work_bytes(list_, command);
  if (command.kind != ir::CommandKind::kDispatch) return;
  const auto& kernel = static_cast<const CompiledKernel&>(*command.kernel);
  KernelArgument* bound = arguments_.data() + first_argument_[index];
  for (const ir::Argument& argument : list_.arguments(command)) {
    bound->data = argument.is_view() ? argument.storage->host + argument.offset
                                     : list_.mutable_bytes(argument);
    bound->size_bytes = argument.size;
    ++bound;
  }
  Call& call = calls_[index];
  call.function = &kernel.function;
  call.shared = command.shared_count != 0;
  call.context = {
      .arguments = {arguments_.data() + first_argument_[index], command.argument_count},
      .shared = {},
      .constants = kernel.constants,
      .thread_count = command.thread_count,
      .group_size = command.group_size,
      .group_count = command.group_count,
      .group_begin = 0,
      .group_end = command.group_count.count(),
  };
}

void LinkedInstance::update(std::span<const ir::SlotUse> uses) {
  for (const ir::SlotUse& use : uses) {
    // Inline bytes are read where the list has them, so a new value is there already.
    if (list_.slots()[use.slot].kind != ir::SlotKind::kBytes) link(use.command);
  }
}

void LinkedInstance::load(std::span<const hal::SlotLoad> loads) {
  for (const hal::SlotLoad& load : loads) {
    const ir::Slot& slot = list_.slots()[load.slot];
    const std::byte* source = load.source->host + load.offset;
    std::uint32_t number = 0;
    if (slot.max != UINT32_MAX) {
      std::memcpy(&number, source, sizeof(number));
      number = std::min(number, slot.max);
      source = std::as_bytes(std::span(&number, 1)).data();
    }
    for (std::size_t i = first_target_[load.slot]; i < first_target_[load.slot + 1]; ++i)
      std::memcpy(targets_[i], source, slot.size);
  }
}

void LinkedInstance::run(std::uint32_t index, std::uint64_t begin, std::uint64_t end,
                         Scratch& scratch) const {
  const Call& call = calls_[index];
  if (call.function == nullptr || call.shared)
    return run_parts(list_, list_.commands()[index], begin, end, scratch);
  end = std::min(end, call.context.group_end);
  if (begin >= end) return;
  if (begin == 0 && end == call.context.group_end) return (*call.function)(call.context);
  KernelContext part = call.context;
  part.group_begin = begin;
  part.group_end = end;
  (*call.function)(part);
}

HostProgram::HostProgram(std::shared_ptr<HostContext> context,
                         std::span<const hal::ProgramInstance> instances)
    : context_(std::move(context)) {
  for (const hal::ProgramInstance& instance : instances)
    instances_.push_back(std::make_unique<LinkedInstance>(instance));
}

Result<> HostProgram::update(unsigned instance, std::span<const ir::SlotUse> uses) {
  SEGUE_TRY(context_->check_fault("update", ErrorCode::kBackend));
  instances_[instance]->update(uses);
  return {};
}

}  // namespace segue::host
