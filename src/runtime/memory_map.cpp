// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory_map.hpp"

#include <bit>

#include "base/fail.hpp"
#include "runtime/describe.hpp"
#include "segue/access.hpp"

namespace segue::runtime {

namespace {

std::uint64_t address_of(const ir::Storage& storage) {
  return std::bit_cast<std::uintptr_t>(storage.host);
}

/// What added to an address gives the coordinate in the storage's memory. Wraps, as unsigned
/// numbers do.
std::uint64_t displacement(const ir::Storage& storage) {
  return storage.memory_offset - address_of(storage);
}

bool shares_addresses(const ir::Storage& a, const ir::Storage& b) {
  return a.host != nullptr && b.host != nullptr &&
         overlaps(address_of(a), address_of(a) + a.size_bytes, address_of(b),
                  address_of(b) + b.size_bytes);
}

bool covers(const ir::Storage& outer, const ir::Storage& inner) {
  return address_of(outer) <= address_of(inner) &&
         address_of(inner) + inner.size_bytes <= address_of(outer) + outer.size_bytes;
}

}  // namespace

void MemoryMap::add_allocation(ir::Storage& storage) {
  const std::scoped_lock lock(mutex_);
  storage.memory = next_memory();
  storage.memory_offset = 0;
  remember(storage);
}

void MemoryMap::add_part(ir::Storage& storage, const ir::Storage& whole, std::uint64_t offset) {
  const std::scoped_lock lock(mutex_);
  storage.memory = whole.memory;
  storage.memory_offset = whole.memory_offset + offset;
  remember(storage);
}

void MemoryMap::set_address(ir::Storage& storage, std::byte* host) {
  const std::lock_guard lock(mutex_);
  storage.host = host;
}

Result<> MemoryMap::add_import(ir::Storage& storage, std::uint64_t alias_token,
                               std::uint64_t alias_offset) {
  const std::scoped_lock lock(mutex_);
  MemoryId memory = kHostAddressSpace;
  std::uint64_t memory_offset = address_of(storage);
  if (alias_token != 0) {
    const auto known = aliases_.find(alias_token);
    memory = known == aliases_.end() ? next_memory() : known->second.memory;
    memory_offset = alias_offset;
  } else if (const ir::Storage* owner = find_covering(storage)) {
    memory = owner->memory;
    memory_offset = address_of(storage) + displacement(*owner);
  }
  for (const ir::Storage* other : living_) {
    if (other == nullptr || !shares_addresses(*other, storage)) continue;
    const std::uint64_t same_byte = address_of(storage) + displacement(*other);
    if (other->memory == memory && same_byte == memory_offset) continue;
    return base::fail(ErrorCode::kInvalidArgument,
                      "The {} bytes imported as {} share addresses with {} of {} bytes, which is "
                      "tracked as other "
                      "memory; imports of the same bytes need the same alias token and offset.",
                      storage.size_bytes, describe(storage), describe(*other), other->size_bytes);
  }
  storage.memory = memory;
  storage.memory_offset = memory_offset;
  remember(storage);
  if (alias_token != 0) {
    Alias& alias = aliases_[alias_token];
    alias.memory = storage.memory;
    ++alias.storages;
  }
  return {};
}

const ir::Storage* MemoryMap::find_covering(const ir::Storage& storage) const {
  for (const ir::Storage* other : living_) {
    if (other != nullptr && other->host != nullptr && covers(*other, storage)) return other;
  }
  return nullptr;
}

void MemoryMap::remember(const ir::Storage& storage) {
  if (storage.index >= living_.size()) living_.resize(storage.index + 1, nullptr);
  living_[storage.index] = &storage;
}

void MemoryMap::remove(const ir::Storage& storage, std::uint64_t alias_token) noexcept {
  const std::scoped_lock lock(mutex_);
  living_[storage.index] = nullptr;
  if (alias_token == 0) return;
  const auto alias = aliases_.find(alias_token);
  if (alias != aliases_.end() && --alias->second.storages == 0) aliases_.erase(alias);
}

}  // namespace segue::runtime
