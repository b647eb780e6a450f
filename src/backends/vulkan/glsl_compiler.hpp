// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "segue/error.hpp"

namespace segue::vulkan {

/// Compiles a GLSL compute shader to SPIR-V for Vulkan 1.3. `#include` is refused: a kernel is one
/// text. Thread-safe.
///
/// @error kCompileFailed  With the compiler's log.
[[nodiscard]] Result<std::vector<std::uint32_t>> compile_glsl(const std::string& text);

}  // namespace segue::vulkan
