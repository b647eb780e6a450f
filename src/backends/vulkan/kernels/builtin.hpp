// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "backends/vulkan/context.hpp"
#include "backends/vulkan/kernels/builtin_spirv.hpp"
#include "segue/kernel.hpp"

namespace segue::vulkan {

/// The name under which a library has the kernel: without its variants.
[[nodiscard]] std::string_view base_name(std::string_view name);

/// Of each name one kernel that a device of these traits can run, if there is one: the last of its
/// variants, or else the plain one.
[[nodiscard]] std::vector<KernelSource> choose_builtin(std::span<const BuiltinSpirv> kernels,
                                                       const DeviceTraits& traits);

}  // namespace segue::vulkan
