// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/context.hpp"

#include <fmt/format.h>

#include "base/fail.hpp"

namespace segue::vulkan {

Context::~Context() {
  if (device != VK_NULL_HANDLE) {
    if (pipeline_cache != VK_NULL_HANDLE) api.DestroyPipelineCache(device, pipeline_cache, nullptr);
    api.DestroyDevice(device, nullptr);
  }
  if (messenger != VK_NULL_HANDLE) api.DestroyDebugUtilsMessengerEXT(instance, messenger, nullptr);
  if (instance != VK_NULL_HANDLE) api.DestroyInstance(instance, nullptr);
}

std::unexpected<Error> Context::fail(const char* call, VkResult result) const {
  Error error = call_error(call, result);
  if (result == VK_ERROR_DEVICE_LOST) {
    lost_.store(true, std::memory_order_release);
    const std::string report = fault_report();
    if (!report.empty()) error.message += " " + report;
  }
  return std::unexpected(std::move(error));
}

Result<> Context::check_alive() const {
  if (!lost()) return {};
  return base::fail(ErrorCode::kDeviceLost, "Device \"{}\" is lost; only opening it again helps.",
                    name);
}

void Context::set_name(VkObjectType type, std::uint64_t handle,
                       std::string_view object_name) const {
  if (!debug_names || object_name.empty()) return;
  const std::string text(object_name);
  VkDebugUtilsObjectNameInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT};
  info.objectType = type;
  info.objectHandle = handle;
  info.pObjectName = text.c_str();
  // A name that does not arrive changes nothing else.
  static_cast<void>(api.SetDebugUtilsObjectNameEXT(device, &info));
}

/// What VK_EXT_device_fault knows about a lost device: the driver's description and the addresses
/// that faulted.
std::string Context::fault_report() const {
  if (!traits.device_fault) return {};
  VkDeviceFaultCountsEXT counts{VK_STRUCTURE_TYPE_DEVICE_FAULT_COUNTS_EXT};
  if (api.GetDeviceFaultInfoEXT(device, &counts, nullptr) != VK_SUCCESS) return {};
  std::vector<VkDeviceFaultAddressInfoEXT> addresses(counts.addressInfoCount);
  std::vector<VkDeviceFaultVendorInfoEXT> vendor(counts.vendorInfoCount);
  counts.vendorBinarySize = 0;
  VkDeviceFaultInfoEXT info{VK_STRUCTURE_TYPE_DEVICE_FAULT_INFO_EXT};
  info.pAddressInfos = addresses.data();
  info.pVendorInfos = vendor.data();
  const VkResult result = api.GetDeviceFaultInfoEXT(device, &counts, &info);
  if (result != VK_SUCCESS && result != VK_INCOMPLETE) return {};
  std::string report = fmt::format("The driver reports: \"{}\"", info.description);
  for (std::uint32_t i = 0; i < counts.addressInfoCount; ++i) {
    report += fmt::format(", address {:#x} (kind {})", addresses[i].reportedAddress,
                          static_cast<int>(addresses[i].addressType));
  }
  for (std::uint32_t i = 0; i < counts.vendorInfoCount; ++i)
    report +=
        fmt::format(", \"{}\" (code {:#x})", vendor[i].description, vendor[i].vendorFaultCode);
  return report + ".";
}

}  // namespace segue::vulkan
