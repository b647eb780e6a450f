// SPDX-License-Identifier: Apache-2.0
//
// Captured commands recorded once more, into an encoder.
#include "graph/schedule.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"
#include "runtime/graph_state.hpp"

namespace segue::runtime {

bool EncoderState::check_graph(const Graph& graph) {
  if (!ready()) return false;
  if (!graph.state()) {
    refuse("The graph is empty; take_capture() gives one.");
    return false;
  }
  if (graph.state()->core.get() != core_) {
    refuse("The graph belongs to another device than this encoder.");
    return false;
  }
  return true;
}

void EncoderState::append_copy(ir::ListCopier& copier, std::uint32_t index, bool infer) {
  ir::Command command = copier.copy_parts(index);
  if (command.scope == ir::NameId::kNone) command.scope = scope();
  append(command, infer);
}

void EncoderState::encode_node(const Graph& graph, std::size_t index) {
  if (!check_graph(graph)) return;
  const ir::CommandList& list = graph.state()->list;
  if (index >= list.size())
    return refuse("Node {} is asked for, but the graph has {}.", index, list.size());
  if (!check_slots(list, list.slot_uses(static_cast<std::uint32_t>(index)))) return;
  ir::ListCopier copier(list, *current_->list);
  append_copy(copier, static_cast<std::uint32_t>(index), true);
}

void EncoderState::encode_sequential(const Graph& graph) {
  if (!check_graph(graph)) return;
  const ir::CommandList& list = graph.state()->list;
  if (!check_slots(list, list.slot_uses())) return;
  const bool infer = graph.state()->mode == BarrierMode::kAutomatic;
  ir::ListCopier copier(list, *current_->list);
  for (std::uint32_t index = 0; index < list.size(); ++index) append_copy(copier, index, infer);
}

void EncoderState::encode_with_barriers(const Graph& graph, std::span<const std::uint32_t> order) {
  if (!check_graph(graph)) return;
  const ir::CommandList& list = graph.state()->list;
  const graph::Dependencies& dependencies = graph.state()->dependencies();
  if (order.size() != dependencies.work_count()) {
    return refuse("The order names {} nodes, but the graph has {} besides hand-placed barriers.",
                  order.size(), dependencies.work_count());
  }
  std::vector<bool> named(list.size(), false);
  for (const std::uint32_t index : order) {
    if (index >= list.size() || list.commands()[index].kind == ir::CommandKind::kBarrier ||
        named[index]) {
      return refuse("The order names node {}, which {}.", index,
                    index >= list.size() ? "the graph does not have"
                    : named[index]       ? "it has named before"
                                         : "is a hand-placed barrier");
    }
    named[index] = true;
  }
  if (const auto broken = graph::find_violation(dependencies, order)) {
    const auto label = [&list](std::uint32_t command) {
      return list.label_path(list.commands()[command]);
    };
    const std::string reason = broken->dependency
                                   ? std::string(to_string(broken->dependency->hazard))
                                   : "a hand-placed barrier";
    return refuse(
        "The order puts node {} (\"{}\") before node {} (\"{}\"), which must come first: {}.",
        broken->later, label(broken->later), broken->earlier, label(broken->earlier), reason);
  }
  if (!check_slots(list, list.slot_uses())) return;
  ir::ListCopier copier(list, *current_->list);
  const bool manual = current_->planner.mode() == BarrierMode::kManual;
  std::uint32_t segment = order.empty() ? 0 : dependencies.segment(order.front());
  for (const std::uint32_t index : order) {
    if (dependencies.segment(index) != segment) memory_barrier();
    segment = dependencies.segment(index);
    if (manual) {
      scratch_ranges_.clear();
      list.for_each_range(list.commands()[index],
                          [this](const AccessRange& range) { scratch_ranges_.push_back(range); });
      place_barrier_between();
    }
    append_copy(copier, index, true);
  }
}

}  // namespace segue::runtime
