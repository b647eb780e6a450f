// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/metal.hpp"

namespace segue::test {

/// A Metal device. Where Metal is a double, it runs work in orders that the rules allow and nobody
/// expects, each broken rule makes the running test fail, and so does an object that outlives the
/// test and its devices.
[[nodiscard]] Result<Device> open_metal(const DeviceOptions& options,
                                        const metal::MetalOptions& metal_options = {});
/// The same without indirect command buffers.
[[nodiscard]] Result<Device> open_metal_reencoding(const DeviceOptions& options);

}  // namespace segue::test
