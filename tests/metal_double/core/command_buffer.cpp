// SPDX-License-Identifier: Apache-2.0
#include "metal_double/core/command_buffer.hpp"

#include <algorithm>

#include "metal_double/core/dispatch_rules.hpp"

namespace metal_double {
namespace {

bool in_sets(const CommandBufferCore& buffer, const std::shared_ptr<BufferCore>& wanted) {
  return std::ranges::any_of(buffer.residency, [&](const std::shared_ptr<ResidencyCore>& set) {
    return set->committed.contains(wanted);
  });
}

/// False if a buffer that the command reaches is not resident.
bool check_residency(CommandBufferCore& buffer, const ExecuteIndirect& execute,
                     std::string_view where, const Dispatch& dispatch) {
  if (execute.commands->inherits_buffers) return true;
  for (const auto& [index, slot] : dispatch.buffers) {
    if (execute.resident.contains(slot.buffer.get())) continue;
    if (!in_sets(buffer, slot.buffer)) {
      violation("{}: {} is not resident; neither useResource nor a residency set names it.", where,
                slot.buffer->title());
      return false;
    }
    buffer.relied.insert(slot.buffer);
  }
  return true;
}

void resolve(CommandBufferCore& buffer, ExecuteIndirect& execute) {
  const IndirectCore& core = *execute.commands;
  execute.resolved.clear();
  for (std::uint64_t i = execute.first; i < execute.first + execute.count; ++i) {
    const IndirectCore::Command& command = core.commands[i];
    if (!command.dispatches) continue;  // A command that was reset does nothing.
    const std::string where = fmt::format("Command {} of {}", i, core.title());
    Bindings bindings = command.bindings;
    if (core.inherits_pipeline) bindings.pipeline = execute.inherited.pipeline;
    if (core.inherits_buffers) bindings.buffers = execute.inherited.buffers;
    if (bindings.pipeline && !bindings.pipeline->indirect) {
      violation("{}: {} does not support indirect command buffers.", where,
                bindings.pipeline->title());
      continue;
    }
    const DispatchRequest request{command.grid, command.group_size, command.by_threads, {}};
    std::optional<Dispatch> dispatch = check_dispatch(where, bindings, request);
    if (!dispatch || !check_residency(buffer, execute, where, *dispatch)) {
      execute.resolved.push_back({std::nullopt, command.barrier});
      continue;
    }
    note_uses(buffer, *dispatch);
    execute.resolved.push_back({std::move(dispatch), command.barrier});
  }
}

}  // namespace

void note_uses(CommandBufferCore& buffer, const Dispatch& dispatch) {
  buffer.uses.insert(dispatch.pipeline);
  for (const auto& [index, slot] : dispatch.buffers) {
    if (slot.buffer) buffer.uses.insert(slot.buffer);
  }
  if (dispatch.indirect.buffer) buffer.uses.insert(dispatch.indirect.buffer);
}

void resolve_indirect(CommandBufferCore& buffer) {
  for (Item& item : buffer.items) {
    auto* const pass = std::get_if<std::shared_ptr<Pass>>(&item);
    if (pass == nullptr) continue;
    for (PassCommand& command : (*pass)->commands) {
      if (auto* const execute = std::get_if<ExecuteIndirect>(&command)) resolve(buffer, *execute);
    }
  }
}

}  // namespace metal_double
