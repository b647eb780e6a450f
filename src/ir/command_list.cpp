// SPDX-License-Identifier: Apache-2.0
#include "ir/command_list.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace segue::ir {

std::string_view to_string(CommandKind kind) {
  switch (kind) {
#define SEGUE_IR_NAME(name) \
  case CommandKind::k##name: return #name;
    SEGUE_IR_COMMANDS(SEGUE_IR_NAME)
#undef SEGUE_IR_NAME
  }
  return "Unknown";
}

void set_extent(Command& command, Extent3 extent) {
  const Extent3 size = command.group_size;
  if (command.grid_kind == GridKind::kGroups) {
    command.group_count = extent;
    command.thread_count = {extent.x * size.x, extent.y * size.y, extent.z * size.z};
  } else {
    command.thread_count = extent;
    command.group_count = {(extent.x + size.x - 1) / size.x, (extent.y + size.y - 1) / size.y,
                           (extent.z + size.z - 1) / size.z};
  }
}

CommandList::CommandList(const CommandList& other)
    : retain_(other.retain_),
      commands_(other.commands_),
      arguments_(other.arguments_),
      ranges_(other.ranges_),
      owned_arguments_(other.owned_arguments_),
      owned_ranges_(other.owned_ranges_),
      owned_shared_(other.owned_shared_),
      owned_uses_(other.owned_uses_),
      shared_sizes_(other.shared_sizes_),
      bytes_(other.bytes_),
      native_callbacks_(other.native_callbacks_),
      slots_(other.slots_),
      slot_uses_(other.slot_uses_),
      names_(other.names_),
      name_text_(other.name_text_),
      resources_(other.resources_),
      kernels_(other.kernels_) {
  // The slot tables only speed up building; the copy knows the same resources under its own epoch.
  for (std::uint32_t i = 0; i < resources_.size(); ++i) {
    const std::uint32_t index = resources_[i].storage->index;
    if (index >= resource_slots_.size()) grow_slots(resource_slots_, index);
    resource_slots_[index] = {epoch_, i};
  }
  for (std::uint32_t i = 0; i < kernels_.size(); ++i) {
    const std::uint32_t index = kernels_[i]->index;
    if (index >= kernel_slots_.size()) grow_slots(kernel_slots_, index);
    kernel_slots_[index] = {epoch_, i};
  }
  retain_all();
}

CommandList& CommandList::operator=(const CommandList& other) {
  if (this != &other) *this = CommandList(other);
  return *this;
}

CommandList& CommandList::operator=(CommandList&& other) noexcept {
  std::swap(retain_, other.retain_);
  std::swap(epoch_, other.epoch_);
  commands_.swap(other.commands_);
  arguments_.swap(other.arguments_);
  ranges_.swap(other.ranges_);
  std::swap(owned_arguments_, other.owned_arguments_);
  std::swap(owned_ranges_, other.owned_ranges_);
  std::swap(owned_shared_, other.owned_shared_);
  std::swap(owned_uses_, other.owned_uses_);
  shared_sizes_.swap(other.shared_sizes_);
  bytes_.swap(other.bytes_);
  native_callbacks_.swap(other.native_callbacks_);
  slots_.swap(other.slots_);
  slot_uses_.swap(other.slot_uses_);
  names_.swap(other.names_);
  name_text_.swap(other.name_text_);
  resources_.swap(other.resources_);
  kernels_.swap(other.kernels_);
  resource_slots_.swap(other.resource_slots_);
  kernel_slots_.swap(other.kernel_slots_);
  return *this;
}

void CommandList::clear(bool retain) {
  commands_.clear();
  arguments_.clear();
  ranges_.clear();
  shared_sizes_.clear();
  slots_.clear();
  slot_uses_.clear();
  owned_arguments_ = owned_ranges_ = owned_shared_ = owned_uses_ = 0;
  bytes_.clear();
  native_callbacks_.clear();
  names_.clear();
  name_text_.clear();
  ++epoch_;
  if (retain_) {
    for (const ResourceUse& use : resources_) use.storage->release();
    for (Kernel* kernel : kernels_) kernel->release();
  }
  resources_.clear();
  kernels_.clear();
  retain_ = retain;
}

void CommandList::retain_all() {
  if (!retain_) return;
  for (const ResourceUse& use : resources_) use.storage->retain();
  for (Kernel* kernel : kernels_) kernel->retain();
}

void CommandList::grow_slots(std::vector<Position>& slots, std::uint32_t index) {
  slots.resize(std::max<std::size_t>(std::size_t{index} + 1, slots.size() * 2));
}

void CommandList::add_resource(Storage& storage, Position& slot) {
  slot = {epoch_, static_cast<std::uint32_t>(resources_.size())};
  resources_.push_back({&storage});
  if (retain_) storage.retain();
}

void CommandList::drop_unowned() {
  arguments_.resize(owned_arguments_);
  ranges_.resize(owned_ranges_);
  shared_sizes_.resize(owned_shared_);
  slot_uses_.resize(owned_uses_);
}

void CommandList::set_explicit_ranges(std::uint32_t index, std::uint16_t read_count,
                                      std::uint16_t write_count) {
  Command& command = commands_[index];
  command.first_range = static_cast<std::uint32_t>(owned_ranges_);
  command.read_count = read_count;
  command.write_count = write_count;
  owned_ranges_ = ranges_.size();
}

std::uint32_t CommandList::add_native_callback(NativeCallback callback) {
  native_callbacks_.push_back(std::move(callback));
  return static_cast<std::uint32_t>(native_callbacks_.size() - 1);
}

int CommandList::find_slot(std::string_view name) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (this->name(slots_[i].name) == name) return static_cast<int>(i);
  }
  return -1;
}

std::uint32_t CommandList::add_slot(std::string_view name, const Slot& slot) {
  slots_.push_back(slot);
  slots_.back().name = add_name(name);
  return static_cast<std::uint32_t>(slots_.size() - 1);
}

std::span<const SlotUse> CommandList::slot_uses(std::uint32_t command) const {
  const auto [first, last] = std::ranges::equal_range(slot_uses_, command, {}, &SlotUse::command);
  return {first, last};
}

NameId CommandList::add_name(std::string_view name, NameId parent) {
  const auto begin = static_cast<std::uint32_t>(name_text_.size());
  name_text_.append(name);
  names_.push_back({parent, begin, static_cast<std::uint32_t>(name.size())});
  return static_cast<NameId>(names_.size());
}

std::string_view CommandList::name(NameId id) const {
  if (id == NameId::kNone) return {};
  const Name& name = names_[static_cast<std::uint32_t>(id) - 1];
  return std::string_view(name_text_).substr(name.begin, name.size);
}

NameId CommandList::parent(NameId id) const {
  return id == NameId::kNone ? id : names_[static_cast<std::uint32_t>(id) - 1].parent;
}

std::string CommandList::label_path(const Command& command) const {
  std::string path(name(command.label));
  if (path.empty() && command.kernel != nullptr) path = command.kernel->name;
  for (NameId scope = command.scope; scope != NameId::kNone; scope = parent(scope)) {
    path = path.empty() ? std::string(name(scope)) : std::string(name(scope)) + "/" + path;
  }
  return path;
}

}  // namespace segue::ir
