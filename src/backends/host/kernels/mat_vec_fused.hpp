// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "backends/host/kernels/mat_vec_token.hpp"
#include "segue/host.hpp"

namespace segue::host::mat_vec {

/// Appends the products of one token that do more than multiply, such as "mat_vec_add_" + `name`;
/// base::FusedMatVecParams lists them, and base::NormMatVec3RopeKvAppendParams two more.
void append_fused_kernels(std::vector<KernelSource>& kernels, std::string_view name,
                          const Form& form, const Steps& steps, const KernelOptions& options);

}  // namespace segue::host::mat_vec
