// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "llama/hyperparameters.hpp"
#include "llama/kv_cache.hpp"
#include "llama/weights.hpp"
#include "segue/device.hpp"
#include "segue/encoder.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

namespace segue::llama {

/// The activations of one forward pass over `tokens` tokens, each `[tokens, …]` F32. Every
/// intermediate has memory of its own, so that hazards are those of the data flow and no others;
/// all are transient, so that a graph may eliminate them and place them together.
struct Activations {
  std::uint32_t tokens = 0;
  Tensor token_ids;  ///< [1, tokens] U32
  Tensor residual;   ///< [tokens, width]: the stream that layers add to.
  Tensor normed, scaled;
  Tensor query;            ///< [tokens, heads * head_size]
  Tensor key, value;       ///< [tokens, kv_heads * head_size]
  Tensor attended;         ///< [tokens, heads * head_size]
  Tensor projected;        ///< [tokens, width]: what a half layer adds.
  Tensor gate, up, gated;  ///< [tokens, feed_forward]

  /// @error  Those of Device::create_buffer.
  [[nodiscard]] static Result<Activations> create(const Device& device,
                                                  const Hyperparameters& shape,
                                                  std::uint32_t tokens);
  /// The first `count` tokens of these, sharing memory.
  [[nodiscard]] Result<Activations> first(std::uint32_t count) const;
};

/// Records the layers of a Llama decoder (Touvron et al. 2023, with grouped-query attention) as
/// primitive operations: 19 dispatches a layer, and nothing computed beside them.
class ForwardPass {
 public:
  ForwardPass(const Hyperparameters& shape, const Weights& weights, const ops::Ops& ops)
      : shape_(shape), weights_(weights), ops_(ops) {}

  /// From ids `[1, n]` to `residual` `[n, width]`.
  void record_tokens(CommandEncoder& encoder, const Tensor& token_ids,
                     const Tensor& residual) const;
  /// The same of one token that is given by value, or by a slot.
  void record_token(CommandEncoder& encoder, ops::Scalar token, const Tensor& residual) const;

  /// From `a.residual`, the tokens from `position` on, to the last layer's; appends to `cache`.
  void record_layers(CommandEncoder& encoder, const Activations& a, const KvCache& cache,
                     ops::Scalar position) const;

  /// From `residual` `[n, width]` to `logits` `[n, vocabulary]`, through `normed` and `scaled`.
  void record_output(CommandEncoder& encoder, const Tensor& residual, const Tensor& normed,
                     const Tensor& scaled, const Tensor& logits) const;

 private:
  void record_attention(CommandEncoder& encoder, const Activations& a, const LayerWeights& layer,
                        const KvLayer& kv, ops::Scalar position) const;
  void record_feed_forward(CommandEncoder& encoder, const Activations& a,
                           const LayerWeights& layer) const;

  const Hyperparameters& shape_;
  const Weights& weights_;
  const ops::Ops& ops_;
};

}  // namespace segue::llama
