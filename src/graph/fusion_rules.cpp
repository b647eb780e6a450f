// SPDX-License-Identifier: Apache-2.0
//
// When dispatches may become one. All of these hold:
// - what each does is known: a fixed grid, the footprint of its signature, no barrier in between;
// - each link carries one value, whole: the same bytes, written by nobody else in between;
// - an eliminated value is in transient memory, and nobody but the linked consumers reads it;
// - apart from the values that stay inside, no dispatch of the match touches what another of them
//   writes; so everything that the fused kernel reads is there before the first of them starts, and
//   its results may all appear at once;
// - no other command must run between two of them.
#include "graph/fusion_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "graph/overwrites.hpp"

namespace segue::graph {
namespace {

using Refusal = std::optional<std::string>;

bool flows(const FusionLink& link) { return link.flow != FusionFlow::kShared; }

class Rules {
 public:
  Rules(const ir::CommandList& list, const Dependencies& dependencies, const FusionMatch& match)
      : list_(list), dependencies_(dependencies), match_(match) {}

  [[nodiscard]] Refusal dispatch(std::uint32_t command) const;
  [[nodiscard]] Refusal barriers() const;
  [[nodiscard]] Refusal link(const FusionLink& link) const;
  [[nodiscard]] Refusal elimination(const FusionLink& link) const;
  [[nodiscard]] Refusal conflicts() const;

 private:
  [[nodiscard]] std::string name(std::uint32_t command) const {
    return describe_command(list_, command);
  }
  /// The slot that fills a view; none if its bytes are fixed.
  [[nodiscard]] std::optional<std::uint32_t> view_slot(FusionPoint point) const;
  [[nodiscard]] Refusal other_reader(const FusionLink& link, const AccessRange& value) const;
  [[nodiscard]] bool is_linked(FusionPoint from, std::uint32_t command, std::size_t argument) const;

  const ir::CommandList& list_;
  const Dependencies& dependencies_;
  const FusionMatch& match_;
};

Refusal Rules::dispatch(std::uint32_t index) const {
  const ir::Command& command = list_.commands()[index];
  if (command.kind == ir::CommandKind::kDispatchIndirect)
    return fmt::format("Dispatch {} is indirect; a fused dispatch has a fixed grid.", name(index));
  if (command.explicit_reads || command.explicit_writes) {
    return fmt::format(
        "Dispatch {} has explicit ranges; fusion takes the footprint from the kernel's signature.",
        name(index));
  }
  const bool known = std::ranges::all_of(list_.arguments(command), &ir::Argument::access_known) &&
                     !command.unannotated;
  if (!known) {
    return fmt::format("Dispatch {} has an argument whose access its kernel does not state.",
                       name(index));
  }
  for (const ir::SlotUse& use : list_.slot_uses(index)) {
    const ir::Slot& slot = list_.slots()[use.slot];
    if (slot.kind == ir::SlotKind::kGrid) {
      return fmt::format(
          "The grid of dispatch {} is slot \"{}\"; a fused dispatch has a fixed one.", name(index),
          list_.name(slot.name));
    }
  }
  return std::nullopt;
}

Refusal Rules::barriers() const {
  const std::span<const std::uint32_t> members = match_.members();
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (dependencies_.segment(members[i - 1]) != dependencies_.segment(members[i])) {
      return fmt::format("A barrier was placed by hand between dispatches {} and {}.",
                         name(members[i - 1]), name(members[i]));
    }
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Rules::view_slot(FusionPoint point) const {
  for (const ir::SlotUse& use : list_.slot_uses(match_.command(point))) {
    if (use.argument == point.argument && list_.slots()[use.slot].kind == ir::SlotKind::kView)
      return use.slot;
  }
  return std::nullopt;
}

Refusal Rules::link(const FusionLink& link) const {
  const std::uint32_t from = match_.command(link.from), to = match_.command(link.to);
  const AccessRange a = match_.argument(list_, link.from).range();
  const AccessRange b = match_.argument(list_, link.to).range();
  if (a.begin != b.begin || a.end != b.end) {
    return fmt::format(
        "Dispatch {} reads bytes {} to {} but dispatch {} writes bytes {} to {}; a link needs the "
        "same bytes.",
        name(to), b.begin, b.end, name(from), a.begin, a.end);
  }
  if (view_slot(link.from) != view_slot(link.to)) {
    return fmt::format(
        "A replay may give dispatches {} and {} different views where the pattern needs the same.",
        name(from), name(to));
  }
  const Overwrites between = overwrites_between(list_, b, std::min(from, to), std::max(from, to));
  if (between.writer != kNoCommand) {
    return fmt::format("Command {} writes bytes between dispatches {} and {} that connect them.",
                       name(between.writer), name(from), name(to));
  }
  return link.flow == FusionFlow::kEliminated ? elimination(link) : std::nullopt;
}

Refusal Rules::elimination(const FusionLink& link) const {
  const ir::Argument& value = match_.argument(list_, link.from);
  const std::uint32_t from = match_.command(link.from);
  for (const ir::Storage* storage : {value.storage, match_.argument(list_, link.to).storage}) {
    if (!storage->transient) {
      return fmt::format(
          "Buffer \"{}\", which dispatch {} writes, is not transient: its content may be read "
          "after the graph.",
          storage->label, name(from));
    }
  }
  if (const auto slot = view_slot(link.from)) {
    return fmt::format("The view that dispatch {} writes is slot \"{}\", so it cannot disappear.",
                       name(from), list_.name(list_.slots()[*slot].name));
  }
  return other_reader(link, value.range());
}

bool Rules::is_linked(FusionPoint from, std::uint32_t command, std::size_t argument) const {
  return std::ranges::any_of(match_.pattern->links, [&](const FusionLink& link) {
    return link.flow == FusionFlow::kEliminated && link.from.node == from.node &&
           link.from.argument == from.argument && match_.command(link.to) == command &&
           link.to.argument == argument;
  });
}

Refusal Rules::other_reader(const FusionLink& link, const AccessRange& value) const {
  const std::uint32_t producer = match_.command(link.from);
  // Whether the command reads any of the value before others have overwritten that.
  const auto reads_value = [&](std::uint32_t reader, const AccessRange& range) {
    if (!reads(range.access) || range.memory != value.memory ||
        !overlaps(range.begin, range.end, value.begin, value.end)) {
      return false;
    }
    AccessRange part = range;
    part.begin = std::max(range.begin, value.begin);
    part.end = std::min(range.end, value.end);
    return !overwrites_between(list_, part, producer, reader).whole;
  };
  for (const std::uint32_t edge : dependencies_.successors(producer)) {
    const Dependency& dependency = dependencies_.edges()[edge];
    if (dependency.hazard != HazardKind::kReadAfterWrite) continue;
    const std::uint32_t reader = dependency.later;
    const ir::Command& command = list_.commands()[reader];
    bool other = false;
    if (std::ranges::find(match_.members(), reader) != match_.members().end()) {
      const std::span<const ir::Argument> arguments = list_.arguments(command);
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        other |= arguments[i].is_view() && arguments[i].size != 0 &&
                 !is_linked(link.from, reader, i) && reads_value(reader, arguments[i].range());
      }
    } else {
      list_.for_each_range(command,
                           [&](const AccessRange& range) { other |= reads_value(reader, range); });
    }
    if (other) {
      return fmt::format("Command {} reads what dispatch {} writes, so that cannot disappear.",
                         name(reader), name(producer));
    }
  }
  return std::nullopt;
}

Refusal Rules::conflicts() const {
  const std::vector<OuterAccess> accesses = outer_accesses(list_, match_);
  for (std::size_t i = 0; i < accesses.size(); ++i) {
    for (std::size_t j = i + 1; j < accesses.size(); ++j) {
      const OuterAccess &a = accesses[i], &b = accesses[j];
      if (a.command == b.command || !segue::conflicts(a.range, b.range)) continue;
      return fmt::format(
          "Dispatches {} and {} both use bytes {} to {}, one of them to write, and no link of the "
          "pattern says so.",
          name(a.command), name(b.command), std::max(a.range.begin, b.range.begin),
          std::min(a.range.end, b.range.end));
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<OuterAccess> outer_accesses(const ir::CommandList& list, const FusionMatch& match) {
  std::vector<OuterAccess> outer;
  const std::size_t steps = match.members().size();
  for (std::uint8_t step = 0; step < steps; ++step) {
    const std::uint32_t command = match.commands[step];
    const std::span<const ir::Argument> arguments = list.arguments(list.commands()[command]);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!arguments[i].is_view() || arguments[i].size == 0) continue;
      bool read = reads(arguments[i].access), written = writes(arguments[i].access);
      for (const FusionLink& link : match.pattern->links) {
        if (!flows(link)) continue;
        if (link.to.node == step && link.to.argument == i) read = false;
        if (link.flow == FusionFlow::kEliminated && link.from.node == step &&
            link.from.argument == i) {
          written = false;
        }
      }
      if (!read && !written) continue;
      AccessRange range = arguments[i].range();
      range.access = read && written ? Access::kReadWrite : read ? Access::kRead : Access::kWrite;
      outer.push_back({command, range});
    }
  }
  return outer;
}

Refusal find_refusal(const ir::CommandList& list, const Dependencies& dependencies,
                     Contraction& contraction, const FusionMatch& match) {
  const Rules rules(list, dependencies, match);
  for (const std::uint32_t command : match.members()) {
    if (Refusal refusal = rules.dispatch(command)) return refusal;
  }
  if (Refusal refusal = rules.barriers()) return refusal;
  for (const FusionLink& link : match.pattern->links) {
    if (Refusal refusal = rules.link(link)) return refusal;
  }
  if (Refusal refusal = rules.conflicts()) return refusal;
  const std::uint32_t outsider = contraction.outsider_between(match.members());
  if (outsider != kNoCommand) {
    return fmt::format(
        "Command {} must run after one of the dispatches from {} on and before another of them.",
        describe_command(list, outsider), describe_command(list, match.commands[0]));
  }
  return std::nullopt;
}

}  // namespace segue::graph
