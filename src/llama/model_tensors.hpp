// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "llama/gguf.hpp"
#include "llama/hyperparameters.hpp"
#include "segue/error.hpp"

namespace segue::llama {

/// The weights of one layer. Shapes are [rows, columns]; a matrix times a vector of `columns` gives
/// `rows`.
struct LayerTensors {
  const GgufTensor* attention_norm = nullptr;     ///< [width], F32
  const GgufTensor* query = nullptr;              ///< [heads * head_size, width]
  const GgufTensor* key = nullptr;                ///< [kv_heads * head_size, width]
  const GgufTensor* value = nullptr;              ///< [kv_heads * head_size, width]
  const GgufTensor* attention_output = nullptr;   ///< [width, heads * head_size]
  const GgufTensor* feed_forward_norm = nullptr;  ///< [width], F32
  const GgufTensor* gate = nullptr;               ///< [feed_forward, width]
  const GgufTensor* up = nullptr;                 ///< [feed_forward, width]
  const GgufTensor* down = nullptr;               ///< [width, feed_forward]
};

/// Every weight of a model, found by name and checked against the hyperparameters. The pointers
/// live as long as the GgufFile stays where it is.
struct ModelTensors {
  const GgufTensor* token_embedding = nullptr;  ///< [vocabulary, width]
  const GgufTensor* output_norm = nullptr;      ///< [width], F32
  const GgufTensor* output = nullptr;           ///< [vocabulary, width]; token_embedding when tied.
  /// [head_size / 2], F32: each pair's rotation frequency is divided by its factor (Llama 3.1 and
  /// later). Null in most files.
  const GgufTensor* rope_factors = nullptr;
  std::vector<LayerTensors> layers;

  /// Finds and checks all of them. A matrix may have any type that Segue reads; types may be mixed.
  ///
  /// @error kNotFound     A tensor is missing; the message names it.
  /// @error kCorruptData  A tensor has another shape than the hyperparameters ask for.
  /// @error kUnsupported  A tensor has another type, or is one that a plain Llama does not have (a
  /// bias, say), so that
  ///                      leaving it out would give wrong results.
  static Result<ModelTensors> find(const GgufFile& file, const Hyperparameters& hyperparameters);
};

}  // namespace segue::llama
