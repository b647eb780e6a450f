// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "segue/error.hpp"

namespace segue::vulkan {

/// Whether the words are valid SPIR-V for Vulkan 1.3: drivers may do anything with code that is
/// not.
///
/// @error kCompileFailed  With the validator's log.
[[nodiscard]] Result<> validate_spirv(std::span<const std::uint32_t> words);

}  // namespace segue::vulkan
