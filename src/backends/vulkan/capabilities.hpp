// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "backends/vulkan/context.hpp"

namespace segue::vulkan {

/// The first of a kernel's SPIR-V capabilities that the device, as we open it, lacks, such as
/// "Float64 (10)".
[[nodiscard]] std::optional<std::string> missing_capability(
    std::span<const std::uint32_t> capabilities, const DeviceTraits& traits);

}  // namespace segue::vulkan
