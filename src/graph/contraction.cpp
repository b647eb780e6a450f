// SPDX-License-Identifier: Apache-2.0
//
// Drawing a set of vertices of an acyclic graph together keeps it acyclic exactly if no path leaves
// the set and returns. A depth-first search from the set finds such a path. Edges point forwards in
// recorded order, but a contracted set that was entered at a late command is left at an early one
// too, so the search may stop only behind the last command of every set that reaches beyond.
#include "graph/contraction.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <numeric>
#include <queue>

#include "graph/access_history.hpp"

namespace segue::graph {

Contraction::Contraction(const Dependencies& dependencies)
    : dependencies_(dependencies),
      identity_(dependencies.command_count()),
      group_of_(dependencies.command_count(), kNoGroup),
      span_end_(dependencies.command_count()),
      visited_(dependencies.command_count(), 0) {
  std::iota(identity_.begin(), identity_.end(), 0U);
  span_end_ = identity_;
}

void Contraction::visit_vertex(std::uint32_t command) {
  if (visited_[command] == search_) return;
  for (const std::uint32_t same : vertex(command)) {
    visited_[same] = search_;
    stack_.push_back(same);
  }
}

std::uint32_t Contraction::outsider_between(std::span<const std::uint32_t> members) {
  ++search_;
  stack_.assign(members.begin(), members.end());
  for (const std::uint32_t member : members) visited_[member] = search_;
  std::uint32_t limit = std::ranges::max(members);
  while (span_end_[limit] > limit) limit = span_end_[limit];
  const auto is_member = [members](std::uint32_t command) {
    return std::ranges::find(members, command) != members.end();
  };
  while (!stack_.empty()) {
    const std::uint32_t command = stack_.back();
    stack_.pop_back();
    const bool outside = !is_member(command);
    for (const std::uint32_t edge : dependencies_.successors(command)) {
      const std::uint32_t later = dependencies_.edges()[edge].later;
      if (is_member(later)) {
        if (outside) return command;
      } else if (later <= limit) {
        visit_vertex(later);
      }
    }
  }
  return kNoCommand;
}

void Contraction::contract(std::span<const std::uint32_t> members) {
  assert(std::ranges::is_sorted(members));
  const auto group = static_cast<std::uint32_t>(groups_.size());
  for (const std::uint32_t member : members) group_of_[member] = group;
  groups_.emplace_back(members.begin(), members.end());
  for (std::uint32_t i = members.front(); i < members.back(); ++i)
    span_end_[i] = std::max(span_end_[i], members.back());
}

std::vector<std::uint32_t> Contraction::order(const ir::CommandList& list) const {
  const auto count = dependencies_.command_count();
  const auto first_of = [this](std::uint32_t command) { return vertex(command).front(); };
  std::vector<std::uint32_t> missing(count, 0);  // edges from vertices not yet placed, by first
  for (const Dependency& edge : dependencies_.edges()) {
    if (first_of(edge.earlier) != first_of(edge.later)) ++missing[first_of(edge.later)];
  }
  std::vector<std::uint32_t> order;
  order.reserve(count);
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready;
  const auto is_barrier = [&list](std::uint32_t command) {
    return list.commands()[command].kind == ir::CommandKind::kBarrier;
  };
  for (std::uint32_t begin = 0, end = 0; begin < count; begin = end) {
    if (is_barrier(begin)) {
      order.push_back(begin);
      end = begin + 1;
      continue;
    }
    while (end < count && !is_barrier(end)) ++end;
    for (std::uint32_t command = begin; command < end; ++command) {
      if (first_of(command) == command && missing[command] == 0) ready.push(command);
    }
    while (!ready.empty()) {
      const std::uint32_t first = ready.top();
      ready.pop();
      order.push_back(first);
      for (const std::uint32_t command : vertex(first)) {
        for (const std::uint32_t edge : dependencies_.successors(command)) {
          const std::uint32_t next = first_of(dependencies_.edges()[edge].later);
          if (next != first && --missing[next] == 0 && next < end) ready.push(next);
        }
      }
    }
  }
  return order;
}

}  // namespace segue::graph
