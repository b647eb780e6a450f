// SPDX-License-Identifier: Apache-2.0
#include "ir/list_copier.hpp"

#include <utility>

namespace segue::ir {

ListCopier::ListCopier(const CommandList& from, CommandList& to, Relocate relocate)
    : from_(from),
      to_(to),
      relocate_(std::move(relocate)),
      names_(from.name_count() + 1, NameId::kNone),
      slots_(from.slots().size(), 0) {}

Relocation ListCopier::relocated(Storage& storage) const {
  return relocate_ ? relocate_(storage) : Relocation{&storage, 0};
}

NameId ListCopier::copy_name(NameId name) {
  if (name == NameId::kNone) return name;
  NameId& copy = names_[static_cast<std::size_t>(name)];
  if (copy == NameId::kNone) {
    const NameId parent = copy_name(from_.parent(name));
    copy = to_.add_name(from_.name(name), parent);
  }
  return copy;
}

std::uint32_t ListCopier::copy_slot(std::uint32_t slot) {
  if (slots_[slot] == 0) {
    Slot copy = from_.slots()[slot];
    if (copy.kind == SlotKind::kView && copy.view.is_view()) {
      const Relocation place = relocated(*copy.view.storage);
      copy.view.storage = place.storage;
      copy.view.offset += place.offset;
    } else if (copy.kind == SlotKind::kBytes) {
      copy.bytes = to_.keep_bytes({from_.inline_bytes() + copy.bytes, copy.size});
    }
    const std::string_view name = from_.name(copy.name);
    const int known = to_.find_slot(name);
    if (known >= 0) to_.mutable_slots()[static_cast<std::size_t>(known)].merge_terms(copy);
    slots_[slot] = 1 + (known >= 0 ? static_cast<std::uint32_t>(known) : to_.add_slot(name, copy));
  }
  return slots_[slot] - 1;
}

void ListCopier::copy_argument(std::uint32_t index, std::uint32_t argument, std::uint32_t as) {
  const Argument& source = from_.arguments(from_.commands()[index])[argument];
  if (source.is_view()) {
    const Relocation place = relocated(*source.storage);
    const Command& command = from_.commands()[index];
    to_.add_view(*place.storage, place.offset + source.offset, source.size, source.access,
                 source.access_known, command.explicit_reads, command.explicit_writes);
  } else {
    to_.add_bytes({from_.bytes(source), static_cast<std::size_t>(source.size)});
  }
  for (const SlotUse& use : from_.slot_uses(index)) {
    if (use.argument != argument || from_.slots()[use.slot].kind == SlotKind::kGrid) continue;
    to_.add_slot_use(copy_slot(use.slot), as, use.offset);
  }
}

Command ListCopier::copy_parts(std::uint32_t index) {
  Command command = from_.commands()[index];
  const Command& source = from_.commands()[index];
  command.first_argument = to_.argument_total();
  command.first_range = to_.range_total();
  command.first_shared = to_.shared_total();
  for (std::uint32_t i = 0; i < source.argument_count; ++i) copy_argument(index, i, i);
  for (const Argument& range : from_.explicit_ranges(source)) {
    const Relocation place = relocated(*range.storage);
    to_.add_explicit_range(*place.storage, place.offset + range.offset, range.size, range.access);
  }
  for (const std::uint32_t size : from_.shared_sizes(source)) to_.add_shared_size(size);
  for (const SlotUse& use : from_.slot_uses(index)) {
    if (from_.slots()[use.slot].kind == SlotKind::kGrid)
      to_.add_slot_use(copy_slot(use.slot), 0, 0);
  }
  if (source.kind == CommandKind::kNative)
    command.native_callback = to_.add_native_callback(from_.native_callback(source));
  command.label = copy_name(source.label);
  command.scope = copy_name(source.scope);
  return command;
}

}  // namespace segue::ir
