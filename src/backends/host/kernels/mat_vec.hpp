// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

namespace segue::host {

/// Whether products of int8 may use AVX-512 VNNI; tests switch it off to reach the paths below.
enum class Vnni { kIfAvailable, kNever };

/// Appends the matrix products of few tokens, y[t, r] = sum over c of weights[r, c] * x[t, c]:
///
/// | kernel                     | weights, layout          | activations                |
/// |----------------------------|--------------------------|----------------------------|
/// | mat_vec_{f32,f16,bf16}     | row-major, any columns   | F32                        |
/// | mat_vec_{q8_0,q4_0}        | row-major, any address   | F32, weights dequantised   |
/// | mat_vec_…_int8             | the same                 | int8, one scale a block    |
/// | mat_vec_…_tile16           | tiles of 16 rows         | F32, weights dequantised   |
/// | mat_vec_…_tile16_int8      | the same                 | int8, one scale a block    |
///
/// Arguments and inline bytes: base::MatMulParams. Functions are chosen now, for
/// hwy::SupportedTargets().
void append_mat_vec_kernels(std::vector<KernelSource>& kernels, Vnni vnni = Vnni::kIfAvailable);

}  // namespace segue::host
