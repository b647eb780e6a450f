// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

namespace segue::test {

/// The kernels of ConformanceDevice in the Metal shading language. What Metal does not reflect,
/// their signatures declare.
[[nodiscard]] std::vector<KernelSource> metal_conformance_kernels();

}  // namespace segue::test
