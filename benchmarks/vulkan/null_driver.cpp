// SPDX-License-Identifier: Apache-2.0
#include "null_driver.hpp"

#include <string_view>

namespace segue::bench {
namespace {

using vulkan::Api;

constexpr std::string_view kNullDevice = "Vulkan Mock Device";
constexpr VkSubgroupFeatureFlags kSubgroupOperations =
    VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
    VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT |
    VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT;

Api original;  // one driver for a process
bool null_device_seen = false;

bool is_null(VkPhysicalDevice device) {
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  original.GetPhysicalDeviceProperties2(device, &properties);
  return properties.properties.deviceName == kNullDevice;
}

template <class Structure>
Structure* find(void* chain, VkStructureType type) {
  for (auto* each = static_cast<VkBaseOutStructure*>(chain); each != nullptr; each = each->pNext) {
    if (each->sType == type) return reinterpret_cast<Structure*>(each);
  }
  return nullptr;
}

VKAPI_ATTR void VKAPI_CALL features(VkPhysicalDevice device, VkPhysicalDeviceFeatures2* features) {
  original.GetPhysicalDeviceFeatures2(device, features);
  if (!is_null(device)) return;
  if (auto* v11 = find<VkPhysicalDeviceVulkan11Features>(
          features, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES)) {
    v11->storageBuffer16BitAccess = VK_TRUE;
  }
  if (auto* v12 = find<VkPhysicalDeviceVulkan12Features>(
          features, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)) {
    v12->timelineSemaphore = VK_TRUE;
    v12->hostQueryReset = VK_TRUE;
    v12->scalarBlockLayout = VK_TRUE;
    v12->storageBuffer8BitAccess = VK_TRUE;
  }
  if (auto* v13 = find<VkPhysicalDeviceVulkan13Features>(
          features, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES)) {
    v13->synchronization2 = VK_TRUE;
    v13->maintenance4 = VK_TRUE;
  }
}

VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice device,
                                      VkPhysicalDeviceProperties2* properties) {
  original.GetPhysicalDeviceProperties2(device, properties);
  if (properties->properties.deviceName != kNullDevice) return;
  null_device_seen = true;
  constexpr VkDeviceSize kMostBytes = VkDeviceSize{1} << 30;
  VkPhysicalDeviceLimits& limits = properties->properties.limits;
  limits.maxPerStageDescriptorStorageBuffers = 64;
  limits.maxPerStageResources = 128;
  limits.timestampPeriod = 1.0F;
  if (auto* p11 = find<VkPhysicalDeviceVulkan11Properties>(
          properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES)) {
    p11->subgroupSize = 32;
    p11->subgroupSupportedStages = VK_SHADER_STAGE_COMPUTE_BIT;
    p11->subgroupSupportedOperations = kSubgroupOperations;
    p11->maxMemoryAllocationSize = kMostBytes;
  }
  if (auto* p13 = find<VkPhysicalDeviceVulkan13Properties>(
          properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES)) {
    p13->maxBufferSize = kMostBytes;
  }
  if (auto* maintenance4 = find<VkPhysicalDeviceMaintenance4Properties>(
          properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES)) {
    maintenance4->maxBufferSize = kMostBytes;
  }
  if (auto* push = find<VkPhysicalDevicePushDescriptorPropertiesKHR>(
          properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PUSH_DESCRIPTOR_PROPERTIES_KHR)) {
    push->maxPushDescriptors = 32;
  }
}

VKAPI_ATTR VkResult VKAPI_CALL counter(VkDevice /*device*/, VkSemaphore /*semaphore*/,
                                       std::uint64_t* value) {
  *value = UINT64_MAX - 1;  // the largest would be that of a lost device
  return VK_SUCCESS;
}

}  // namespace

void complete_null_driver(Api& api) {
  if (api.GetPhysicalDeviceFeatures2 != nullptr && api.GetPhysicalDeviceFeatures2 != &features) {
    original.GetPhysicalDeviceFeatures2 = api.GetPhysicalDeviceFeatures2;
    original.GetPhysicalDeviceProperties2 = api.GetPhysicalDeviceProperties2;
    api.GetPhysicalDeviceFeatures2 = &features;
    api.GetPhysicalDeviceProperties2 = &properties;
  }
  if (api.GetSemaphoreCounterValue != nullptr && null_device_seen)
    api.GetSemaphoreCounterValue = &counter;
}

}  // namespace segue::bench
