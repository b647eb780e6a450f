// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace segue::vulkan {

/// A kernel that was compiled with the library.
struct BuiltinSpirv {
  std::string_view name;  ///< With its variants, such as "mat_mul_f16@dot".
  std::span<const std::uint32_t> words;
};

/// All of them, in the order in which ops.cmake and products.cmake list them.
[[nodiscard]] std::span<const BuiltinSpirv> builtin_spirv();

}  // namespace segue::vulkan
