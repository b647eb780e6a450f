// SPDX-License-Identifier: Apache-2.0
//
// Shares no code with the placement. A storage is alive from the first to the last group in which a
// command has it as an argument or reaches its memory in another way. Every two placed storages are
// compared.
#include "graph/placement_certificate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace segue::graph {
namespace {

/// Groups in which a storage is alive; never so if first > last.
struct Lifetime {
  std::size_t first = std::numeric_limits<std::size_t>::max();
  std::size_t last = 0;

  void add(std::size_t group) {
    if (group < first) first = group;
    if (group > last) last = group;
  }
};

Lifetime lifetime_of(const ir::Plan& plan, const ir::Storage& storage) {
  Lifetime lifetime;
  std::size_t group = 0;
  for (std::size_t at = 0; at < plan.order.size(); ++at) {
    while (plan.group_ends[group] <= at) ++group;
    const ir::Command& command = plan.list->commands()[plan.order[at]];
    plan.list->for_each_range(command, [&](const AccessRange& range) {
      if (range.memory == storage.memory) lifetime.add(group);
    });
    for (const ir::Argument& argument : plan.list->arguments(command)) {
      if (argument.storage == &storage) lifetime.add(group);
    }
  }
  return lifetime;
}

std::string name_of(const ir::Storage& storage) {
  return storage.label.empty()
             ? fmt::format("Memory {}", static_cast<std::uint64_t>(storage.memory))
             : fmt::format("Buffer \"{}\"", storage.label);
}

/// What is wrong with one placed storage whatever the others are.
void check_alone(const ir::Plan& plan, const Placement& placement, const Placed& placed,
                 std::vector<std::string>& faults) {
  const ir::Storage& storage = *placed.storage;
  const std::string name = name_of(storage);
  if (!storage.transient) faults.push_back(name + " is placed but not transient.");
  if (placed.size != storage.size_bytes) {
    faults.push_back(fmt::format("{} is placed with {} bytes but has {}.", name, placed.size,
                                 storage.size_bytes));
  }
  if (placement.alignment == 0 || placed.offset % placement.alignment != 0) {
    faults.push_back(fmt::format("{} is placed at byte {}, which is no multiple of {}.", name,
                                 placed.offset, placement.alignment));
  }
  if (placed.offset > placement.arena_bytes ||
      placed.size > placement.arena_bytes - placed.offset) {
    faults.push_back(fmt::format("{} is placed at byte {} with {} bytes but the arena has {}.",
                                 name, placed.offset, placed.size, placement.arena_bytes));
  }
  for (const ir::ResourceUse& use : plan.list->resources()) {
    if (use.storage != &storage && use.storage->memory == storage.memory)
      faults.push_back(name + " is placed but another storage is in its memory.");
  }
}

/// Whoever moves a storage rewrites arguments. A command that reaches it another way would not see
/// the move.
void check_reach(const ir::Plan& plan, const ir::Storage& storage,
                 std::vector<std::string>& faults) {
  for (const std::uint32_t index : plan.order) {
    const ir::Command& command = plan.list->commands()[index];
    bool touched = false, argument = false;
    plan.list->for_each_range(
        command, [&](const AccessRange& range) { touched |= range.memory == storage.memory; });
    for (const ir::Argument& view : plan.list->arguments(command))
      argument |= view.storage == &storage;
    if (command.kind == ir::CommandKind::kNative && (touched || argument)) {
      faults.push_back(
          fmt::format("{} is placed but native command {} uses it.", name_of(storage), index));
    } else if (touched && !argument) {
      faults.push_back(fmt::format("{} is placed but is no argument of command {}, which uses it.",
                                   name_of(storage), index));
    }
  }
}

}  // namespace

std::vector<std::string> check_placement(const ir::Plan& plan, const Placement& placement) {
  std::vector<std::string> faults;
  std::vector<Lifetime> lifetimes;
  for (const Placed& placed : placement.placed) {
    check_alone(plan, placement, placed, faults);
    check_reach(plan, *placed.storage, faults);
    const Lifetime& lifetime = lifetimes.emplace_back(lifetime_of(plan, *placed.storage));
    if (lifetime.first < placed.first_group || lifetime.last > placed.last_group) {
      faults.push_back(fmt::format("{} is placed for groups {} to {} but lives in {} to {}.",
                                   name_of(*placed.storage), placed.first_group, placed.last_group,
                                   lifetime.first, lifetime.last));
    }
  }
  for (std::size_t a = 0; a < lifetimes.size(); ++a) {
    for (std::size_t b = a + 1; b < lifetimes.size(); ++b) {
      const Placed& one = placement.placed[a];
      const Placed& other = placement.placed[b];
      if (one.storage == other.storage)
        faults.push_back(name_of(*one.storage) + " is placed twice.");
      const std::size_t group = std::max(lifetimes[a].first, lifetimes[b].first);
      const bool meet = group <= std::min(lifetimes[a].last, lifetimes[b].last);
      const std::uint64_t begin = std::max(one.offset, other.offset);
      const std::uint64_t end = std::min(one.offset + one.size, other.offset + other.size);
      if (!meet || begin >= end) continue;
      faults.push_back(fmt::format(
          "{} and {} share bytes {} to {} of the arena, and both are alive in group {}.",
          name_of(*one.storage), name_of(*other.storage), begin, end, group));
    }
  }
  return faults;
}

}  // namespace segue::graph
