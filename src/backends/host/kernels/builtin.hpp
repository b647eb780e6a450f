// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

namespace segue::host {

/// The kernels that src/ops needs, for the instruction sets of this machine.
[[nodiscard]] std::vector<KernelSource> builtin_kernels();

}  // namespace segue::host
