// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "hal/hal.hpp"
#include "segue/metal.hpp"

namespace segue::metal {

/// @error  As segue::metal::create_device().
[[nodiscard]] Result<std::shared_ptr<hal::Device>> create_hal_device(const MetalOptions& options);

}  // namespace segue::metal
