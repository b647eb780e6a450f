// SPDX-License-Identifier: Apache-2.0
//
// Graphs for people to read.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "graph/schedule.hpp"
#include "runtime/graph_state.hpp"
#include "segue/graph.hpp"

namespace segue {
namespace {

using Text = std::back_insert_iterator<std::string>;

void append_range(Text out, const ir::CommandList& list, const AccessRange& range) {
  std::string_view label = "?";
  std::uint64_t begin = range.begin;
  for (const ir::ResourceUse& use : list.resources()) {
    const ir::Storage& storage = *use.storage;
    if (storage.memory != range.memory || range.begin < storage.memory_offset ||
        range.end > storage.memory_offset + storage.size_bytes) {
      continue;
    }
    label = storage.label;
    begin = range.begin - storage.memory_offset;
    break;
  }
  fmt::format_to(out, " {}{} {}[{}..{})", reads(range.access) ? "r" : "",
                 writes(range.access) ? "w" : "", label, begin, begin + range.end - range.begin);
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result.push_back('\\');
    result.push_back(c == '\n' ? ' ' : c);
  }
  return result;
}

std::string describe_node(const ir::CommandList& list, const ir::Command& command) {
  std::string label = list.label_path(command);
  if (label.empty()) label = ir::to_string(command.kind);
  return label;
}

}  // namespace

std::string Graph::to_string() const {
  if (!state_) return "empty graph\n";
  std::string text;
  const Text out = std::back_inserter(text);
  const ir::CommandList& list = state_->list;
  const graph::Dependencies& dependencies = state_->dependencies();
  fmt::format_to(out, "{} nodes, {} dispatches, {} hand-placed barriers, {} unannotated\n",
                 node_count(), dispatch_count(), barrier_count(), unannotated_count());
  for (std::uint32_t i = 0; i < list.size(); ++i) {
    const ir::Command& command = list.commands()[i];
    if (command.kind == ir::CommandKind::kBarrier) {
      fmt::format_to(out, "{:5}        ---- barrier ----\n", i);
      continue;
    }
    fmt::format_to(out, "{:5} level {:<4} {} {}", i, dependencies.level(i),
                   segue::to_string(command.op), describe_node(list, command));
    list.for_each_range(command, [&](const AccessRange& range) { append_range(out, list, range); });
    text.push_back('\n');
  }
  for (const Schedule schedule :
       {Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath}) {
    const ScheduleReport costs = report(schedule);
    fmt::format_to(out, "{:<14} {} dispatches, {} barriers, critical path {}, bound {}\n",
                   segue::to_string(schedule), costs.dispatches, costs.barriers,
                   costs.critical_path, costs.bound);
  }
  return text;
}

std::string Graph::to_dot() const {
  std::string text = "digraph segue {\n  rankdir=TB; node [shape=box, fontname=monospace];\n";
  if (state_) {
    const Text out = std::back_inserter(text);
    const ir::CommandList& list = state_->list;
    const graph::Dependencies& dependencies = state_->dependencies();
    const std::vector<std::uint32_t> path = dependencies.critical_commands(list);
    const auto is_critical = [&path](std::uint32_t command) {
      return std::ranges::find(path, command) != path.end();
    };
    for (std::uint32_t level = 0; level < dependencies.critical_path(); ++level) {
      text.append("  { rank=same;");
      for (std::uint32_t i = 0; i < list.size(); ++i) {
        const ir::Command& command = list.commands()[i];
        if (command.kind == ir::CommandKind::kBarrier || dependencies.level(i) != level) continue;
        fmt::format_to(out, " n{} [label=\"{}: {}\"{}];", i, i,
                       escaped(describe_node(list, command)), is_critical(i) ? ", style=bold" : "");
      }
      text.append(" }\n");
    }
    for (const graph::Dependency& edge : dependencies.edges()) {
      const bool bold = is_critical(edge.earlier) && is_critical(edge.later);
      fmt::format_to(out, "  n{} -> n{} [label=\"{}\"{}];\n", edge.earlier, edge.later,
                     segue::to_string(edge.hazard), bold ? ", style=bold" : "");
    }
  }
  return text + "}\n";
}

}  // namespace segue
