// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "hal/hal.hpp"
#include "segue/error.hpp"
#include "segue/host.hpp"

namespace segue::host {

/// The CPU as a hal device. Queues and kernels made by it may outlive it.
///
/// @error kInvalidArgument  HostOptions::threads is over 256.
[[nodiscard]] Result<std::shared_ptr<hal::Device>> create_hal_device(const HostOptions& options);

}  // namespace segue::host
