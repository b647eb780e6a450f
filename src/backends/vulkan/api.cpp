// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/api.hpp"

#include <fmt/format.h>

#include <mutex>

#define VOLK_IMPLEMENTATION
#include <volk.h>

#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

std::unexpected<Error> missing(const char* name) {
  return base::fail(ErrorCode::kUnsupported, "The Vulkan driver has no entry point {}.", name);
}

}  // namespace

Result<> Api::load_global() {
  // It writes variables of the process, each time that it is called.
  static std::mutex mutex;
  static bool is_open = false;
  const std::lock_guard lock(mutex);
  is_open = is_open || volkInitialize() == VK_SUCCESS;
  if (!is_open) {
    return base::fail(ErrorCode::kUnsupported,
                      "This machine has no Vulkan loader (libvulkan.so.1 does not open).");
  }
  GetInstanceProcAddr = vkGetInstanceProcAddr;
#define SEGUE_VK_LOAD(name)                                                        \
  name = reinterpret_cast<PFN_vk##name>(GetInstanceProcAddr(nullptr, "vk" #name)); \
  if (name == nullptr) return missing("vk" #name);
  SEGUE_VK_GLOBAL_FUNCTIONS(SEGUE_VK_LOAD)
#undef SEGUE_VK_LOAD
  return {};
}

Result<> Api::load_instance(VkInstance instance) {
#define SEGUE_VK_LOAD_OPTIONAL(name) \
  name = reinterpret_cast<PFN_vk##name>(GetInstanceProcAddr(instance, "vk" #name));
#define SEGUE_VK_LOAD(name)    \
  SEGUE_VK_LOAD_OPTIONAL(name) \
  if (name == nullptr) return missing("vk" #name);
  SEGUE_VK_INSTANCE_FUNCTIONS(SEGUE_VK_LOAD)
  SEGUE_VK_OPTIONAL_INSTANCE_FUNCTIONS(SEGUE_VK_LOAD_OPTIONAL)
#undef SEGUE_VK_LOAD
#undef SEGUE_VK_LOAD_OPTIONAL
  return {};
}

Result<> Api::load_device(VkDevice device) {
#define SEGUE_VK_LOAD_OPTIONAL(name) \
  name = reinterpret_cast<PFN_vk##name>(GetDeviceProcAddr(device, "vk" #name));
#define SEGUE_VK_LOAD(name)    \
  SEGUE_VK_LOAD_OPTIONAL(name) \
  if (name == nullptr) return missing("vk" #name);
  SEGUE_VK_DEVICE_FUNCTIONS(SEGUE_VK_LOAD)
  SEGUE_VK_OPTIONAL_DEVICE_FUNCTIONS(SEGUE_VK_LOAD_OPTIONAL)
#undef SEGUE_VK_LOAD
#undef SEGUE_VK_LOAD_OPTIONAL
  return {};
}

const char* to_string(VkResult result) {
  switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY";
    case VK_ERROR_INVALID_EXTERNAL_HANDLE: return "VK_ERROR_INVALID_EXTERNAL_HANDLE";
    case VK_ERROR_FRAGMENTATION: return "VK_ERROR_FRAGMENTATION";
    case VK_ERROR_UNKNOWN: return "VK_ERROR_UNKNOWN";
    default: return "an unknown VkResult";
  }
}

Error call_error(const char* call, VkResult result) {
  const auto code = [result] {
    switch (result) {
      case VK_ERROR_DEVICE_LOST: return ErrorCode::kDeviceLost;
      case VK_ERROR_OUT_OF_HOST_MEMORY:
      case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      case VK_ERROR_OUT_OF_POOL_MEMORY:
      case VK_ERROR_FRAGMENTED_POOL: return ErrorCode::kOutOfMemory;
      default: return ErrorCode::kBackend;
    }
  }();
  Error error;
  error.code = code;
  error.message = fmt::format("The Vulkan call {} fails with {} ({}).", call, to_string(result),
                              static_cast<int>(result));
  error.native = NativeError{"vulkan", static_cast<std::int64_t>(result), to_string(result)};
  return error;
}

}  // namespace segue::vulkan
