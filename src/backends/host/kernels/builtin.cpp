// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/builtin.hpp"

#include "backends/host/kernels/mat_vec.hpp"
#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/repack.hpp"

namespace segue::host {

std::vector<KernelSource> builtin_kernels() {
  std::vector<KernelSource> kernels;
  append_mat_vec_kernels(kernels);
  append_repack_kernels(kernels);
  append_embedding_kernels(kernels);
  append_norm_kernels(kernels);
  append_elementwise_kernels(kernels);
  append_rope_kernels(kernels);
  append_kv_append_kernels(kernels);
  append_attention_kernels(kernels);
  append_softmax_kernels(kernels);
  append_sample_kernels(kernels);
  append_advance_kernels(kernels);
  return kernels;
}

}  // namespace segue::host
