// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "backends/vulkan/context.hpp"

namespace segue::vulkan {

/// What kernels, copies and indirect dispatches may do with every buffer of the library.
inline constexpr VkBufferUsageFlags kBufferUsage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
    VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
    VK_BUFFER_USAGE_TRANSFER_DST_BIT;

struct NativeMemoryInfo {
  VkDeviceSize size = 0;
  std::uint32_t type = 0;
  bool map = false;        ///< Keep it mapped for as long as it lives.
  bool dedicated = false;  ///< Tell the driver that the memory serves this buffer alone.
  std::string_view label;
};

/// A VkDeviceMemory with one VkBuffer over all of it. Not thread-safe.
class NativeMemory {
 public:
  NativeMemory() = default;
  explicit NativeMemory(ContextPointer context) : context_(std::move(context)) {}
  NativeMemory(const NativeMemory&) = delete;
  NativeMemory& operator=(const NativeMemory&) = delete;
  NativeMemory(NativeMemory&& other) noexcept { swap(other); }
  NativeMemory& operator=(NativeMemory&& other) noexcept {
    NativeMemory old(std::move(*this));
    swap(other);
    return *this;
  }
  ~NativeMemory();

  /// The native result is the error's Error::native; nothing is left behind.
  [[nodiscard]] static Result<NativeMemory> allocate(const ContextPointer& context,
                                                     const NativeMemoryInfo& info);
  /// A buffer over memory of the caller.
  ///
  /// @error kUnsupported  The driver does not take it.
  [[nodiscard]] static Result<NativeMemory> import_host(const ContextPointer& context,
                                                        std::byte* data, VkDeviceSize size);

  [[nodiscard]] VkBuffer buffer() const { return buffer_; }
  [[nodiscard]] VkDeviceMemory memory() const { return memory_; }
  [[nodiscard]] std::byte* host() const { return host_; }

 private:
  [[nodiscard]] Result<VkMemoryRequirements> create_buffer(VkDeviceSize size, const void* next);
  [[nodiscard]] Result<> allocate_and_bind(const VkMemoryAllocateInfo& info);
  void swap(NativeMemory& other) noexcept;

  ContextPointer context_;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  std::byte* host_ = nullptr;
};

/// What a buffer of the library needs, whatever its size: memoryTypeBits and alignment.
[[nodiscard]] Result<VkMemoryRequirements> buffer_requirements(const ContextPointer& context);

}  // namespace segue::vulkan
