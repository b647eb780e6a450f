// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "metal_double/msl/constants.hpp"
#include "metal_double/msl/kernels.hpp"

namespace metal_double::msl {

/// The functions and tables through which the runner reaches kernels and constants, as C++.
std::string write_entries(const Tokens& tokens, const Declarations& declarations,
                          const std::vector<LaunchConstant>& constants,
                          const std::vector<Kernel>& kernels);

}  // namespace metal_double::msl
