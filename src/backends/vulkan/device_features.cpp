// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/device_features.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace segue::vulkan {
namespace {

/// Everything that a device says about itself, in the driver's structures.
struct Report {
  std::vector<VkExtensionProperties> extensions;
  VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features v13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceMemoryPriorityFeaturesEXT priority{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PRIORITY_FEATURES_EXT};
  VkPhysicalDevicePageableDeviceLocalMemoryFeaturesEXT pageable{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PAGEABLE_DEVICE_LOCAL_MEMORY_FEATURES_EXT};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV matrix{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
  VkPhysicalDeviceFaultFeaturesEXT fault{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT};

  VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  VkPhysicalDeviceVulkan11Properties p11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
  VkPhysicalDeviceVulkan12Properties p12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
  VkPhysicalDeviceVulkan13Properties p13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES};
  VkPhysicalDevicePushDescriptorPropertiesKHR push{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PUSH_DESCRIPTOR_PROPERTIES_KHR};
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT import{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};

  [[nodiscard]] bool has(std::string_view name) const {
    return std::ranges::any_of(extensions, [name](const VkExtensionProperties& each) {
      return name == std::string_view(each.extensionName);
    });
  }
};

template <class Chain, class Structure>
void link(Chain& chain, Structure& structure) {
  structure.pNext = chain.pNext;
  chain.pNext = &structure;
}

Result<std::vector<VkExtensionProperties>> extensions_of(const Api& api, VkPhysicalDevice device) {
  std::uint32_t count = 0;
  std::vector<VkExtensionProperties> all;
  VkResult result = api.EnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  if (result == VK_SUCCESS) {
    all.resize(count);
    result = api.EnumerateDeviceExtensionProperties(device, nullptr, &count, all.data());
    all.resize(count);
  }
  if (result != VK_SUCCESS && result != VK_INCOMPLETE)
    return std::unexpected(call_error("vkEnumerateDeviceExtensionProperties", result));
  return all;
}

/// Structures of versions and extensions that a device does not know must not be in the chain.
void query(const Api& api, VkPhysicalDevice device, Report& report) {
  api.GetPhysicalDeviceProperties2(device, &report.properties);
  if (report.properties.properties.apiVersion < VK_API_VERSION_1_3) return;  // find_rejection()
  link(report.features, report.v11);
  link(report.features, report.v12);
  link(report.features, report.v13);
  if (report.has(VK_EXT_MEMORY_PRIORITY_EXTENSION_NAME)) link(report.features, report.priority);
  if (report.has(VK_EXT_PAGEABLE_DEVICE_LOCAL_MEMORY_EXTENSION_NAME))
    link(report.features, report.pageable);
  if (report.has(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME)) link(report.features, report.matrix);
  if (report.has(VK_EXT_DEVICE_FAULT_EXTENSION_NAME)) link(report.features, report.fault);
  api.GetPhysicalDeviceFeatures2(device, &report.features);

  link(report.properties, report.p11);
  link(report.properties, report.p12);
  link(report.properties, report.p13);
  if (report.has(VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME)) link(report.properties, report.push);
  if (report.has(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME))
    link(report.properties, report.import);
  api.GetPhysicalDeviceProperties2(device, &report.properties);
}

/// The family with the most room for compute: without graphics if there is one, since its barriers
/// cost less.
std::optional<std::pair<QueueFamily, std::uint32_t>> find_family(const Api& api,
                                                                 VkPhysicalDevice device) {
  std::uint32_t count = 0;
  api.GetPhysicalDeviceQueueFamilyProperties2(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties2> families(
      count, VkQueueFamilyProperties2{VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2});
  api.GetPhysicalDeviceQueueFamilyProperties2(device, &count, families.data());
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < count; ++i) {
    const VkQueueFamilyProperties& family = families[i].queueFamilyProperties;
    if ((family.queueFlags & VK_QUEUE_COMPUTE_BIT) == 0 || family.queueCount == 0) continue;
    const bool graphics = (family.queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0;
    if (!best || !graphics) best = i;
    if (!graphics) break;
  }
  if (!best) return std::nullopt;
  const VkQueueFamilyProperties& family = families[*best].queueFamilyProperties;
  constexpr std::uint32_t kMostQueues = 4;  // beyond that, ours share them
  return std::pair(QueueFamily{*best, std::min(family.queueCount, kMostQueues)},
                   family.timestampValidBits);
}

struct Demand {
  bool met;
  std::string_view clause;
};

std::string find_rejection(const Report& report, const Candidate& candidate, bool has_family) {
  const VkPhysicalDeviceProperties& properties = report.properties.properties;
  if (properties.apiVersion < VK_API_VERSION_1_3) {
    return fmt::format("its driver speaks Vulkan {}.{}, and 1.3 is needed",
                       VK_API_VERSION_MAJOR(properties.apiVersion),
                       VK_API_VERSION_MINOR(properties.apiVersion));
  }
  constexpr VkSubgroupFeatureFlags kOperations =
      VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
      VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT |
      VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT;
  const Demand demands[] = {
      {has_family, "it has no compute queue"},
      {report.v12.timelineSemaphore == VK_TRUE, "it has no timeline semaphores"},
      {report.v12.hostQueryReset == VK_TRUE, "the host cannot reset its queries"},
      {report.v13.synchronization2 == VK_TRUE, "it has no synchronization2"},
      {report.v12.scalarBlockLayout == VK_TRUE, "it has no scalar block layout"},
      {report.v11.storageBuffer16BitAccess == VK_TRUE, "its buffers hold no 16-bit values"},
      {report.v12.storageBuffer8BitAccess == VK_TRUE, "its buffers hold no 8-bit values"},
      {report.has(VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME), "it has no VK_KHR_push_descriptor"},
      {(report.p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
           (report.p11.subgroupSupportedOperations & kOperations) == kOperations,
       "its compute kernels lack subgroup arithmetic or shuffles"},
      {candidate.traits.subgroup_size >= 8 && candidate.traits.subgroup_size <= 128,
       "its subgroup size is not from 8 to 128"},
  };
  for (const Demand& demand : demands) {
    if (!demand.met) return std::string(demand.clause);
  }
  return {};
}

/// Where the subgroup size varies, the size closest to 32 is asked for.
void set_subgroup(const Report& report, DeviceTraits& traits) {
  traits.subgroup_size = report.p11.subgroupSize;
  const bool any_stage = (report.p13.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  traits.subgroup_size_control = report.v13.subgroupSizeControl == VK_TRUE && any_stage &&
                                 report.p13.minSubgroupSize != report.p13.maxSubgroupSize;
  traits.full_subgroups = report.v13.computeFullSubgroups == VK_TRUE;
  if (traits.subgroup_size_control) {
    traits.subgroup_size = std::clamp(32U, report.p13.minSubgroupSize, report.p13.maxSubgroupSize);
  }
}

/// Whether the kernels' form of cooperative matrices is there: F16 factors, F32 sums, 16 x 16 x 16.
bool has_cooperative_matrix(const Api& api, VkPhysicalDevice device, const Report& report) {
  if (!report.has(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
      report.matrix.cooperativeMatrix != VK_TRUE || report.v12.vulkanMemoryModel != VK_TRUE ||
      api.GetPhysicalDeviceCooperativeMatrixPropertiesNV == nullptr) {
    return false;
  }
  std::uint32_t count = 0;
  if (api.GetPhysicalDeviceCooperativeMatrixPropertiesNV(device, &count, nullptr) != VK_SUCCESS)
    return false;
  std::vector<VkCooperativeMatrixPropertiesNV> shapes(
      count, VkCooperativeMatrixPropertiesNV{VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV});
  if (api.GetPhysicalDeviceCooperativeMatrixPropertiesNV(device, &count, shapes.data()) < 0)
    return false;
  return std::ranges::any_of(shapes, [](const VkCooperativeMatrixPropertiesNV& shape) {
    return shape.MSize == 16 && shape.NSize == 16 && shape.KSize == 16 &&
           shape.AType == VK_COMPONENT_TYPE_FLOAT16_NV &&
           shape.BType == VK_COMPONENT_TYPE_FLOAT16_NV &&
           shape.CType == VK_COMPONENT_TYPE_FLOAT32_NV &&
           shape.DType == VK_COMPONENT_TYPE_FLOAT32_NV && shape.scope == VK_SCOPE_SUBGROUP_NV;
  });
}

bool has_monotonic_domain(const Api& api, VkPhysicalDevice device) {
  if (api.GetPhysicalDeviceCalibrateableTimeDomainsEXT == nullptr) return false;
  std::uint32_t count = 0;
  if (api.GetPhysicalDeviceCalibrateableTimeDomainsEXT(device, &count, nullptr) != VK_SUCCESS)
    return false;
  std::vector<VkTimeDomainEXT> domains(count);
  if (api.GetPhysicalDeviceCalibrateableTimeDomainsEXT(device, &count, domains.data()) < 0)
    return false;
  return std::ranges::find(domains, VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT) != domains.end() &&
         std::ranges::find(domains, VK_TIME_DOMAIN_DEVICE_EXT) != domains.end();
}

/// Whether timeline semaphores go to and come from other processes as file descriptors.
bool has_shared_timelines(const Api& api, VkPhysicalDevice device) {
  if (api.GetPhysicalDeviceExternalSemaphoreProperties == nullptr) return false;
  VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkPhysicalDeviceExternalSemaphoreInfo info{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO};
  info.pNext = &type;
  info.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
  VkExternalSemaphoreProperties properties{VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES};
  api.GetPhysicalDeviceExternalSemaphoreProperties(device, &info, &properties);
  constexpr VkExternalSemaphoreFeatureFlags kBoth =
      VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT | VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT;
  return (properties.externalSemaphoreFeatures & kBoth) == kBoth;
}

DeviceTraits traits_of(const Api& api, VkPhysicalDevice device, const Report& report,
                       std::uint32_t timestamp_bits) {
  const VkPhysicalDeviceLimits& limits = report.properties.properties.limits;
  DeviceTraits traits;
  traits.api_version = report.properties.properties.apiVersion;
  set_subgroup(report, traits);
  traits.update_after_bind = report.v12.descriptorBindingStorageBufferUpdateAfterBind == VK_TRUE &&
                             report.v12.descriptorBindingUniformBufferUpdateAfterBind == VK_TRUE;
  traits.float16 = report.v12.shaderFloat16 == VK_TRUE;
  traits.int8 = report.v12.shaderInt8 == VK_TRUE;
  traits.int16 = report.features.features.shaderInt16 == VK_TRUE;
  traits.int64 = report.features.features.shaderInt64 == VK_TRUE;
  traits.integer_dot_product = report.v13.shaderIntegerDotProduct == VK_TRUE;
  traits.vulkan_memory_model =
      report.v12.vulkanMemoryModel == VK_TRUE && report.v12.vulkanMemoryModelDeviceScope == VK_TRUE;
  traits.cooperative_matrix_nv = has_cooperative_matrix(api, device, report);
  traits.host_import = report.has(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (traits.host_import) traits.import_alignment = report.import.minImportedHostPointerAlignment;
  traits.memory_budget = report.has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  traits.memory_priority = report.priority.memoryPriority == VK_TRUE &&
                           report.pageable.pageableDeviceLocalMemory == VK_TRUE;
  traits.calibrated_timestamps =
      report.has(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME) && has_monotonic_domain(api, device);
  traits.device_fault = report.fault.deviceFault == VK_TRUE;
  traits.external_semaphore_fd =
      report.has(VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME) && has_shared_timelines(api, device);
  traits.buffer_device_address = report.v12.bufferDeviceAddress == VK_TRUE;
  traits.storage_alignment = static_cast<std::uint32_t>(limits.minStorageBufferOffsetAlignment);
  traits.uniform_alignment = static_cast<std::uint32_t>(limits.minUniformBufferOffsetAlignment);
  traits.uniform_range = limits.maxUniformBufferRange;
  traits.timestamp_period = static_cast<double>(limits.timestampPeriod);
  traits.timestamp_bits = timestamp_bits;
  return traits;
}

}  // namespace

Result<Candidate> inspect(const Api& api, VkPhysicalDevice device) {
  Candidate candidate;
  candidate.device = device;
  Report report;
  SEGUE_TRY_ASSIGN(report.extensions, extensions_of(api, device));
  query(api, device, report);
  candidate.properties = report.properties.properties;
  VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  api.GetPhysicalDeviceMemoryProperties2(device, &memory);
  candidate.memory = memory.memoryProperties;
  candidate.max_buffer_bytes = report.p13.maxBufferSize;
  candidate.max_allocation_bytes = report.p11.maxMemoryAllocationSize;
  candidate.max_push_descriptors = report.push.maxPushDescriptors;
  candidate.driver = fmt::format("{} {}", report.p12.driverName, report.p12.driverInfo);
  const auto family = find_family(api, device);
  if (family) candidate.family = family->first;
  candidate.traits = traits_of(api, device, report, family ? family->second : 0);
  candidate.rejection = find_rejection(report, candidate, family.has_value());
  return candidate;
}

int rank(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 2;
    case VK_PHYSICAL_DEVICE_TYPE_OTHER: return 3;
    default: return 4;
  }
}

Limits limits_of(const Candidate& candidate) {
  const VkPhysicalDeviceLimits& device = candidate.properties.limits;
  Limits limits;
  limits.max_buffer_bytes = std::min(candidate.max_buffer_bytes, candidate.max_allocation_bytes);
  limits.max_view_bytes = device.maxStorageBufferRange;
  limits.view_offset_alignment = 1;
  limits.direct_view_alignment = candidate.traits.storage_alignment;
  // One descriptor is kept for the exact thread count.
  limits.max_arguments =
      std::min({candidate.max_push_descriptors - 1, device.maxPerStageDescriptorStorageBuffers - 1,
                device.maxPerStageResources - 1, 63U});
  limits.max_inline_bytes = std::min(candidate.traits.uniform_range, 64U << 10);
  limits.max_shared_memory_bytes = device.maxComputeSharedMemorySize;
  limits.max_group_threads = device.maxComputeWorkGroupInvocations;
  limits.max_group_size = {device.maxComputeWorkGroupSize[0], device.maxComputeWorkGroupSize[1],
                           device.maxComputeWorkGroupSize[2]};
  limits.max_group_count = {device.maxComputeWorkGroupCount[0], device.maxComputeWorkGroupCount[1],
                            device.maxComputeWorkGroupCount[2]};
  limits.host_import_alignment = static_cast<std::uint32_t>(candidate.traits.import_alignment);
  limits.max_submissions_in_flight = 64;
  return limits;
}

Features features_of(const Candidate& candidate) {
  Features features;
  const VkPhysicalDeviceType type = candidate.properties.deviceType;
  features.unified_memory =
      candidate.traits.host_import &&
      (type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU);
  features.indirect_dispatch = true;
  features.residency_sets = candidate.traits.memory_priority;
  features.pipeline_cache = true;
  features.gpu_timestamps = candidate.traits.timestamp_bits != 0;
  features.shared_timelines = candidate.traits.external_semaphore_fd;
#if defined(SEGUE_CHECK_LIFETIMES)
  features.lifetime_checks = true;
#endif
  return features;
}

EnabledFeatures::EnabledFeatures(const Candidate& candidate) {
  const DeviceTraits& traits = candidate.traits;
  const auto flag = [](bool value) { return value ? VK_TRUE : VK_FALSE; };
  add(v11_);
  add(v12_);
  add(v13_);
  features_.features.shaderInt16 = flag(traits.int16);
  features_.features.shaderInt64 = flag(traits.int64);
  v11_.storageBuffer16BitAccess = VK_TRUE;
  v12_.storageBuffer8BitAccess = VK_TRUE;
  v12_.timelineSemaphore = VK_TRUE;
  v12_.hostQueryReset = VK_TRUE;
  v12_.scalarBlockLayout = VK_TRUE;
  v12_.shaderFloat16 = flag(traits.float16);
  v12_.shaderInt8 = flag(traits.int8);
  v12_.bufferDeviceAddress = flag(traits.buffer_device_address);
  // The one demands the other of every kernel with an atomic operation.
  v12_.vulkanMemoryModel = flag(traits.vulkan_memory_model);
  v12_.vulkanMemoryModelDeviceScope = flag(traits.vulkan_memory_model);
  v12_.descriptorIndexing = VK_FALSE;
  v12_.descriptorBindingStorageBufferUpdateAfterBind = flag(traits.update_after_bind);
  v12_.descriptorBindingUniformBufferUpdateAfterBind = flag(traits.update_after_bind);
  v13_.synchronization2 = VK_TRUE;
  v13_.subgroupSizeControl = flag(traits.subgroup_size_control);
  v13_.computeFullSubgroups = flag(traits.full_subgroups);
  v13_.shaderIntegerDotProduct = flag(traits.integer_dot_product);
  v13_.maintenance4 = VK_TRUE;  // every 1.3 device has it; kernels' LocalSizeId needs it
  extensions_.push_back(VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME);
  const auto add_extension = [this](bool wanted, const char* name) {
    if (wanted) extensions_.push_back(name);
  };
  add_extension(traits.host_import, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  add_extension(traits.memory_budget, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  add_extension(traits.calibrated_timestamps, VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME);
  add_extension(traits.external_semaphore_fd, VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME);
  if (traits.memory_priority) {
    extensions_.push_back(VK_EXT_MEMORY_PRIORITY_EXTENSION_NAME);
    extensions_.push_back(VK_EXT_PAGEABLE_DEVICE_LOCAL_MEMORY_EXTENSION_NAME);
    priority_.memoryPriority = VK_TRUE;
    pageable_.pageableDeviceLocalMemory = VK_TRUE;
    add(priority_);
    add(pageable_);
  }
  if (traits.cooperative_matrix_nv) {
    extensions_.push_back(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
    matrix_.cooperativeMatrix = VK_TRUE;
    add(matrix_);
  }
  if (traits.device_fault) {
    extensions_.push_back(VK_EXT_DEVICE_FAULT_EXTENSION_NAME);
    fault_.deviceFault = VK_TRUE;
    add(fault_);
  }
}

}  // namespace segue::vulkan
