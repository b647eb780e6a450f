// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/device.hpp"
#include "segue/fusion.hpp"

namespace segue::ops {

/// The fusions of operations (segue/ops.hpp) that `device` has kernels for, in the order to apply
/// them in. All of them give the same bits as the separate operations. Those with a product are for
/// one token.
///
/// | pattern                                | replaces                                            |
/// |----------------------------------------|-----------------------------------------------------|
/// | rms_norm_weighted                      | rms_norm, mul by a row of weights                   |
/// | mat_vec_silu_mul                       | two mat_mul of one input, silu_mul                  |
/// | mat_vec3, mat_vec2                     | three or two mat_mul of one input                   |
/// | mat_vec_add                            | mat_mul, add                                        |
/// | norm_mat_vec, norm_mat_vec_silu_mul,   | rms_norm_weighted, and the only product that reads  |
/// | norm_mat_vec2, norm_mat_vec3           | its result                                          |
/// | rope_kv_append                         | rope, kv_append at the same position                |
/// | norm_mat_vec3_rope_kv_append           | norm_mat_vec3 of query, key and value, rope of the  |
/// |                                        | query, rope_kv_append of the key, kv_append of the  |
/// |                                        | value, recorded in this order; interleaved pairs    |
/// | add_rms_norm, add_rms_norm_weighted    | add, rms_norm or rms_norm_weighted; both results    |
[[nodiscard]] std::vector<FusionPattern> fusion_patterns(const Device& device);

}  // namespace segue::ops
