// SPDX-License-Identifier: Apache-2.0
//
// Greedy by size: the largest storage first, each into the first gap between those placed already
// whose lifetimes meet its own. After Pisarchyk and Lee, "Efficient Memory Management for Deep
// Neural Net Inference" (2020), who take the smallest gap that fits.
//
// They count time in operators. Here it is counted in groups: commands of one group may overlap, so
// bytes freed and used again inside a group would need a barrier there. How many, and how many
// bytes that would save, comes from placing once more with time counted in commands, and from
// planning with the bytes of that placement.
#include "graph/placement.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <numeric>
#include <optional>
#include <span>
#include <unordered_map>

#include "segue/hazard.hpp"

namespace segue::graph {
namespace {

/// Bytes needed from one point in time to another, both included.
struct Block {
  std::uint64_t size = 0;
  std::uint32_t first = 0, last = 0;
};

struct Packing {
  std::vector<std::uint64_t> offsets;  ///< Of each block.
  std::uint64_t size = 0;
};

Packing pack(std::span<const Block> blocks) {
  std::vector<std::uint32_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), 0U);
  std::ranges::sort(by_size, [&blocks](std::uint32_t a, std::uint32_t b) {
    if (blocks[a].size != blocks[b].size) return blocks[a].size > blocks[b].size;
    return blocks[a].first != blocks[b].first ? blocks[a].first < blocks[b].first : a < b;
  });
  Packing packing{std::vector<std::uint64_t>(blocks.size(), 0), 0};
  std::vector<std::uint32_t> by_offset;  // Those placed so far.
  for (const std::uint32_t index : by_size) {
    const Block& block = blocks[index];
    std::uint64_t offset = 0;
    for (const std::uint32_t other : by_offset) {
      if (blocks[other].last < block.first || block.last < blocks[other].first) continue;
      if (offset + block.size <= packing.offsets[other]) break;
      offset = std::max(offset, packing.offsets[other] + blocks[other].size);
    }
    packing.offsets[index] = offset;
    packing.size = std::max(packing.size, offset + block.size);
    const auto offset_of = [&packing](std::uint32_t placed) { return packing.offsets[placed]; };
    by_offset.insert(std::ranges::upper_bound(by_offset, offset, {}, offset_of), index);
  }
  return packing;
}

std::uint64_t most_alive(std::span<const Block> blocks, std::size_t points) {
  std::vector<std::uint64_t> alive(points, 0);
  for (const Block& block : blocks) {
    for (std::uint32_t point = block.first; point <= block.last; ++point)
      alive[point] += block.size;
  }
  return alive.empty() ? 0 : *std::ranges::max_element(alive);
}

/// A transient storage of the list, and when the plan's commands touch it.
struct Transient {
  ir::Storage* storage = nullptr;
  std::optional<KeptReason> kept;
  bool touched = false;
  Block by_group, by_position;
};

/// The transients of a plan, in the order in which its list names them.
class Transients {
 public:
  explicit Transients(const ir::Plan& plan) {
    std::unordered_map<MemoryId, std::uint32_t> storages_of;
    for (const ir::ResourceUse& use : plan.list->resources()) ++storages_of[use.storage->memory];
    for (const ir::ResourceUse& use : plan.list->resources()) {
      if (!use.storage->transient) continue;
      slots_.emplace(use.storage, all_.size());
      Transient& transient = all_.emplace_back();
      transient.storage = use.storage;
      if (storages_of[use.storage->memory] > 1) transient.kept = KeptReason::kAliased;
    }
    for (const ir::Slot& slot : plan.list->slots()) {
      Transient* transient = find(slot.view.storage);
      if (transient != nullptr && !transient->kept) transient->kept = KeptReason::kSlot;
    }
    std::uint32_t position = 0;
    for (std::uint32_t group = 0; group < plan.group_count(); ++group) {
      for (const std::uint32_t index : plan.group(group))
        touch(*plan.list, plan.list->commands()[index], group, position++);
    }
  }

  [[nodiscard]] std::span<const Transient> all() const { return all_; }

 private:
  Transient* find(const ir::Storage* storage) {
    const auto found = slots_.find(storage);
    return found == slots_.end() ? nullptr : &all_[found->second];
  }

  void touch(const ir::CommandList& list, const ir::Command& command, std::uint32_t group,
             std::uint32_t position) {
    const auto arguments = list.arguments(command);
    for (const ir::Argument& argument : arguments) {
      Transient* transient = find(argument.storage);
      if (transient == nullptr) continue;
      extend(*transient, group, position);
      if (command.kind == ir::CommandKind::kNative && !transient->kept)
        transient->kept = KeptReason::kNative;
    }
    for (const ir::Argument& range : list.explicit_ranges(command)) {
      Transient* transient = find(range.storage);
      if (transient == nullptr) continue;
      extend(*transient, group, position);
      if (!transient->kept &&
          std::ranges::find(arguments, range.storage, &ir::Argument::storage) == arguments.end())
        transient->kept = KeptReason::kByPointer;
    }
  }

  static void extend(Transient& transient, std::uint32_t group, std::uint32_t position) {
    if (!transient.touched) {
      transient.by_group.first = group;
      transient.by_position.first = position;
    }
    transient.touched = true;
    transient.by_group.last = group;
    transient.by_position.last = position;
  }

  std::vector<Transient> all_;
  std::unordered_map<const ir::Storage*, std::size_t> slots_;
};

/// Barriers that a correct plan lacks once its placed storages are where `offsets` says.
std::uint32_t barriers_added(const ir::Plan& plan, std::span<const Placed> placed,
                             std::span<const std::uint64_t> offsets) {
  std::unordered_map<MemoryId, std::uint64_t> displacements;  // From memory to arena, wrapping.
  for (std::size_t i = 0; i < placed.size(); ++i)
    displacements[placed[i].storage->memory] = offsets[i] - placed[i].storage->memory_offset;
  if (placed.empty()) return 0;
  const MemoryId arena = placed.front().storage->memory;  // Any id does.
  std::uint32_t added = 0;
  HazardTracker tracker;
  std::vector<AccessRange> ranges;
  for (std::size_t group = 0; group < plan.group_count(); ++group) {
    tracker.reset();
    for (const std::uint32_t index : plan.group(group)) {
      ranges.clear();
      plan.list->for_each_range(plan.list->commands()[index], [&](const AccessRange& range) {
        const auto found = displacements.find(range.memory);
        if (found == displacements.end()) return;
        ranges.push_back(
            {arena, range.begin + found->second, range.end + found->second, range.access});
      });
      if (tracker.check_and_add(ranges)) ++added;
    }
  }
  return added;
}

}  // namespace

std::string_view to_string(KeptReason reason) {
  switch (reason) {
    case KeptReason::kAliased: return "Aliased";
    case KeptReason::kNative: return "Native";
    case KeptReason::kByPointer: return "ByPointer";
    case KeptReason::kSlot: return "Slot";
  }
  return "Unknown";
}

Placement find_placement(const ir::Plan& plan, std::uint64_t alignment) {
  assert(alignment >= 64 && std::has_single_bit(alignment));
  Placement placement;
  placement.alignment = alignment;
  std::vector<Block> by_group, by_position;
  const Transients transients(plan);
  for (const Transient& transient : transients.all()) {
    if (!transient.touched) continue;
    if (transient.kept) {
      placement.kept.push_back({transient.storage, *transient.kept});
      continue;
    }
    const std::uint64_t size = transient.storage->size_bytes;
    const std::uint64_t aligned = (size + alignment - 1) & ~(alignment - 1);
    placement.placed.push_back(
        {transient.storage, 0, size, transient.by_group.first, transient.by_group.last});
    placement.separate_bytes += aligned;
    by_group.push_back({aligned, transient.by_group.first, transient.by_group.last});
    by_position.push_back({aligned, transient.by_position.first, transient.by_position.last});
  }
  const Packing packing = pack(by_group);
  for (std::size_t i = 0; i < placement.placed.size(); ++i)
    placement.placed[i].offset = packing.offsets[i];
  placement.arena_bytes = packing.size;
  placement.lower_bound_bytes = most_alive(by_group, plan.group_count());

  const Packing tight = pack(by_position);
  placement.tight_bytes = tight.size;
  placement.tight_barriers = barriers_added(plan, placement.placed, tight.offsets);
  return placement;
}

}  // namespace segue::graph
