// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "ir/storage.hpp"
#include "segue/error.hpp"

namespace segue::runtime {

/// Gives storages their identity: the memory they name and where they begin in it, so that two ways
/// to the same bytes meet in one coordinate system, and different bytes never do. Knows all living
/// storages of a device. Thread-safe.
///
/// An allocation is a memory of its own. Imports without an alias token share one memory, the
/// host's address space, whose coordinate is the address; those with a token share one memory per
/// token. An import of bytes that a living storage covers takes the identity of that storage.
class MemoryMap {
 public:
  /// Makes the storage a memory of its own. Its index is set.
  void add_allocation(ir::Storage& storage);
  /// Makes the storage bytes of `whole`, which lives at least as long, from `offset` on. Its index
  /// is set.
  void add_part(ir::Storage& storage, const ir::Storage& whole, std::uint64_t offset);
  /// Says where a storage added without an address has its first byte.
  void set_address(ir::Storage& storage, std::byte* host);
  /// Finds the memory of an import. `host`, `size_bytes`, `index` and `label` are set.
  ///
  /// @param alias_token   0: none. Otherwise its memory is kept as long as a storage with the token
  /// lives.
  /// @param alias_offset  Where the storage begins in the token's memory, in bytes.
  /// @error kInvalidArgument  The bytes belong to a living storage, in part or under another
  /// identity.
  Result<> add_import(ir::Storage& storage, std::uint64_t alias_token, std::uint64_t alias_offset);
  /// Forgets a storage that was added, with the token it was added with.
  void remove(const ir::Storage& storage, std::uint64_t alias_token) noexcept;

 private:
  static constexpr MemoryId kHostAddressSpace{1};

  struct Alias {
    MemoryId memory = MemoryId::kNone;
    std::uint64_t storages = 0;
  };

  [[nodiscard]] MemoryId next_memory() { return static_cast<MemoryId>(next_memory_++); }
  [[nodiscard]] const ir::Storage* find_covering(const ir::Storage& storage) const;
  void remember(const ir::Storage& storage);

  std::mutex mutex_;
  std::uint64_t next_memory_ = 2;
  std::vector<const ir::Storage*> living_;  // by storage index, null where there is none
  std::map<std::uint64_t, Alias> aliases_;  // by token
};

}  // namespace segue::runtime
