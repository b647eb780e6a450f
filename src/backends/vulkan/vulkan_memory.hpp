// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "backends/vulkan/context.hpp"
#include "hal/hal.hpp"

namespace segue::vulkan {

/// A part of a VkBuffer: what ir::Storage::native of a Vulkan storage points to.
struct BufferRange {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceSize offset = 0;  ///< Of the allocation's first byte in the buffer.
  VkDeviceSize size = 0;
};

/// The range of a storage's allocation; add ir::Storage::native_offset and the argument's offset.
[[nodiscard]] inline const BufferRange& range_of(const ir::Storage& storage) {
  return *static_cast<const BufferRange*>(storage.native);
}

enum class MemoryUse : std::uint8_t {
  kDevice,      ///< Read and written by kernels; where the machine allows it, by the host, too.
  kDeviceOnly,  ///< Never mapped.
  kParameters,  ///< Always mapped, read by kernels: device-local where the machine allows it.
  kUpload,      ///< Written by the host, read once by the device.
  kReadback,    ///< Written by the device, read by the host: cached where the machine allows it.
};

struct AllocationRequest {
  std::uint64_t size_bytes = 0;
  MemoryUse use = MemoryUse::kDevice;
  std::string_view label;
};

/// Memory from the allocator, or imported. `native` is a BufferRange of its own.
class VulkanMemory : public hal::Memory {
 public:
  [[nodiscard]] const BufferRange& range() const { return range_; }

 protected:
  void set_range(const BufferRange& range) {
    range_ = range;
    native = &range_;
    handle = {"VkBuffer", range.buffer, range.offset};
  }

 private:
  BufferRange range_;
};

/// Sub-allocates device memory: small requests share blocks of a memory type, each with one
/// VkBuffer over all of it; large ones get memory of their own. Thread-safe. Memory it handed out
/// keeps it alive.
class MemoryAllocator : public std::enable_shared_from_this<MemoryAllocator> {
 public:
  virtual ~MemoryAllocator() = default;
  [[nodiscard]] static Result<std::shared_ptr<MemoryAllocator>> create(ContextPointer context);

  /// Content is undefined. Begins at a multiple of what storage, uniform and indirect buffers need.
  ///
  /// @error kOutOfMemory  With the bytes asked for, and the driver's code or the limit that is met.
  [[nodiscard]] virtual Result<std::unique_ptr<VulkanMemory>> allocate(
      const AllocationRequest& request) = 0;
  /// Makes memory of the caller, who keeps it valid, a buffer. Memory that the process may only
  /// read is taken where the driver takes it.
  ///
  /// @error kUnsupported  The driver does not import this pointer.
  [[nodiscard]] virtual Result<std::unique_ptr<VulkanMemory>> import_host(
      std::byte* data, std::uint64_t size_bytes) = 0;
  /// Whether kDevice memory can be mapped on this machine.
  [[nodiscard]] virtual bool device_memory_is_visible() const = 0;
  /// Tells the driver how much the memory matters when the device runs short of it: 0 the least, 1
  /// the most, 0.5 at first. Only memory that is a native allocation by itself has a priority.
  ///
  /// @return Whether the driver was told.
  virtual bool set_priority(const VulkanMemory& memory, float priority) = 0;
  /// Bytes of the heap of kDevice memory that this process may use before the system pages or
  /// refuses, those in use included. Nothing where the driver does not say (VK_EXT_memory_budget):
  /// the size of a heap says little about what other processes leave of it.
  [[nodiscard]] virtual std::optional<std::uint64_t> budget() const = 0;
  /// Native allocations alive, for tests.
  [[nodiscard]] virtual std::size_t block_count() const = 0;
};

}  // namespace segue::vulkan
