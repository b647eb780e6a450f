// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "backends/vulkan/context.hpp"
#include "backends/vulkan/vulkan_memory.hpp"

namespace segue::vulkan {

struct StagingOptions {
  /// Of each of the two chunks through which writes go, and of the two for reads; at least 8.
  std::uint64_t write_chunk_bytes = std::uint64_t{8} << 20;
  std::uint64_t read_chunk_bytes = std::uint64_t{4} << 20;
};

/// Copies between the host and memory that it does not see, through a bounded amount of memory that
/// both see. While the device copies one chunk the host fills or empties the other.
///
/// Every call returns when all of its bytes are where they belong. The caller knows that no
/// unfinished work uses them. After an error the bytes of the destination are undefined, nothing is
/// in flight, and the ring works again if the device does. Calls from several threads take turns.
/// Nothing native is made before it is needed.
class StagingRing {
 public:
  /// @param queue  The queue that copies, shared with others through its mutex.
  StagingRing(ContextPointer context, std::shared_ptr<MemoryAllocator> allocator,
              NativeQueue& queue, const StagingOptions& options = {});
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;
  ~StagingRing();

  /// @pre  The bytes are within the range; so for all calls.
  [[nodiscard]] Result<> write(const BufferRange& destination, std::uint64_t offset,
                               std::span<const std::byte> source);
  [[nodiscard]] Result<> read(const BufferRange& source, std::uint64_t offset,
                              std::span<std::byte> destination);
  [[nodiscard]] Result<> fill(const BufferRange& destination, std::uint64_t offset,
                              std::uint64_t size_bytes, std::byte value);

 private:
  /// A piece of staging memory, with the command buffer that copies from or to it.
  struct Chunk {
    std::unique_ptr<VulkanMemory> memory;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    std::uint64_t done_at = 0;  ///< Value of the semaphore when the device has done with it.
  };
  using Chunks = std::array<Chunk, 2>;

  [[nodiscard]] Result<> write_locked(const BufferRange& destination, std::uint64_t offset,
                                      std::span<const std::byte> source);
  [[nodiscard]] Result<> read_locked(const BufferRange& source, std::uint64_t offset,
                                     std::span<std::byte> destination);
  [[nodiscard]] Result<> fill_locked(const BufferRange& destination, std::uint64_t offset,
                                     std::uint64_t size_bytes, std::byte value);
  [[nodiscard]] Result<> prepare();
  [[nodiscard]] Result<> prepare(Chunk& chunk, MemoryUse use, std::uint64_t size_bytes);
  [[nodiscard]] Result<> begin(Chunk& chunk);
  [[nodiscard]] Result<> submit(Chunk& chunk);
  [[nodiscard]] Result<> wait_for(std::uint64_t value);
  [[nodiscard]] Result<> settle(Result<> result);
  void release();

  const ContextPointer context_;
  const std::shared_ptr<MemoryAllocator> allocator_;
  NativeQueue& queue_;
  const StagingOptions options_;
  std::mutex mutex_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  std::uint64_t submitted_ = 0;  ///< The last value that a submission signals.
  Chunks write_chunks_;
  Chunks read_chunks_;
};

/// Memory as the runtime asks for it: where it is to be mapped and the device's own memory is not
/// visible, it is memory of the host that the device reaches over the bus. Zeroed if asked for.
///
/// @error kOutOfMemory, or what zeroing fails with.
[[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate_memory(
    MemoryAllocator& allocator, StagingRing& staging, const hal::MemoryRequest& request);

}  // namespace segue::vulkan
