// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

// The kernels of src/ops beside the matrix products, by family; base/op_params.hpp says what each
// computes. Functions are chosen when appended, for hwy::SupportedTargets(). No result depends on
// how a grid is split.

namespace segue::host {

/// rms_norm, rms_norm_weighted, add_rms_norm, add_rms_norm_weighted
void append_norm_kernels(std::vector<KernelSource>& kernels);
void append_elementwise_kernels(std::vector<KernelSource>& kernels);  ///< add, mul, silu, silu_mul
/// rope_interleaved, rope_neox, and rope_kv_append_… of both with f32 and f16.
void append_rope_kernels(std::vector<KernelSource>& kernels);
/// kv_append_f32, kv_append_f16
void append_kv_append_kernels(std::vector<KernelSource>& kernels);
/// attention_f32, attention_f16
void append_attention_kernels(std::vector<KernelSource>& kernels);
void append_softmax_kernels(std::vector<KernelSource>& kernels);  ///< softmax
/// embedding_ and embedding_token_ with f32, f16, bf16, q8_0, q4_0
void append_embedding_kernels(std::vector<KernelSource>& kernels);
void append_sample_kernels(std::vector<KernelSource>& kernels);   ///< argmax, sample
void append_advance_kernels(std::vector<KernelSource>& kernels);  ///< advance

}  // namespace segue::host
