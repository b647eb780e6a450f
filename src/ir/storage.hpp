// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "segue/access.hpp"
#include "segue/kernel.hpp"
#include "segue/ref.hpp"

namespace segue::ir {

/// A buffer as commands see it: bytes with an identity. Runtime derives from it; backends read it.
///
/// Offsets count from the storage's first byte. The tracked range of `[offset, offset + size)` is
/// that plus `memory_offset`, in the coordinates of `memory`, so that storages sharing memory meet
/// in one coordinate system.
struct Storage : base::RefCounted {
  MemoryId memory = MemoryId::kNone;
  std::uint64_t memory_offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t index = 0;  ///< Small and unique among the living storages of a device; for tables.
  std::byte* host = nullptr;        ///< Address of the first byte, or null without host access.
  void* native = nullptr;           ///< The backend's object for the allocation.
  std::uint64_t native_offset = 0;  ///< Where this storage begins in it.
  bool transient = false;           ///< Content does not outlive a submission.
  std::string label;
  /// User handles alive. Handles together hold one reference; recordings and submissions hold
  /// others.
  std::atomic<std::uint32_t> handles{0};

  [[nodiscard]] AccessRange range(std::uint64_t offset, std::uint64_t size, Access access) const {
    return {memory, memory_offset + offset, memory_offset + offset + size, access};
  }
};

/// A compiled kernel. Backends derive from it.
struct Kernel : base::RefCounted {
  std::string name;
  Signature signature;
  std::uint32_t index = 0;  ///< Small and unique among the living kernels of a device; for tables.
  std::uint32_t argument_count =
      0;  ///< Signature::argument_count(), at hand. Set by the kernel library.
  const void* compiled_by = nullptr;  ///< The hal::Device. Set by the kernel library.
  /// What it was specialised with, by id. Set by the kernel library.
  std::vector<SpecConstant> constants;
};

}  // namespace segue::ir
