// SPDX-License-Identifier: Apache-2.0
#include "segue/graph.hpp"

#include <algorithm>
#include <cassert>

#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"

namespace segue {
namespace {

NodeKind node_kind(ir::CommandKind kind) {
  switch (kind) {
    case ir::CommandKind::kDispatch: return NodeKind::kDispatch;
    case ir::CommandKind::kDispatchIndirect: return NodeKind::kDispatchIndirect;
    case ir::CommandKind::kFill: return NodeKind::kFill;
    case ir::CommandKind::kCopy: return NodeKind::kCopy;
    case ir::CommandKind::kUpload: return NodeKind::kUpload;
    case ir::CommandKind::kNative: return NodeKind::kNative;
    case ir::CommandKind::kBarrier: return NodeKind::kBarrier;
  }
  return NodeKind::kBarrier;
}

BufferView view_of(const ir::Argument& bytes) {
  const Buffer buffer(static_cast<runtime::BufferState*>(bytes.storage));
  return buffer.view(bytes.offset, bytes.size).value_or(BufferView());
}

NodeArgument node_argument(const ir::CommandList& list, const ir::Argument& argument) {
  NodeArgument node;
  if (argument.is_view()) {
    node.view = view_of(argument);
    node.access = argument.access;
  } else {
    const std::byte* bytes = list.bytes(argument);
    node.bytes.assign(bytes, bytes + argument.size);
  }
  return node;
}

}  // namespace

std::size_t Graph::node_count() const { return state_ ? state_->list.size() : 0; }

std::size_t Graph::barrier_count() const {
  if (!state_) return 0;
  return static_cast<std::size_t>(
      std::ranges::count(state_->list.commands(), ir::CommandKind::kBarrier, &ir::Command::kind));
}

std::size_t Graph::dispatch_count() const { return node_count() - barrier_count(); }

std::size_t Graph::unannotated_count() const {
  if (!state_) return 0;
  return static_cast<std::size_t>(
      std::ranges::count(state_->list.commands(), true, &ir::Command::unannotated));
}

BarrierMode Graph::barrier_mode() const { return state_ ? state_->mode : BarrierMode::kAutomatic; }

GraphNode Graph::node(std::size_t index) const {
  assert(index < node_count());
  const ir::CommandList& list = state_->list;
  const ir::Command& command = list.commands()[index];
  GraphNode node;
  node.kind = node_kind(command.kind);
  node.kernel = Kernel(base::Ref<ir::Kernel>(command.kernel));
  for (const ir::Argument& argument : list.arguments(command))
    node.arguments.push_back(node_argument(list, argument));
  node.grid = {command.grid_kind, command.grid_kind == GridKind::kThreads ? command.thread_count
                                                                          : command.group_count};
  node.group_size = command.group_size;
  node.shared_memory.assign(list.shared_sizes(command).begin(), list.shared_sizes(command).end());
  node.op = command.op;
  node.label = list.label_path(command);
  list.for_each_range(command, [&node](const AccessRange& range) {
    if (reads(range.access))
      node.reads.push_back({range.memory, range.begin, range.end, Access::kRead});
    if (writes(range.access))
      node.writes.push_back({range.memory, range.begin, range.end, Access::kWrite});
  });
  for (const ir::Argument& range : list.explicit_ranges(command))
    node.explicit_views.push_back(view_of(range));
  node.fill_value = std::byte{command.fill_byte};
  node.unannotated = command.unannotated;
  return node;
}

}  // namespace segue
