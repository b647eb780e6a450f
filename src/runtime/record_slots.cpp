// SPDX-License-Identifier: Apache-2.0
//
// Slots of a recording: every use of a name is checked against the first one.
#include <algorithm>
#include <cstring>

#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"

namespace segue::runtime {
namespace {

std::string_view describe(ir::SlotKind kind) {
  switch (kind) {
    case ir::SlotKind::kView: return "a view";
    case ir::SlotKind::kBytes: return "inline bytes";
    case ir::SlotKind::kGrid: return "a grid";
  }
  return "nothing";
}

/// Of slots of one kind and size, each with the list whose inline bytes it counts in.
bool same_default(const ir::CommandList& list_a, const ir::Slot& a, const ir::CommandList& list_b,
                  const ir::Slot& b) {
  switch (a.kind) {
    case ir::SlotKind::kView:
      return a.view.storage == b.view.storage && a.view.offset == b.view.offset;
    case ir::SlotKind::kBytes:
      return std::memcmp(list_a.inline_bytes() + a.bytes, list_b.inline_bytes() + b.bytes,
                         a.size) == 0;
    case ir::SlotKind::kGrid: return a.grid == b.grid;
  }
  return false;
}

}  // namespace

/// Whether `slot`, whose default is in `from`, may be another use of a slot that is there already.
bool EncoderState::check_slot_use(std::string_view name, const ir::Slot& known,
                                  const ir::CommandList& from, const ir::Slot& slot) {
  if (known.kind != slot.kind) {
    refuse("Slot \"{}\" is {} here but {} before.", name, describe(slot.kind),
           describe(known.kind));
    return false;
  }
  if (known.size != slot.size) {
    refuse("Slot \"{}\" has {} bytes here but {} before.", name, slot.size, known.size);
    return false;
  }
  if (!same_default(*current_->list, known, from, slot)) {
    refuse("Slot \"{}\" has another default here than before; all uses share one.", name);
    return false;
  }
  return true;
}

bool EncoderState::check_slots(const ir::CommandList& from, std::span<const ir::SlotUse> uses) {
  const ir::CommandList& list = *current_->list;
  if (list.slots().empty()) return true;
  for (const ir::SlotUse& use : uses) {
    const ir::Slot& slot = from.slots()[use.slot];
    const std::string_view name = from.name(slot.name);
    const int known = list.find_slot(name);
    if (known >= 0 &&
        !check_slot_use(name, list.slots()[static_cast<std::size_t>(known)], from, slot))
      return false;
  }
  return true;
}

bool EncoderState::use_slot(std::string_view name, const ir::Slot& slot, std::size_t argument,
                            std::uint32_t offset) {
  ir::CommandList& list = *current_->list;
  if (name.empty()) {
    refuse("A slot has an empty name; it needs at least one character.");
    return false;
  }
  int index = list.find_slot(name);
  if (index < 0) {
    index = static_cast<int>(list.add_slot(name, slot));
  } else {
    ir::Slot& known = list.mutable_slots()[static_cast<std::size_t>(index)];
    if (!check_slot_use(name, known, list, slot)) return false;
    known.merge_terms(slot);
  }
  const ir::Slot& merged = list.slots()[static_cast<std::size_t>(index)];
  if (merged.max != UINT32_MAX) {
    std::uint32_t given = 0;
    std::memcpy(&given, list.inline_bytes() + merged.bytes, sizeof(given));
    if (given > merged.max) {
      refuse("Slot \"{}\" is {} by default, but takes at most {}.", name, given, merged.max);
      return false;
    }
  }
  list.add_slot_use(static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(argument),
                    offset);
  return true;
}

void EncoderState::declare_slot(std::string_view name, ir::Slot slot,
                                std::span<const std::byte> value) {
  if (!ready()) return;
  ir::CommandList& list = *current_->list;
  if (name.empty()) return refuse("A slot has an empty name; it needs at least one character.");
  if (list.find_slot(name) >= 0) return refuse("Slot \"{}\" is declared twice.", name);
  if (slot.kind == ir::SlotKind::kBytes) {
    if (value.empty()) return refuse("Slot \"{}\" has 0 bytes; it needs at least 1.", name);
    if (slot.max != UINT32_MAX && value.size() != sizeof(std::uint32_t)) {
      return refuse("Slot \"{}\" has {} bytes and a largest value; that is for 4 bytes.", name,
                    value.size());
    }
    slot.bytes = list.keep_bytes(value);
  } else if (slot.kind == ir::SlotKind::kView) {
    // An argument that is dropped again leaves its storage alive in the list.
    list.add_view(*slot.view.storage, slot.view.offset, 0, Access::kRead);
    list.drop_unowned();
  }
  list.add_slot(name, slot);
}

bool EncoderState::add_view_slot(const KernelArg& arg, std::size_t argument, Access access,
                                 std::uint32_t alignment) {
  has_view_slot_ = true;
  ir::Slot slot;
  slot.kind = ir::SlotKind::kView;
  slot.size = arg.size();
  slot.view = {arg.state(), arg.offset(), arg.size(), access, true};
  slot.access = access;
  slot.alignment = alignment;
  return use_slot(arg.view_slot(), slot, argument, 0);
}

bool EncoderState::add_bytes_slots(const KernelArg& arg, std::size_t argument) {
  const std::uint64_t begin = current_->list->last_argument().offset;
  std::uint64_t covered_end = 0;
  std::string_view last_name;
  for (const BytesSlot& part : arg.bytes_slots()) {
    const std::uint64_t rest = arg.size() - std::min<std::uint64_t>(arg.size(), part.offset_bytes);
    const std::uint64_t size = part.size_bytes != 0 ? part.size_bytes : rest;
    if (size == 0 || size > rest) {
      refuse("Slot \"{}\" covers bytes {} to {} of an argument of {} bytes.", part.name,
             part.offset_bytes, part.offset_bytes + std::max<std::uint64_t>(size, 1), arg.size());
      return false;
    }
    if (part.max != UINT32_MAX && size != sizeof(std::uint32_t)) {
      refuse("Slot \"{}\" has {} bytes and a largest value; that is for 4 bytes.", part.name, size);
      return false;
    }
    if (part.offset_bytes < covered_end) {
      refuse(
          "Slot \"{}\" begins at byte {} of an argument in which slot \"{}\" ends at byte {}; "
          "parts come in order and share no byte.",
          part.name, part.offset_bytes, last_name, covered_end);
      return false;
    }
    covered_end = part.offset_bytes + size;
    last_name = part.name;
    ir::Slot slot;
    slot.kind = ir::SlotKind::kBytes;
    slot.size = size;
    slot.bytes = begin + part.offset_bytes;
    slot.max = part.max;
    if (!use_slot(part.name, slot, argument, part.offset_bytes)) return false;
  }
  return true;
}

bool EncoderState::add_grid_slot(std::string_view name, const ir::Command& command) {
  if (command.kind == ir::CommandKind::kDispatchIndirect) {
    refuse("An indirect dispatch has a slot \"{}\" for its grid, which the device reads itself.",
           name);
    return false;
  }
  ir::Slot slot;
  slot.kind = ir::SlotKind::kGrid;
  slot.grid = command.grid_kind == GridKind::kThreads ? command.thread_count : command.group_count;
  return use_slot(name, slot, 0, 0);
}

}  // namespace segue::runtime
