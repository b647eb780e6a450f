// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <set>

#include "backends/vulkan/api.hpp"

/// A graphics card whose memory the host does not see, played by whatever device there is.
namespace segue::test {

/// Puts itself between the backend and a driver whose first memory type serves everything, and
/// shows three types in its place: local to the device and invisible, visible, visible and cached.
/// All of them are the driver's one type. One for a process.
class DiscreteMemory {
 public:
  static constexpr std::uint32_t kLocalType = 0;

  /// An ApiHook.
  static void install(vulkan::Api& api) {
    replace(api.GetPhysicalDeviceMemoryProperties2, properties_, &properties);
    replace(api.GetBufferMemoryRequirements, requirements_, &requirements);
    replace(api.AllocateMemory, allocate_, &allocate);
    replace(api.FreeMemory, free_, &free);
    replace(api.MapMemory, map_, &map);
  }
  /// How often memory was mapped that a card would not let be mapped.
  [[nodiscard]] static int bad_maps() { return bad_maps_; }

 private:
  template <class Function>
  static void replace(Function& entry, Function& original, Function mine) {
    if (entry == nullptr || entry == mine) return;
    original = entry;
    entry = mine;
  }

  static VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice device,
                                               VkPhysicalDeviceMemoryProperties2* out) {
    properties_(device, out);
    VkPhysicalDeviceMemoryProperties& memory = out->memoryProperties;
    constexpr VkMemoryPropertyFlags kMappable =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    memory.memoryHeaps[1].size = memory.memoryHeaps[0].size;
    memory.memoryHeaps[1].flags = 0;
    memory.memoryHeapCount = 2;
    memory.memoryTypes[kLocalType] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
    memory.memoryTypes[1] = {kMappable, 1};
    memory.memoryTypes[2] = {kMappable | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1};
    memory.memoryTypeCount = 3;
  }
  static VKAPI_ATTR void VKAPI_CALL requirements(VkDevice device, VkBuffer buffer,
                                                 VkMemoryRequirements* out) {
    requirements_(device, buffer, out);
    out->memoryTypeBits = 0b111;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo* info,
                                                 const VkAllocationCallbacks* callbacks,
                                                 VkDeviceMemory* memory) {
    VkMemoryAllocateInfo real = *info;
    real.memoryTypeIndex = 0;
    const VkResult result = allocate_(device, &real, callbacks, memory);
    const std::lock_guard lock(mutex_);
    if (result == VK_SUCCESS && info->memoryTypeIndex == kLocalType) unseen_.insert(*memory);
    return result;
  }
  static VKAPI_ATTR void VKAPI_CALL free(VkDevice device, VkDeviceMemory memory,
                                         const VkAllocationCallbacks* callbacks) {
    {
      const std::lock_guard lock(mutex_);
      unseen_.erase(memory);
    }
    free_(device, memory, callbacks);
  }
  static VKAPI_ATTR VkResult VKAPI_CALL map(VkDevice device, VkDeviceMemory memory,
                                            VkDeviceSize offset, VkDeviceSize size,
                                            VkMemoryMapFlags flags, void** data) {
    {
      const std::lock_guard lock(mutex_);
      bad_maps_ += unseen_.contains(memory) ? 1 : 0;
    }
    return map_(device, memory, offset, size, flags, data);
  }

  static inline PFN_vkGetPhysicalDeviceMemoryProperties2 properties_ = nullptr;
  static inline PFN_vkGetBufferMemoryRequirements requirements_ = nullptr;
  static inline PFN_vkAllocateMemory allocate_ = nullptr;
  static inline PFN_vkFreeMemory free_ = nullptr;
  static inline PFN_vkMapMemory map_ = nullptr;
  static inline std::mutex mutex_;
  static inline std::set<VkDeviceMemory> unseen_;
  static inline int bad_maps_ = 0;
};

}  // namespace segue::test
