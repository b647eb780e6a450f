// SPDX-License-Identifier: Apache-2.0
//
// Backtracking: the first step is given, every other one is looked for across a link from a step
// found before: along read-after-write edges to or from a known dispatch, or among the readers of
// the bytes that a known sibling reads.
#include "graph/fusion_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/fail.hpp"
#include "graph/overwrites.hpp"

namespace segue::graph {
namespace {

constexpr std::uint32_t kAttemptsPerCommand = 128;
constexpr std::uint32_t kMatchesPerCommand = 16;

bool flows(const FusionLink& link) { return link.flow != FusionFlow::kShared; }

/// The argument of a command, if it is a view that is used as `access` says.
const ir::Argument* view_at(const ir::CommandList& list, std::uint32_t command,
                            std::uint8_t argument, Access access) {
  const std::span<const ir::Argument> arguments = list.arguments(list.commands()[command]);
  if (argument >= arguments.size()) return nullptr;
  const ir::Argument& found = arguments[argument];
  const bool used = access == Access::kRead ? reads(found.access) : writes(found.access);
  return found.is_view() && found.size != 0 && used ? &found : nullptr;
}

bool same_bytes(const AccessRange& a, const AccessRange& b) {
  return a.memory == b.memory && a.begin == b.begin && a.end == b.end;
}

Result<> check_links(const FusionPattern& pattern) {
  const std::size_t steps = pattern.steps.size();
  std::uint32_t connected = 1;  // a bit for each step
  for (const FusionLink& link : pattern.links) {
    for (const FusionPoint point : {link.from, link.to}) {
      if (point.node >= steps) {
        return base::fail(ErrorCode::kInvalidArgument,
                          "Fusion pattern \"{}\" links dispatch {}; it has dispatches 0 to {}.",
                          pattern.name, point.node, steps - 1);
      }
    }
    if (link.from.node == link.to.node) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Fusion pattern \"{}\" links dispatch {} to itself; a link connects two.",
                        pattern.name, link.from.node);
    }
    if (flows(link) && link.from.node > link.to.node) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Fusion pattern \"{}\" has a value flow from dispatch {} to {}; its "
                        "dispatches are in recorded order.",
                        pattern.name, link.from.node, link.to.node);
    }
  }
  for (std::size_t round = 1; round < steps; ++round) {
    for (const FusionLink& link : pattern.links) {
      const std::uint32_t ends = 1U << link.from.node | 1U << link.to.node;
      if ((connected & ends) != 0) connected |= ends;
    }
  }
  for (std::size_t step = 0; step < steps; ++step) {
    if ((connected >> step & 1U) == 0) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Fusion pattern \"{}\" has no link from dispatch 0 to dispatch {}; links "
                        "connect all of them.",
                        pattern.name, step);
    }
  }
  return {};
}

}  // namespace

Result<> check_pattern(const FusionPattern& pattern, std::size_t position) {
  if (pattern.name.empty()) {
    return base::fail(ErrorCode::kInvalidArgument, "Fusion pattern {} has no name; each needs one.",
                      position);
  }
  const std::size_t steps = pattern.steps.size();
  if (steps < kMinFusionSteps || steps > kMaxFusionSteps) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Fusion pattern \"{}\" has {} dispatches; a pattern has {} to {}.",
                      pattern.name, steps, kMinFusionSteps, kMaxFusionSteps);
  }
  if (!pattern.fuse) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Fusion pattern \"{}\" has no function that makes the fused dispatch.",
                      pattern.name);
  }
  if (!(pattern.tolerance >= 0)) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Fusion pattern \"{}\" has the tolerance {}; it is 0 or more.", pattern.name,
                      pattern.tolerance);
  }
  return check_links(pattern);
}

std::string describe_command(const ir::CommandList& list, std::uint32_t command) {
  return fmt::format("{} \"{}\"", command, list.label_path(list.commands()[command]));
}

void ReaderIndex::make() {
  made_ = true;
  for (std::uint32_t command = 0; command < list_.size(); ++command) {
    if (!list_.commands()[command].is_dispatch()) continue;
    for (const ir::Argument& argument : list_.arguments(list_.commands()[command])) {
      if (!argument.is_view() || argument.size == 0 || !reads(argument.access)) continue;
      const AccessRange range = argument.range();
      readers_.push_back({range.memory, range.begin, range.end, command});
    }
  }
  std::ranges::sort(readers_);
  const auto repeated = std::ranges::unique(readers_);
  readers_.erase(repeated.begin(), repeated.end());
}

std::span<const ReaderIndex::Reader> ReaderIndex::of(const AccessRange& bytes) {
  if (!made_) make();
  const Reader first{bytes.memory, bytes.begin, bytes.end, 0};
  const Reader last{bytes.memory, bytes.begin, bytes.end, UINT32_MAX};
  return {std::ranges::lower_bound(readers_, first), std::ranges::upper_bound(readers_, last)};
}

FusionMatcher::FusionMatcher(const ir::CommandList& list, const Dependencies& dependencies,
                             ReaderIndex& readers, const Contraction& contraction,
                             const FusionPattern& pattern)
    : list_(list),
      dependencies_(dependencies),
      readers_(readers),
      contraction_(contraction),
      pattern_(pattern) {
  match_.pattern = &pattern;
  plan_moves();
}

/// Flowing values have few readers, shared ones may have many: flows are followed first.
void FusionMatcher::plan_moves() {
  found_ = 1;
  while (moves_.size() + 1 < pattern_.steps.size()) {
    std::optional<Move> best;
    for (const FusionLink& link : pattern_.links) {
      if (found(link.from.node) == found(link.to.node)) continue;
      if (best && (flows(*best->link) || !flows(link))) continue;
      const bool forwards = found(link.from.node);
      best = Move{forwards ? link.to.node : link.from.node, &link, forwards};
    }
    moves_.push_back(*best);  // check_pattern() has seen that links connect all
    found_ |= 1U << best->step;
  }
}

void FusionMatcher::find(std::uint32_t first, const Visitor& visit) {
  visit_ = &visit;
  found_ = 0;
  attempts_left_ = kAttemptsPerCommand;
  matches_left_ = kMatchesPerCommand;
  if (!fits(0, first)) return;
  match_.commands[0] = first;
  found_ = 1;
  extend(0);
}

bool FusionMatcher::extend(std::size_t depth) {
  if (depth == moves_.size()) {
    --matches_left_;
    return (*visit_)(match_) || matches_left_ == 0;
  }
  const Move& move = moves_[depth];
  if (!flows(*move.link)) return try_shared(depth);
  if (move.forwards) {
    for (const std::uint32_t edge : dependencies_.successors(match_.command(move.link->from))) {
      const Dependency& dependency = dependencies_.edges()[edge];
      if (dependency.hazard == HazardKind::kReadAfterWrite &&
          try_command(depth, dependency.later)) {
        return true;
      }
    }
    return false;
  }
  for (const Dependency& dependency : dependencies_.predecessors(match_.command(move.link->to))) {
    if (dependency.hazard == HazardKind::kReadAfterWrite && try_command(depth, dependency.earlier))
      return true;
  }
  return false;
}

bool FusionMatcher::try_shared(std::size_t depth) {
  const Move& move = moves_[depth];
  const FusionPoint known = move.forwards ? move.link->from : move.link->to;
  const std::uint32_t sibling = match_.command(known);
  const ir::Argument* argument = view_at(list_, sibling, known.argument, Access::kRead);
  if (argument == nullptr) return false;
  const AccessRange bytes = argument->range();
  const auto readers = readers_.of(bytes);
  // Step 0 is the earliest, so nothing before it can fit.
  auto reader =
      std::ranges::upper_bound(readers, match_.commands[0], {}, &ReaderIndex::Reader::command);
  for (; reader != readers.end(); ++reader) {
    if (reader->command > sibling &&
        overwrites_between(list_, bytes, sibling, reader->command).whole) {
      return false;  // all further readers see another value
    }
    if (try_command(depth, reader->command)) return true;
  }
  return false;
}

bool FusionMatcher::try_command(std::size_t depth, std::uint32_t command) {
  if (attempts_left_ == 0) return true;
  --attempts_left_;
  const std::uint8_t step = moves_[depth].step;
  if (!fits(step, command)) return false;
  match_.commands[step] = command;
  found_ |= 1U << step;
  const bool links_fit = std::ranges::all_of(pattern_.links, [&](const FusionLink& link) {
    const bool touched = link.from.node == step || link.to.node == step;
    return !touched || !found(link.from.node) || !found(link.to.node) || link_fits(link);
  });
  if (links_fit && extend(depth + 1)) return true;
  found_ &= ~(1U << step);
  return false;
}

bool FusionMatcher::fits(std::uint8_t step, std::uint32_t command) const {
  const ir::Command& candidate = list_.commands()[command];
  if (!candidate.is_dispatch() || candidate.op != pattern_.steps[step].op ||
      contraction_.contracted(command)) {
    return false;
  }
  for (std::uint8_t other = 0; other < pattern_.steps.size(); ++other) {
    if (!found(other) || other == step) continue;
    const bool in_order =
        other < step ? match_.commands[other] < command : command < match_.commands[other];
    if (!in_order) return false;
  }
  const FusionStep& wanted = pattern_.steps[step];
  return !wanted.accepts || wanted.accepts(FusionNode(list_, command));
}

/// Whether a value flows along the link at all. Whether it does so whole and untouched is a rule,
/// whose breach is reported.
bool FusionMatcher::link_fits(const FusionLink& link) const {
  const std::uint32_t from = match_.command(link.from), to = match_.command(link.to);
  const ir::Argument* source =
      view_at(list_, from, link.from.argument, flows(link) ? Access::kWrite : Access::kRead);
  const ir::Argument* target = view_at(list_, to, link.to.argument, Access::kRead);
  if (source == nullptr || target == nullptr) return false;
  const AccessRange written = source->range(), read = target->range();
  if (!flows(link)) {
    return same_bytes(written, read) &&
           !overwrites_between(list_, read, std::min(from, to), std::max(from, to)).whole;
  }
  return written.memory == read.memory &&
         overlaps(written.begin, written.end, read.begin, read.end) &&
         std::ranges::any_of(dependencies_.predecessors(to), [from](const Dependency& edge) {
           return edge.earlier == from && edge.hazard == HazardKind::kReadAfterWrite;
         });
}

}  // namespace segue::graph
