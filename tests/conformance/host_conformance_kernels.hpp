// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

namespace segue::test {

/// The kernels of ConformanceDevice as C++ functions, typed ones and one that is raw.
[[nodiscard]] std::vector<KernelSource> host_conformance_kernels();

}  // namespace segue::test
