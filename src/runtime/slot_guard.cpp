// SPDX-License-Identifier: Apache-2.0
#include "runtime/slot_guard.hpp"

#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"

namespace segue::runtime {
bool is_view_slot(const ir::CommandList& list, std::uint32_t command, std::uint32_t argument) {
  return std::ranges::any_of(list.slot_uses(command), [&](const ir::SlotUse& use) {
    return use.argument == argument && list.slots()[use.slot].kind == ir::SlotKind::kView;
  });
}

SlotGuard::SlotGuard(const ir::Plan& plan, std::vector<std::uint32_t> original)
    : list_(plan.list), original_(std::move(original)), group_(plan.list->size(), 0) {
  for (std::uint32_t g = 0; g < plan.group_count(); ++g) {
    for (const std::uint32_t command : plan.group(g)) group_[command] = g;
  }
  for (const ir::SlotUse& use : list_->slot_uses()) {
    if (list_->slots()[use.slot].kind != ir::SlotKind::kView) continue;
    const ir::Command& command = list_->commands()[use.command];
    slots_.push_back({use.slot, use.command, list_->arguments(command)[use.argument].access});
  }
  if (slots_.empty()) return;  // nothing can change, so nothing needs to be known
  for (std::uint32_t c = 0; c < list_->size(); ++c) {
    const ir::Command& command = list_->commands()[c];
    // An explicit footprint replaces what the arguments say, for reads and for writes apart.
    for (std::uint32_t i = 0; i < command.argument_count; ++i) {
      const ir::Argument& argument = list_->arguments(command)[i];
      if (!argument.is_view() || argument.size == 0 || is_view_slot(*list_, c, i)) continue;
      const bool read = reads(argument.access) && !command.explicit_reads;
      const bool written = writes(argument.access) && !command.explicit_writes;
      if (!read && !written) continue;
      AccessRange range = argument.range();
      if (!written) range.access = Access::kRead;
      fixed_.push_back({range, argument.storage, c});
    }
    for (const ir::Argument& range : list_->explicit_ranges(command)) {
      if (range.size != 0) fixed_.push_back({range.range(), range.storage, c});
    }
  }
  std::ranges::sort(fixed_, [](const Touch& a, const Touch& b) {
    return std::pair(a.range.memory, a.command) < std::pair(b.range.memory, b.command);
  });
}

bool SlotGuard::ordered(std::uint32_t a, std::uint32_t b) const {
  if (a == b) return list_->commands()[a].kind != ir::CommandKind::kCopy;
  return original_[a] < original_[b] ? group_[a] < group_[b] : group_[b] < group_[a];
}

Result<> SlotGuard::check_pair(const SlotTouch& slot, const ir::Argument& view,
                               const Touch& other) const {
  const AccessRange range = view.storage->range(view.offset, view.size, slot.access);
  if (!conflicts(range, other.range) || ordered(slot.command, other.command)) return {};
  const std::uint64_t other_begin = other.range.begin - other.storage->memory_offset;
  return base::fail(
      ErrorCode::kInvalidArgument,
      "Slot \"{}\" names bytes {} to {} of buffer \"{}\" (dispatch \"{}\"), which overlap bytes {} "
      "to {} of buffer \"{}\" (dispatch \"{}\"); the schedule relies on views that do not.",
      list_->name(list_->slots()[slot.slot].name), view.offset, view.offset + view.size,
      view.storage->label, list_->label_path(list_->commands()[slot.command]), other_begin,
      other_begin + (other.range.end - other.range.begin), other.storage->label,
      list_->label_path(list_->commands()[other.command]));
}

Result<> SlotGuard::check(std::span<const ir::Argument> views) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const SlotTouch& slot = slots_[i];
    const ir::Argument& view = views[slot.slot];
    const auto [first, last] = std::ranges::equal_range(
        fixed_, view.storage->memory, {}, [](const Touch& touch) { return touch.range.memory; });
    for (const Touch& touch : std::span(first, last)) SEGUE_TRY(check_pair(slot, view, touch));
    for (std::size_t k = i + 1; k < slots_.size(); ++k) {
      const ir::Argument& other = views[slots_[k].slot];
      const Touch touch{other.storage->range(other.offset, other.size, slots_[k].access),
                        other.storage, slots_[k].command};
      SEGUE_TRY(check_pair(slot, view, touch));
    }
  }
  return {};
}

}  // namespace segue::runtime
