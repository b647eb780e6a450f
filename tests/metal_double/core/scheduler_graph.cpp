// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "metal_double/core/scheduler.hpp"

// From command buffers to nodes: exactly the order that Metal's rules ask for. Passes of a queue
// may overlap but for fences, events and tracked resources; dispatches of a concurrent pass but for
// its barriers.
namespace metal_double {

struct Scheduler::PassBuilder {
  std::shared_ptr<CommandBufferCore> buffer;
  std::shared_ptr<Pass> pass;
  NodePtr begin;
  std::vector<NodePtr> heads;  ///< What the next command comes after.
  std::vector<NodePtr> since;  ///< Commands since the last barrier.

  void order_all_before(const NodePtr& node) const {
    for (const NodePtr& head : heads) order(head, node);
    for (const NodePtr& command : since) order(command, node);
  }
  void start_over_from(const NodePtr& node) {
    heads = {node};
    since.clear();
  }
};

NodePtr Scheduler::make(Node::Kind kind, const std::shared_ptr<CommandBufferCore>& owner) {
  auto node = std::make_shared<Node>();
  node->kind = kind;
  node->sequence = ++sequence_;
  node->blockers = 1;  // Until it is sealed.
  node->owner = owner;
  return node;
}

void Scheduler::order(const NodePtr& before, const NodePtr& after) {
  if (!before || before->done) return;
  before->successors.push_back(after);
  ++after->blockers;
}

void Scheduler::seal(const NodePtr& node) {
  if (--node->blockers == 0) settle_locked(node);
}

void Scheduler::flush(QueueCore& queue) {
  while (!queue.enqueued.empty() && queue.enqueued.front()->phase == Phase::kCommitted) {
    const std::shared_ptr<CommandBufferCore> buffer = queue.enqueued.front();
    queue.enqueued.erase(queue.enqueued.begin());
    build(buffer);
  }
}

void Scheduler::build(const std::shared_ptr<CommandBufferCore>& buffer) {
  QueueCore& queue = *buffer->queue;
  const auto options = World::get().options();
  const bool in_order = options->order == Order::kInOrder;
  to_call_.emplace_back(buffer, false);
  NodePtr gate = in_order ? queue.last_item : nullptr;
  std::vector<NodePtr> all;
  unsigned passes = 0;
  for (Item& item : buffer->items) {
    NodePtr node;
    if (auto* const pass = std::get_if<std::shared_ptr<Pass>>(&item)) {
      (*pass)->index = passes++;
      node = build_pass(buffer, *pass, gate);
    } else if (auto* const wait = std::get_if<WaitEvent>(&item)) {
      node = make(Node::Kind::kWait, buffer);
      node->event = wait->event;
      node->value = wait->value;
      order(gate, node);
      gate = node;
      seal(node);
    } else if (auto* const signal = std::get_if<SignalEvent>(&item)) {
      node = make(Node::Kind::kSignal, buffer);
      node->event = signal->event;
      node->value = signal->value;
      order(gate, node);
      for (const NodePtr& earlier : all) order(earlier, node);
      if (options->signals_in_queue_order) order(queue.last_end, node);
      seal(node);
    }
    if (in_order) gate = node;
    all.push_back(std::move(node));
  }
  const NodePtr end = make(Node::Kind::kEnd, buffer);
  order(queue.last_end, end);
  for (const NodePtr& earlier : all) order(earlier, end);
  queue.last_end = end;
  queue.last_item = gate;
  seal(end);
}

NodePtr Scheduler::build_pass(const std::shared_ptr<CommandBufferCore>& buffer,
                              const std::shared_ptr<Pass>& pass, const NodePtr& gate) {
  PassBuilder builder{buffer, pass, make(Node::Kind::kPassBegin, buffer), {}, {}};
  const NodePtr end = make(Node::Kind::kPassEnd, buffer);
  builder.begin->pass = pass;
  end->pass = pass;
  builder.heads = {builder.begin};
  order(gate, builder.begin);
  order_tracked(*buffer->queue, *pass, builder.begin, end);
  // Fences are evaluated where passes begin and end, says Apple's documentation of updateFence: a
  // pass begins, and its clock is read, when the fences that it waits for are updated, and it
  // updates its own when it ends.
  for (const PassCommand& command : pass->commands) {
    if (const auto* const wait = std::get_if<WaitFence>(&command))
      order(wait->fence->last_update, builder.begin);
  }
  seal(builder.begin);
  for (PassCommand& command : pass->commands) add_command(builder, command);
  order(builder.begin, end);
  builder.order_all_before(end);
  for (const PassCommand& command : pass->commands) {
    if (const auto* const update = std::get_if<UpdateFence>(&command))
      update->fence->last_update = end;
  }
  seal(end);
  return end;
}

void Scheduler::add_command(PassBuilder& builder, PassCommand& command) {
  const bool runs =
      std::holds_alternative<Dispatch>(command) || std::holds_alternative<ExecuteIndirect>(command);
  if (std::holds_alternative<Barrier>(command) || (runs && !builder.pass->concurrent)) {
    const NodePtr join = make(Node::Kind::kJoin, builder.buffer);
    builder.order_all_before(join);
    builder.start_over_from(join);
    seal(join);
  }
  if (auto* const dispatch = std::get_if<Dispatch>(&command)) {
    const NodePtr node = make(Node::Kind::kDispatch, builder.buffer);
    node->dispatch = dispatch;
    node->pass = builder.pass;
    for (const NodePtr& head : builder.heads) order(head, node);
    builder.since.push_back(node);
    seal(node);
  } else if (auto* const execute = std::get_if<ExecuteIndirect>(&command)) {
    add_indirect(builder, *execute);
  }
}

/// The commands of an indirect command buffer are concurrent but for their own barriers.
void Scheduler::add_indirect(PassBuilder& builder, ExecuteIndirect& execute) {
  std::vector<NodePtr> heads = builder.heads;
  std::vector<NodePtr> since;
  for (ExecuteIndirect::Resolved& command : execute.resolved) {
    if (command.barrier) {
      const NodePtr join = make(Node::Kind::kJoin, builder.buffer);
      for (const NodePtr& head : heads) order(head, join);
      for (const NodePtr& earlier : since) order(earlier, join);
      heads = {join};
      since.clear();
      seal(join);
    }
    if (!command.dispatch) continue;
    const NodePtr node = make(Node::Kind::kDispatch, builder.buffer);
    node->dispatch = &*command.dispatch;
    node->pass = builder.pass;
    for (const NodePtr& head : heads) order(head, node);
    since.push_back(node);
    builder.since.push_back(node);
    seal(node);
  }
  for (const NodePtr& head : heads) builder.since.push_back(head);
}

void Scheduler::order_tracked(QueueCore& queue, const Pass& pass, const NodePtr& begin,
                              const NodePtr& end) {
  std::map<std::uint64_t, bool> written;
  const auto note = [&](const std::shared_ptr<BufferCore>& buffer, bool writes) {
    if (buffer && buffer->tracked) written[buffer->id()] |= writes;
  };
  const auto note_dispatch = [&](const Dispatch& dispatch) {
    for (const auto& [index, slot] : dispatch.buffers) {
      const msl::Binding* const binding = dispatch.pipeline->find(msl::BindingKind::kBuffer, index);
      note(slot.buffer, binding->access != msl::Access::kRead);
    }
    note(dispatch.indirect.buffer, false);
  };
  for (const PassCommand& command : pass.commands) {
    if (const auto* const dispatch = std::get_if<Dispatch>(&command)) note_dispatch(*dispatch);
    const auto* const execute = std::get_if<ExecuteIndirect>(&command);
    if (execute == nullptr || !execute->commands->inherits_buffers) continue;
    for (const auto& resolved : execute->resolved) {
      if (resolved.dispatch) note_dispatch(*resolved.dispatch);
    }
  }
  // What indirect commands bind themselves is tracked as useResource says.
  for (const auto& [buffer, writes] : pass.used) note(buffer, writes);
  for (const auto& [id, writes] : written) {
    QueueCore::Tracked& tracked = queue.tracked[id];
    order(tracked.last_write, begin);
    if (!writes) {
      tracked.reads.push_back(end);
      continue;
    }
    for (const NodePtr& read : tracked.reads) order(read, begin);
    tracked = {end, {}};
  }
}

}  // namespace metal_double
