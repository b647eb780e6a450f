// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/vulkan/context.hpp"

namespace segue::vulkan {

/// A physical device and what it offers.
struct Candidate {
  VkPhysicalDevice device = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
  std::uint64_t max_buffer_bytes = 0;
  std::uint64_t max_allocation_bytes = 0;
  std::uint32_t max_push_descriptors = 0;
  DeviceTraits traits;
  QueueFamily family;
  std::string driver;
  std::string rejection;  ///< Why it does not qualify: a clause; empty if it does.

  [[nodiscard]] bool software() const {
    return properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  }
};

/// Reads what a device offers and checks it against what the backend needs.
[[nodiscard]] Result<Candidate> inspect(const Api& api, VkPhysicalDevice device);

/// Discrete before integrated before virtual before software.
[[nodiscard]] int rank(VkPhysicalDeviceType type);

[[nodiscard]] Limits limits_of(const Candidate& candidate);
[[nodiscard]] Features features_of(const Candidate& candidate);

/// The features and extensions that a device is created with. Its structures point to each other,
/// so it stays where it is.
class EnabledFeatures {
 public:
  explicit EnabledFeatures(const Candidate& candidate);
  EnabledFeatures(const EnabledFeatures&) = delete;
  EnabledFeatures& operator=(const EnabledFeatures&) = delete;
  [[nodiscard]] const void* chain() const { return &features_; }
  [[nodiscard]] const std::vector<const char*>& extensions() const { return extensions_; }

 private:
  template <class Structure>
  void add(Structure& structure) {
    structure.pNext = features_.pNext;
    features_.pNext = &structure;
  }
  VkPhysicalDeviceFeatures2 features_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features v13_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceMemoryPriorityFeaturesEXT priority_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PRIORITY_FEATURES_EXT};
  VkPhysicalDevicePageableDeviceLocalMemoryFeaturesEXT pageable_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PAGEABLE_DEVICE_LOCAL_MEMORY_FEATURES_EXT};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV matrix_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
  VkPhysicalDeviceFaultFeaturesEXT fault_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT};
  std::vector<const char*> extensions_;
};

}  // namespace segue::vulkan
