// SPDX-License-Identifier: Apache-2.0
#include "llama/structure.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/fail.hpp"
#include "llama/forward_pass.hpp"

namespace segue::llama {
namespace {

/// Makes tensors without content, under the names that model files give them.
class Maker {
 public:
  Maker(const Device& device, const ops::Ops& ops, DType type)
      : device_(device), ops_(ops), type_(type) {}

  Result<Tensor> plain(std::string name, DType type, std::uint32_t rows,
                       std::uint32_t columns) const {
    SEGUE_TRY_ASSIGN(WeightMatrix matrix,
                     make(std::move(name), type, WeightLayout::kRowMajor, rows, columns));
    return std::move(matrix.tensor);
  }
  Result<Tensor> norm(std::string name, std::uint32_t width) const {
    return plain(std::move(name), DType::kF32, 1, width);
  }
  Result<WeightMatrix> matrix(std::string name, std::uint32_t rows, std::uint32_t columns) const {
    return make(std::move(name), type_, ops_.preferred_layout(type_), rows, columns);
  }

  Result<LayerWeights> layer(const Hyperparameters& shape, std::uint32_t index) const {
    const auto name = [index](std::string_view part) {
      return fmt::format("blk.{}.{}.weight", index, part);
    };
    LayerWeights layer;
    const std::uint32_t width = shape.width, queries = shape.query_width(), keys = shape.kv_width();
    SEGUE_TRY_ASSIGN(layer.attention_norm, norm(name("attn_norm"), width));
    SEGUE_TRY_ASSIGN(layer.query, matrix(name("attn_q"), queries, width));
    SEGUE_TRY_ASSIGN(layer.key, matrix(name("attn_k"), keys, width));
    SEGUE_TRY_ASSIGN(layer.value, matrix(name("attn_v"), keys, width));
    SEGUE_TRY_ASSIGN(layer.attention_output, matrix(name("attn_output"), width, queries));
    SEGUE_TRY_ASSIGN(layer.feed_forward_norm, norm(name("ffn_norm"), width));
    SEGUE_TRY_ASSIGN(layer.gate, matrix(name("ffn_gate"), shape.feed_forward, width));
    SEGUE_TRY_ASSIGN(layer.up, matrix(name("ffn_up"), shape.feed_forward, width));
    SEGUE_TRY_ASSIGN(layer.down, matrix(name("ffn_down"), width, shape.feed_forward));
    return layer;
  }

 private:
  Result<WeightMatrix> make(std::string name, DType type, WeightLayout layout, std::uint32_t rows,
                            std::uint32_t columns) const {
    if (columns % block_elements(type) != 0) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Matrix \"{}\" has {} columns, which do not divide into the {} elements "
                        "of a block of {}.",
                        name, columns, block_elements(type), to_string(type));
    }
    BufferDesc desc;
    desc.size_bytes = weight_bytes(type, layout, rows, columns);
    desc.host_access = HostAccess::kNone;
    desc.uninitialised = true;
    desc.deferred = true;
    desc.label = std::move(name);
    SEGUE_TRY_ASSIGN(const Buffer buffer, device_.create_buffer(desc));
    return WeightMatrix{{buffer.view(), type, rows, columns}, layout};
  }

  const Device& device_;
  const ops::Ops& ops_;
  DType type_;
};

}  // namespace

Result<Structure> structure(const Device& device, const ops::Ops& ops, const Hyperparameters& shape,
                            DType type, std::uint32_t context) {
  if (type == DType::kU32) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The matrices are of {}; they are of F32, F16, BF16, Q8_0 or Q4_0.",
                      to_string(type));
  }
  if (context == 0)
    return base::fail(ErrorCode::kInvalidArgument, "The context is 0; it is at least 1.");
  const Maker maker(device, ops, type);
  Structure made;
  Weights& weights = made.weights;
  weights.quantised = block_elements(type) > 1;
  SEGUE_TRY_ASSIGN(weights.token_embedding,
                   maker.plain("token_embd.weight", type, shape.vocabulary, shape.width));
  for (std::uint32_t i = 0; i < shape.layers; ++i) {
    SEGUE_TRY_ASSIGN(LayerWeights layer, maker.layer(shape, i));
    weights.layers.push_back(std::move(layer));
  }
  SEGUE_TRY_ASSIGN(weights.output_norm, maker.norm("output_norm.weight", shape.width));
  if (shape.tied_output && ops.preferred_layout(type) == WeightLayout::kRowMajor) {
    weights.output = {weights.token_embedding, WeightLayout::kRowMajor};
  } else {
    SEGUE_TRY_ASSIGN(weights.output, maker.matrix("output.weight", shape.vocabulary, shape.width));
  }
  SEGUE_TRY_ASSIGN(made.cache, KvCache::create(device, shape, context,
                                               default_cache_type(weights.quantised), true));
  SEGUE_TRY_ASSIGN(made.buffers, StepBuffers::create(device, shape, context));
  const ForwardPass pass(shape, weights, ops);
  SEGUE_TRY_ASSIGN(made.graph, capture_step(device, pass, ops, made.buffers, made.cache));
  return made;
}

}  // namespace segue::llama
