// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

namespace segue::test {

/// The kernels of ConformanceDevice as GLSL text; their signatures are read off the code, but for
/// two that declare what code cannot say.
[[nodiscard]] std::vector<KernelSource> vulkan_conformance_kernels();

}  // namespace segue::test
