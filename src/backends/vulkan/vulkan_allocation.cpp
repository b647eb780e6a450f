// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "backends/vulkan/staging.hpp"

namespace segue::vulkan {
namespace {

/// From this size on the device zeroes memory faster than the host does through the bus.
constexpr std::uint64_t kZeroedByDeviceFrom = std::uint64_t{1} << 20;

Result<std::unique_ptr<VulkanMemory>> allocate_mapped(MemoryAllocator& allocator,
                                                      AllocationRequest request) {
  if (allocator.device_memory_is_visible()) {
    request.use = MemoryUse::kDevice;
    SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanMemory> memory, allocator.allocate(request));
    if (memory->host != nullptr) return memory;
  }
  request.use = MemoryUse::kReadback;
  return allocator.allocate(request);
}

Result<> zero(StagingRing& staging, const VulkanMemory& memory) {
  const std::uint64_t size = memory.range().size;
  if (memory.host == nullptr || size >= kZeroedByDeviceFrom)
    return staging.fill(memory.range(), 0, size, std::byte{0});
  std::memset(memory.host, 0, size);
  return {};
}

}  // namespace

Result<std::unique_ptr<hal::Memory>> allocate_memory(MemoryAllocator& allocator,
                                                     StagingRing& staging,
                                                     const hal::MemoryRequest& request) {
  AllocationRequest wanted;
  wanted.size_bytes = request.size_bytes;
  wanted.label = request.label;
  SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanMemory> memory, request.host_access
                                                             ? allocate_mapped(allocator, wanted)
                                                             : allocator.allocate(wanted));
  if (request.zero) SEGUE_TRY(zero(staging, *memory));
  return std::unique_ptr<hal::Memory>(std::move(memory));
}

}  // namespace segue::vulkan
