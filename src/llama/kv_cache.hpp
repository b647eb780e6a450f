// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "llama/hyperparameters.hpp"
#include "segue/device.hpp"
#include "segue/tensor.hpp"

namespace segue::llama {

/// Keys and values of one layer, both `[context, kv_heads * head_size]`.
struct KvLayer {
  Tensor keys;
  Tensor values;
};

/// What attention remembers of a sequence: one buffer, two tensors a layer.
struct KvCache {
  std::vector<KvLayer> layers;
  std::uint32_t context = 0;  ///< Rows, so the longest sequence.

  /// @param type      kF16, or kF32 for checking.
  /// @param deferred  Memory is taken when the cache is first used.
  /// @error           Those of Device::create_buffer.
  [[nodiscard]] static Result<KvCache> create(const Device& device, const Hyperparameters& shape,
                                              std::uint32_t context, DType type,
                                              bool deferred = false);
};

}  // namespace segue::llama
