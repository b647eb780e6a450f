// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

// The kernels of src/ops beside the matrix products, by family; base/op_params.hpp says what each
// computes. Functions are chosen when appended, for hwy::SupportedTargets(). No result depends on
// how a grid is split.

namespace segue::host {

void append_norm_kernels(std::vector<KernelSource>& kernels);  ///< rms_norm, rms_norm_weighted
void append_elementwise_kernels(std::vector<KernelSource>& kernels);  ///< add, mul, silu, silu_mul
void append_rope_kernels(std::vector<KernelSource>& kernels);  ///< rope_interleaved, rope_neox
void append_kv_append_kernels(
    std::vector<KernelSource>& kernels);  ///< kv_append_f32, kv_append_f16
void append_attention_kernels(
    std::vector<KernelSource>& kernels);                          ///< attention_f32, attention_f16
void append_softmax_kernels(std::vector<KernelSource>& kernels);  ///< softmax
void append_embedding_kernels(
    std::vector<KernelSource>& kernels);  ///< embedding_f32, _f16, _bf16, _q8_0, _q4_0
void append_sample_kernels(std::vector<KernelSource>& kernels);  ///< argmax, sample

}  // namespace segue::host
