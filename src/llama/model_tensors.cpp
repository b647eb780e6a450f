// SPDX-License-Identifier: Apache-2.0
#include "llama/model_tensors.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <unordered_set>

#include "base/fail.hpp"

namespace segue::llama {
namespace {

using base::fail;

/// Finds tensors one by one and remembers which were asked for.
class Finder {
 public:
  explicit Finder(const GgufFile& file) : file_(file) {}

  /// A matrix of `rows` by `columns`, of any type that Segue reads.
  Result<const GgufTensor*> matrix(std::string_view name, std::uint64_t rows,
                                   std::uint64_t columns) {
    SEGUE_TRY_ASSIGN(const GgufTensor* tensor, take(name));
    if (tensor->dimension_count != 2 || tensor->rows() != rows || tensor->columns() != columns) {
      return wrong_shape(*tensor, fmt::format("[{}, {}]", rows, columns));
    }
    SEGUE_TRY(check_supported(*tensor));
    return tensor;
  }

  /// A vector of float32.
  Result<const GgufTensor*> vector(std::string_view name, std::uint64_t elements) {
    SEGUE_TRY_ASSIGN(const GgufTensor* tensor, take(name));
    if (tensor->dimension_count != 1 || tensor->columns() != elements) {
      return wrong_shape(*tensor, fmt::format("[{}]", elements));
    }
    if (tensor->type != TensorType::kF32) {
      return fail(ErrorCode::kUnsupported,
                  "Tensor {} of file \"{}\" has type {}; Segue reads vectors as F32.", quote(name),
                  file_.path(), to_string(tensor->type));
    }
    return tensor;
  }

  /// An error when the file has a tensor that nobody asked for.
  [[nodiscard]] Result<> check_rest() const {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (!taken_.contains(&tensor)) {
        return fail(ErrorCode::kUnsupported,
                    "File \"{}\" has a tensor {}, which is no part of the Llama models that Segue "
                    "runs.",
                    file_.path(), quote(tensor.name));
      }
    }
    return {};
  }

 private:
  Result<const GgufTensor*> take(std::string_view name) {
    SEGUE_TRY_ASSIGN(const GgufTensor* tensor, file_.tensor(name));
    taken_.insert(tensor);
    return tensor;
  }

  [[nodiscard]] std::unexpected<Error> wrong_shape(const GgufTensor& tensor,
                                                   std::string_view expected) const {
    return fail(ErrorCode::kCorruptData,
                "Tensor {} of file \"{}\" has shape {}, but the metadata asks for {}.",
                quote(tensor.name), file_.path(), tensor.shape(), expected);
  }

  const GgufFile& file_;
  std::unordered_set<const GgufTensor*> taken_;
};

Result<LayerTensors> find_layer(Finder& finder, const Hyperparameters& shape, std::uint32_t index) {
  const auto name = [index](std::string_view part) {
    return fmt::format("blk.{}.{}.weight", index, part);
  };
  const std::uint64_t width = shape.width;
  const std::uint64_t query = shape.query_width();
  const std::uint64_t kv = shape.kv_width();
  const std::uint64_t inner = shape.feed_forward;
  LayerTensors layer;
  SEGUE_TRY_ASSIGN(layer.attention_norm, finder.vector(name("attn_norm"), width));
  SEGUE_TRY_ASSIGN(layer.query, finder.matrix(name("attn_q"), query, width));
  SEGUE_TRY_ASSIGN(layer.key, finder.matrix(name("attn_k"), kv, width));
  SEGUE_TRY_ASSIGN(layer.value, finder.matrix(name("attn_v"), kv, width));
  SEGUE_TRY_ASSIGN(layer.attention_output, finder.matrix(name("attn_output"), width, query));
  SEGUE_TRY_ASSIGN(layer.feed_forward_norm, finder.vector(name("ffn_norm"), width));
  SEGUE_TRY_ASSIGN(layer.gate, finder.matrix(name("ffn_gate"), inner, width));
  SEGUE_TRY_ASSIGN(layer.up, finder.matrix(name("ffn_up"), inner, width));
  SEGUE_TRY_ASSIGN(layer.down, finder.matrix(name("ffn_down"), width, inner));
  return layer;
}

}  // namespace

Result<ModelTensors> ModelTensors::find(const GgufFile& file,
                                        const Hyperparameters& hyperparameters) {
  Finder finder(file);
  const std::uint64_t width = hyperparameters.width;
  const std::uint64_t vocabulary = hyperparameters.vocabulary;
  ModelTensors out;
  SEGUE_TRY_ASSIGN(out.token_embedding, finder.matrix("token_embd.weight", vocabulary, width));
  SEGUE_TRY_ASSIGN(out.output_norm, finder.vector("output_norm.weight", width));
  out.output = out.token_embedding;
  if (!hyperparameters.tied_output) {
    SEGUE_TRY_ASSIGN(out.output, finder.matrix("output.weight", vocabulary, width));
  }
  constexpr std::string_view kRopeFactors = "rope_freqs.weight";
  if (file.find_tensor(kRopeFactors) != nullptr) {
    SEGUE_TRY_ASSIGN(out.rope_factors, finder.vector(kRopeFactors, hyperparameters.head_size / 2));
  }
  // The count is untrusted; the loop ends at the first layer that is not there.
  for (std::uint32_t i = 0; i < hyperparameters.layers; ++i) {
    SEGUE_TRY_ASSIGN(const LayerTensors layer, find_layer(finder, hyperparameters, i));
    out.layers.push_back(layer);
  }
  SEGUE_TRY(finder.check_rest());
  return out;
}

}  // namespace segue::llama
