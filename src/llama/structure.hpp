// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "llama/decoder.hpp"
#include "llama/hyperparameters.hpp"
#include "llama/kv_cache.hpp"
#include "llama/weights.hpp"
#include "segue/device.hpp"
#include "segue/graph.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

namespace segue::llama {

/// The decoding step of a model of which only the shape is known: what it is made of and in which
/// order, with weights and cache that take no memory before somebody uses them.
struct Structure {
  Weights weights;
  KvCache cache;
  StepBuffers buffers;
  Graph graph;
};

/// Captures a decoding step as a model with matrices of `type` has it, each in the layout that
/// `ops` prefers, with a cache of `context` rows.
///
/// @error kInvalidArgument  The type is none of a matrix, a row is not whole blocks of it, or the
///                          context is 0.
/// Otherwise those of capture_step() and Device::create_buffer.
[[nodiscard]] Result<Structure> structure(const Device& device, const ops::Ops& ops,
                                          const Hyperparameters& shape, DType type,
                                          std::uint32_t context);

/// The type of the cache of a model that quantises activations, or does not.
[[nodiscard]] constexpr DType default_cache_type(bool quantises_activations) {
  return quantises_activations ? DType::kF16 : DType::kF32;
}

}  // namespace segue::llama
