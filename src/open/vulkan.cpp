// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "backends/vulkan/vulkan_device.hpp"
#include "runtime/device_state.hpp"
#include "runtime/environment.hpp"
#include "segue/vulkan.hpp"

namespace segue::vulkan {

Result<Device> create_device(const DeviceOptions& options, const VulkanOptions& vulkan_options) {
  VulkanOptions resolved = vulkan_options;
  if (resolved.pipeline_cache_directory.empty())
    resolved.pipeline_cache_directory = runtime::user_cache_directory();
  SEGUE_TRY_ASSIGN(std::shared_ptr<hal::Device> device,
                   create_hal_device(resolved, options.queue_count));
  SEGUE_TRY_ASSIGN(std::shared_ptr<runtime::DeviceState> state,
                   runtime::DeviceState::create(std::move(device), options));
  return Device(std::move(state));
}

Result<std::vector<DeviceSummary>> list_devices() { return summarise_devices(); }

}  // namespace segue::vulkan
