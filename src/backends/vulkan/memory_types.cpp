// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/memory_types.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace segue::vulkan {
namespace {

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kVisible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
constexpr VkMemoryPropertyFlags kMappable = kVisible | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
/// Other kinds need a feature to be used at all, or are slow (device-coherent, uncached, remote).
constexpr VkMemoryPropertyFlags kPlain = kLocal | kMappable | kCached;

/// A memory type that may back the buffer.
struct Candidate {
  std::uint32_t index;
  VkMemoryPropertyFlags flags;
  VkDeviceSize heap_size;
};

VkDeviceSize largest_local_heap(const std::vector<Candidate>& candidates) {
  VkDeviceSize largest = 0;
  for (const Candidate& candidate : candidates)
    if ((candidate.flags & kLocal) != 0) largest = std::max(largest, candidate.heap_size);
  return largest;
}

/// The rank of a type for a use, 0 the best; nothing: it does not serve.
std::optional<int> rank(const Candidate& candidate, MemoryUse use, VkDeviceSize largest_local) {
  const bool local = (candidate.flags & kLocal) != 0;
  const bool visible = (candidate.flags & kVisible) != 0;
  const bool mappable = (candidate.flags & kMappable) == kMappable;
  const bool cached = (candidate.flags & kCached) != 0;
  // Without a resizable BAR the host sees a small window of the device's memory; filling it up
  // would leave none for what gains from it.
  const bool window = visible && candidate.heap_size < largest_local / 2;
  switch (use) {
    case MemoryUse::kDevice:
      if (!local) return std::nullopt;
      return (mappable && !window ? 0 : 1) + (window ? 2 : 0);
    case MemoryUse::kDeviceOnly:
      if (!local) return std::nullopt;
      return (visible ? 1 : 0) + (window ? 2 : 0);
    case MemoryUse::kParameters:  // few bytes: a window is what they are for
      if (!mappable) return std::nullopt;
      return local ? 0 : 1;
    case MemoryUse::kUpload:
      if (!mappable) return std::nullopt;
      return (local ? 2 : 0) + (cached ? 1 : 0);
    case MemoryUse::kReadback:
      if (!mappable) return std::nullopt;
      return (cached ? 0 : 2) + (local ? 1 : 0);
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::uint32_t> ranked_types(const VkPhysicalDeviceMemoryProperties& memory,
                                        std::uint32_t type_bits, MemoryUse use) {
  std::vector<Candidate> candidates;
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryType& type = memory.memoryTypes[i];
    if ((type_bits >> i & 1) == 0 || (type.propertyFlags & ~kPlain) != 0) continue;
    candidates.push_back({i, type.propertyFlags, memory.memoryHeaps[type.heapIndex].size});
  }
  const VkDeviceSize largest_local = largest_local_heap(candidates);
  std::vector<std::pair<int, std::uint32_t>> ranked;
  for (const Candidate& candidate : candidates)
    if (const auto order = rank(candidate, use, largest_local))
      ranked.emplace_back(*order, candidate.index);
  // Of equal types the driver's first: it puts the faster one there.
  std::ranges::sort(ranked);
  std::vector<std::uint32_t> types;
  for (const auto& [order, index] : ranked) types.push_back(index);
  return types;
}

bool is_host_coherent(const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t type) {
  return (memory.memoryTypes[type].propertyFlags & kMappable) == kMappable;
}

bool is_host_cached(const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t type) {
  return (memory.memoryTypes[type].propertyFlags & kCached) != 0;
}

}  // namespace segue::vulkan
