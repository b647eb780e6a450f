// SPDX-License-Identifier: Apache-2.0
#include "llama/forward_pass.hpp"

#include <utility>

#include "llama/allocate.hpp"

namespace segue::llama {
namespace {

using Shape = Hyperparameters;

struct Activation {
  Tensor Activations::* tensor;
  const char* label;
  std::uint32_t (*columns)(const Shape&);
};

/// Every activation but the token ids; all are F32 with a row per token.
constexpr Activation kActivations[] = {
    {&Activations::residual, "residual", [](const Shape& s) { return s.width; }},
    {&Activations::normed, "normed", [](const Shape& s) { return s.width; }},
    {&Activations::scaled, "scaled", [](const Shape& s) { return s.width; }},
    {&Activations::query, "query", [](const Shape& s) { return s.query_width(); }},
    {&Activations::key, "key", [](const Shape& s) { return s.kv_width(); }},
    {&Activations::value, "value", [](const Shape& s) { return s.kv_width(); }},
    {&Activations::attended, "attended", [](const Shape& s) { return s.query_width(); }},
    {&Activations::projected, "projected", [](const Shape& s) { return s.width; }},
    {&Activations::gate, "gate", [](const Shape& s) { return s.feed_forward; }},
    {&Activations::up, "up", [](const Shape& s) { return s.feed_forward; }},
    {&Activations::gated, "gated", [](const Shape& s) { return s.feed_forward; }},
};

}  // namespace

Result<Activations> Activations::create(const Device& device, const Hyperparameters& shape,
                                        std::uint32_t tokens) {
  Activations a;
  a.tokens = tokens;
  SEGUE_TRY_ASSIGN(a.token_ids, allocate_transient(device, "token ids", DType::kU32, 1, tokens));
  for (const Activation& row : kActivations) {
    SEGUE_TRY_ASSIGN(a.*row.tensor, allocate_transient(device, row.label, DType::kF32, tokens,
                                                       row.columns(shape)));
  }
  return a;
}

Result<Activations> Activations::first(std::uint32_t count) const {
  Activations part = *this;
  part.tokens = count;
  part.token_ids.columns = count;
  SEGUE_TRY_ASSIGN(part.token_ids.view, token_ids.view.subview(0, row_bytes(DType::kU32, count)));
  for (const Activation& row : kActivations) {
    Tensor& rows = part.*row.tensor;
    rows.rows = count;
    SEGUE_TRY_ASSIGN(rows.view, rows.view.subview(0, row_bytes(rows.dtype, rows.columns) * count));
  }
  return part;
}

void ForwardPass::record_tokens(CommandEncoder& encoder, const Tensor& token_ids,
                                const Tensor& residual) const {
  ops_.embedding(encoder, weights_.token_embedding, token_ids, residual);
}

void ForwardPass::record_token(CommandEncoder& encoder, ops::Scalar token,
                               const Tensor& residual) const {
  ops_.embedding_token(encoder, weights_.token_embedding, token, residual);
}

void ForwardPass::record_layers(CommandEncoder& encoder, const Activations& a, const KvCache& cache,
                                ops::Scalar position) const {
  for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
    record_attention(encoder, a, weights_.layers[i], cache.layers[i], position);
    record_feed_forward(encoder, a, weights_.layers[i]);
  }
}

void ForwardPass::record_attention(CommandEncoder& encoder, const Activations& a,
                                   const LayerWeights& layer, const KvLayer& kv,
                                   ops::Scalar position) const {
  ops_.rms_norm(encoder, a.residual, a.normed, shape_.rms_epsilon);
  ops_.mul(encoder, a.normed, layer.attention_norm, a.scaled);
  ops_.mat_mul(encoder, layer.query, a.scaled, a.query);
  ops_.mat_mul(encoder, layer.key, a.scaled, a.key);
  ops_.mat_mul(encoder, layer.value, a.scaled, a.value);

  ops::RopeOptions rope;
  rope.head_size = shape_.head_size;
  rope.base = shape_.rope_base;
  rope.position = position;
  ops_.rope(encoder, a.query, a.query, rope);
  ops_.rope(encoder, a.key, a.key, rope);
  ops_.kv_append(encoder, a.key, kv.keys, position);
  ops_.kv_append(encoder, a.value, kv.values, position);

  ops::AttentionOptions attention;
  attention.head_size = shape_.head_size;
  attention.position = position;
  ops_.attention(encoder, a.query, kv.keys, kv.values, a.attended, attention);
  ops_.mat_mul(encoder, layer.attention_output, a.attended, a.projected);
  ops_.add(encoder, a.residual, a.projected, a.residual);
}

void ForwardPass::record_feed_forward(CommandEncoder& encoder, const Activations& a,
                                      const LayerWeights& layer) const {
  ops_.rms_norm(encoder, a.residual, a.normed, shape_.rms_epsilon);
  ops_.mul(encoder, a.normed, layer.feed_forward_norm, a.scaled);
  ops_.mat_mul(encoder, layer.gate, a.scaled, a.gate);
  ops_.mat_mul(encoder, layer.up, a.scaled, a.up);
  ops_.silu_mul(encoder, a.gate, a.up, a.gated);
  ops_.mat_mul(encoder, layer.down, a.gated, a.projected);
  ops_.add(encoder, a.residual, a.projected, a.residual);
}

void ForwardPass::record_output(CommandEncoder& encoder, const Tensor& residual,
                                const Tensor& normed, const Tensor& scaled,
                                const Tensor& logits) const {
  ops_.rms_norm(encoder, residual, normed, shape_.rms_epsilon);
  ops_.mul(encoder, normed, weights_.output_norm, scaled);
  ops_.mat_mul(encoder, weights_.output, scaled, logits);
}

}  // namespace segue::llama
