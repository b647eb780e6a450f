// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "llama/gguf.hpp"
#include "segue/error.hpp"

namespace segue::llama {

/// The numbers that define a Llama-style decoder, from the metadata of a GGUF file (keys
/// "llama.…").
struct Hyperparameters {
  std::uint32_t layers = 0;    ///< block_count
  std::uint32_t width = 0;     ///< embedding_length: elements of the residual stream.
  std::uint32_t heads = 0;     ///< attention.head_count: query heads.
  std::uint32_t kv_heads = 0;  ///< attention.head_count_kv; divides `heads`.
  std::uint32_t head_size =
      0;  ///< attention.key_length, else width / heads; even. Every element is rotated.
  std::uint32_t feed_forward = 0;  ///< feed_forward_length
  std::uint32_t context = 0;       ///< context_length: tokens the model was trained for.
  std::uint32_t vocabulary = 0;    ///< Rows of token_embd.weight.
  float rope_base = 10000.0F;      ///< rope.freq_base
  float rms_epsilon = 1e-5F;       ///< attention.layer_norm_rms_epsilon
  bool tied_output = false;        ///< No output.weight: logits come from token_embd.weight.

  /// Columns of the query projection's result, heads * head_size; need not equal `width`.
  [[nodiscard]] std::uint32_t query_width() const { return heads * head_size; }
  /// Columns of the key and value projections' results, kv_heads * head_size.
  [[nodiscard]] std::uint32_t kv_width() const { return kv_heads * head_size; }

  /// Reads and checks them. The shapes of the tensors are checked by ModelTensors::find.
  ///
  /// @error kUnsupported  Another architecture, mixture of experts, scaled or partial rotary
  /// embedding, a split file.
  /// @error kNotFound     A required key or token_embd.weight is missing.
  /// @error kCorruptData  A value is out of range or contradicts another.
  static Result<Hyperparameters> read(const GgufFile& file);
};

}  // namespace segue::llama
