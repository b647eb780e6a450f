// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/vulkan/vulkan_memory.hpp"

namespace segue::vulkan {

/// Bytes of an arena.
struct Placement {
  std::byte* data = nullptr;  ///< Null in memory that is not mapped.
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceSize offset = 0;  ///< In the buffer.
};

/// Memory of one recording, given away piece by piece and taken back as a whole: a parameter block
/// (inline bytes, grids, bytes of uploads), or scratch memory. Grows in chunks, which stay where
/// they are; reset() keeps them.
class Arena {
 public:
  Arena(std::shared_ptr<MemoryAllocator> allocator, MemoryUse use, std::uint32_t alignment)
      : allocator_(std::move(allocator)), use_(use), alignment_(alignment) {}

  /// Room for `size` bytes, aligned for any descriptor; content is undefined.
  ///
  /// @error kOutOfMemory
  [[nodiscard]] Result<Placement> place(std::uint64_t size) {
    const Placement here = place_at_hand(size);
    if (here.buffer != VK_NULL_HANDLE) [[likely]]
      return here;
    return place_in_next(size);
  }
  /// The same if it needs no new chunk, otherwise a placement without a buffer.
  [[nodiscard]] Placement place_at_hand(std::uint64_t size) {
    const std::uint64_t offset = (used_ + alignment_ - 1) & ~std::uint64_t{alignment_ - 1};
    if (offset + size > capacity_) [[unlikely]]
      return {};
    used_ = offset + size;
    return {base_.data == nullptr ? nullptr : base_.data + offset, base_.buffer,
            base_.offset + offset};
  }

  /// Everything placed is void.
  void reset();

 private:
  Result<Placement> place_in_next(std::uint64_t size);
  void use(std::size_t chunk);

  std::shared_ptr<MemoryAllocator> allocator_;
  MemoryUse use_;
  std::uint64_t alignment_;
  std::vector<std::unique_ptr<VulkanMemory>> chunks_;
  std::size_t current_ = 0;
  Placement base_;  // of the current chunk
  std::uint64_t used_ = 0, capacity_ = 0;
};

}  // namespace segue::vulkan
