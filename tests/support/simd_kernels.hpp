// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "segue/kernel.hpp"

namespace segue::test {

/// The host's kernels for one instruction set.
struct SimdKernels {
  std::string name;  ///< Such as "AVX2".
  std::vector<KernelSource> kernels;
};

/// One entry for each instruction set that kernels are compiled for and this machine has.
[[nodiscard]] const std::vector<SimdKernels>& simd_kernels();

}  // namespace segue::test
