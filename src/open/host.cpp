// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "backends/host/host_device.hpp"
#include "runtime/device_state.hpp"
#include "segue/host.hpp"

namespace segue::host {

Result<Device> create_device(const DeviceOptions& options, const HostOptions& host_options) {
  SEGUE_TRY_ASSIGN(std::shared_ptr<hal::Device> device, create_hal_device(host_options));
  SEGUE_TRY_ASSIGN(std::shared_ptr<runtime::DeviceState> state,
                   runtime::DeviceState::create(std::move(device), options));
  return Device(std::move(state));
}

}  // namespace segue::host
