// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "segue/device.hpp"
#include "segue/error.hpp"

/// Opening a device by name, for programs that leave the choice to their users. Programs that ship
/// one backend call its own create_device() instead and need not link the others.
namespace segue {

/// Opens the device that `spec` names: "host", "vulkan", "cuda" or "metal", the middle ones with
/// ":n" for the n-th device from 0; "auto" takes the first that works, GPUs first. Empty: what
/// SEGUE_DEVICE says, or "auto".
///
/// @error kInvalidArgument  `spec` or an environment variable has another form.
/// @error kUnsupported      This build has no such backend; the message names those it has.
/// @error kNotFound         The backend finds no such device.
[[nodiscard]] Result<Device> open_device(std::string_view spec = {},
                                         const DeviceOptions& options = {});

/// One device that open_device() could be asked for.
struct DeviceInfo {
  std::string spec;     ///< What open_device() takes.
  std::string backend;  ///< As Device::backend().
  std::string name;     ///< As Device::name(); empty if the device is not usable.
  bool usable = false;
  std::string reason;  ///< Why it is not usable, a sentence; otherwise empty.
};

/// Every backend's devices, usable or not.
[[nodiscard]] std::vector<DeviceInfo> list_devices();

}  // namespace segue
