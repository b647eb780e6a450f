// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#include "segue/error.hpp"

/// The entry points that the backend calls, in tables of its own: several devices of one process
/// may come from different drivers, and tests put their own functions in place of each.
namespace segue::vulkan {

#define SEGUE_VK_GLOBAL_FUNCTIONS(X)      \
  X(CreateInstance)                       \
  X(EnumerateInstanceVersion)             \
  X(EnumerateInstanceExtensionProperties) \
  X(EnumerateInstanceLayerProperties)

#define SEGUE_VK_INSTANCE_FUNCTIONS(X)       \
  X(DestroyInstance)                         \
  X(EnumeratePhysicalDevices)                \
  X(GetPhysicalDeviceProperties2)            \
  X(GetPhysicalDeviceFeatures2)              \
  X(GetPhysicalDeviceQueueFamilyProperties2) \
  X(GetPhysicalDeviceMemoryProperties2)      \
  X(EnumerateDeviceExtensionProperties)      \
  X(CreateDevice)                            \
  X(GetDeviceProcAddr)

/// Of instance extensions; null where the instance lacks them.
#define SEGUE_VK_OPTIONAL_INSTANCE_FUNCTIONS(X)   \
  X(CreateDebugUtilsMessengerEXT)                 \
  X(DestroyDebugUtilsMessengerEXT)                \
  X(GetPhysicalDeviceCalibrateableTimeDomainsEXT) \
  X(GetPhysicalDeviceExternalSemaphoreProperties) \
  X(GetPhysicalDeviceCooperativeMatrixPropertiesNV)

#define SEGUE_VK_DEVICE_FUNCTIONS(X) \
  X(DestroyDevice)                   \
  X(GetDeviceQueue)                  \
  X(DeviceWaitIdle)                  \
  X(QueueSubmit2)                    \
  X(QueueWaitIdle)                   \
  X(AllocateMemory)                  \
  X(FreeMemory)                      \
  X(MapMemory)                       \
  X(UnmapMemory)                     \
  X(CreateBuffer)                    \
  X(DestroyBuffer)                   \
  X(GetBufferMemoryRequirements)     \
  X(BindBufferMemory)                \
  X(CreateSemaphore)                 \
  X(DestroySemaphore)                \
  X(GetSemaphoreCounterValue)        \
  X(SignalSemaphore)                 \
  X(WaitSemaphores)                  \
  X(CreateCommandPool)               \
  X(DestroyCommandPool)              \
  X(ResetCommandPool)                \
  X(AllocateCommandBuffers)          \
  X(BeginCommandBuffer)              \
  X(EndCommandBuffer)                \
  X(CreateQueryPool)                 \
  X(DestroyQueryPool)                \
  X(ResetQueryPool)                  \
  X(GetQueryPoolResults)             \
  X(CreateShaderModule)              \
  X(DestroyShaderModule)             \
  X(CreatePipelineCache)             \
  X(DestroyPipelineCache)            \
  X(GetPipelineCacheData)            \
  X(CreateComputePipelines)          \
  X(DestroyPipeline)                 \
  X(CreatePipelineLayout)            \
  X(DestroyPipelineLayout)           \
  X(CreateDescriptorSetLayout)       \
  X(DestroyDescriptorSetLayout)      \
  X(CreateDescriptorPool)            \
  X(DestroyDescriptorPool)           \
  X(AllocateDescriptorSets)          \
  X(UpdateDescriptorSets)            \
  X(CmdBindPipeline)                 \
  X(CmdBindDescriptorSets)           \
  X(CmdDispatch)                     \
  X(CmdDispatchIndirect)             \
  X(CmdPipelineBarrier2)             \
  X(CmdFillBuffer)                   \
  X(CmdCopyBuffer)                   \
  X(CmdWriteTimestamp2)

/// Of device extensions; null where the device lacks them.
#define SEGUE_VK_OPTIONAL_DEVICE_FUNCTIONS(X) \
  X(CmdPushDescriptorSetKHR)                  \
  X(GetMemoryHostPointerPropertiesEXT)        \
  X(GetCalibratedTimestampsEXT)               \
  X(SetDeviceMemoryPriorityEXT)               \
  X(GetDeviceFaultInfoEXT)                    \
  X(GetSemaphoreFdKHR)                        \
  X(ImportSemaphoreFdKHR)                     \
  X(SetDebugUtilsObjectNameEXT)               \
  X(CmdBeginDebugUtilsLabelEXT)               \
  X(CmdEndDebugUtilsLabelEXT)                 \
  X(QueueBeginDebugUtilsLabelEXT)             \
  X(QueueEndDebugUtilsLabelEXT)

/// Calls X for every entry point of the tables below.
#define SEGUE_VK_ALL_FUNCTIONS(X)         \
  SEGUE_VK_GLOBAL_FUNCTIONS(X)            \
  SEGUE_VK_INSTANCE_FUNCTIONS(X)          \
  SEGUE_VK_OPTIONAL_INSTANCE_FUNCTIONS(X) \
  SEGUE_VK_DEVICE_FUNCTIONS(X)            \
  SEGUE_VK_OPTIONAL_DEVICE_FUNCTIONS(X)

/// All entry points, by level. A level is null until it is loaded.
struct Api {
#define SEGUE_VK_MEMBER(name) PFN_vk##name name = nullptr;
  SEGUE_VK_ALL_FUNCTIONS(SEGUE_VK_MEMBER)
#undef SEGUE_VK_MEMBER
  PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;

  /// Finds the Vulkan loader of this machine.
  ///
  /// @error kUnsupported  There is none.
  [[nodiscard]] Result<> load_global();
  /// @error kUnsupported  An entry point is missing, which the message names.
  [[nodiscard]] Result<> load_instance(VkInstance instance);
  [[nodiscard]] Result<> load_device(VkDevice device);
};

/// Such as "VK_ERROR_DEVICE_LOST".
[[nodiscard]] const char* to_string(VkResult result);

/// What `result` of `call` means to the caller: kOutOfMemory, kDeviceLost or kBackend, with the
/// native code.
[[nodiscard]] Error call_error(const char* call, VkResult result);

}  // namespace segue::vulkan
