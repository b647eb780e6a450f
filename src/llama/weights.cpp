// SPDX-License-Identifier: Apache-2.0
#include "llama/weights.hpp"

#include <cstddef>
#include <span>
#include <utility>

#include "base/fail.hpp"

namespace segue::llama {
namespace {

DType to_dtype(TensorType type) {
  switch (type) {
    case TensorType::kF32: return DType::kF32;
    case TensorType::kF16: return DType::kF16;
    case TensorType::kBf16: return DType::kBF16;
    case TensorType::kQ8_0: return DType::kQ8_0;
    case TensorType::kQ4_0: return DType::kQ4_0;
  }
  return DType::kF32;  // ModelTensors refuses every other type
}

/// Puts the file's tensors on the device one by one.
class Loader {
 public:
  static Result<Loader> create(const Device& device, const ops::Ops& ops, const GgufFile& file,
                               const WeightOptions& options) {
    SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder());
    Loader loader(device, ops, options, std::move(encoder));
    SEGUE_TRY(loader.import_file(file));
    for (const GgufTensor& tensor : file.tensors()) loader.total_bytes_ += tensor.bytes.size();
    return loader;
  }

  /// The tensor as the file has it.
  Result<Tensor> plain(const GgufTensor& source) {
    BufferView view;
    // Where the device would copy the view for each dispatch, one copy now is better.
    const bool bindable = source.offset_bytes % device_.limits().direct_view_alignment == 0;
    if (file_buffer_ && bindable) {
      SEGUE_TRY_ASSIGN(view, file_buffer_.view(source.offset_bytes, source.bytes.size()));
    } else {
      SEGUE_TRY_ASSIGN(const Buffer buffer, allocate(source.bytes.size(), source.name));
      SEGUE_TRY(device_.upload(buffer.view(), source.bytes));
      view = buffer.view();
    }
    return Tensor::create(std::move(view), to_dtype(source.type),
                          static_cast<std::uint32_t>(source.rows()),
                          static_cast<std::uint32_t>(source.columns()));
  }

  /// The matrix in the layout that the device's kernels like best.
  Result<WeightMatrix> matrix(const GgufTensor& source) {
    SEGUE_TRY_ASSIGN(Tensor tensor, plain(source));
    WeightMatrix result{std::move(tensor), WeightLayout::kRowMajor};
    const WeightLayout layout = ops_.preferred_layout(result.tensor.dtype);
    if (options_.repack && layout != WeightLayout::kRowMajor) {
      SEGUE_TRY_ASSIGN(result, repack(result, layout, source.name));
    }
    quantised_ |= block_elements(result.tensor.dtype) > 1;
    done_bytes_ += source.bytes.size();
    if (options_.progress) options_.progress(done_bytes_, total_bytes_);
    return result;
  }

  [[nodiscard]] std::uint64_t repacked_bytes() const { return repacked_bytes_; }
  [[nodiscard]] bool quantised() const { return quantised_; }

 private:
  Loader(const Device& device, const ops::Ops& ops, const WeightOptions& options,
         CommandEncoder encoder)
      : device_(device), ops_(ops), options_(options), encoder_(std::move(encoder)) {}

  /// Lets the device read the file where it is mapped, if it shares memory with the host. One that
  /// does not take this file gets copies.
  Result<> import_file(const GgufFile& file) {
    const Limits& limits = device_.limits();
    if (!device_.features().unified_memory) return {};
    const std::span<const std::byte> bytes =
        limits.host_import_alignment > 1 && file.map() != nullptr ? file.map()->pages()
                                                                  : file.bytes();
    const std::size_t misfit = bytes.size() % limits.host_import_alignment;
    if (misfit != 0 || bytes.size() > limits.max_buffer_bytes) return {};
    ImportOptions import;
    import.label = file.path();
    Result<Buffer> imported = device_.import_host_memory(bytes, import);
    if (imported) {
      file_buffer_ = *std::move(imported);
    } else if (imported.error().code != ErrorCode::kUnsupported) {
      return std::unexpected(std::move(imported).error());
    }
    return {};
  }

  Result<Buffer> allocate(std::uint64_t size_bytes, std::string_view label) const {
    BufferDesc desc;
    desc.size_bytes = size_bytes;
    desc.host_access = HostAccess::kNone;
    desc.uninitialised = true;
    desc.label = label;
    return device_.create_buffer(desc);
  }

  Result<WeightMatrix> repack(const WeightMatrix& source, WeightLayout layout,
                              std::string_view name) {
    const Tensor& from = source.tensor;
    const std::uint64_t bytes = weight_bytes(from.dtype, layout, from.rows, from.columns);
    SEGUE_TRY_ASSIGN(const Buffer buffer, allocate(bytes, name));
    WeightMatrix packed{{buffer.view(), from.dtype, from.rows, from.columns}, layout};
    SEGUE_TRY(encoder_.begin());
    ops_.repack(encoder_, source, packed);
    SEGUE_TRY(encoder_.commit_and_wait(name));
    repacked_bytes_ += bytes;
    return packed;
  }

  const Device& device_;
  const ops::Ops& ops_;
  const WeightOptions& options_;
  CommandEncoder encoder_;
  Buffer file_buffer_;
  std::size_t done_bytes_ = 0;
  std::size_t total_bytes_ = 0;
  std::uint64_t repacked_bytes_ = 0;
  bool quantised_ = false;
};

Result<LayerWeights> load_layer(Loader& loader, const LayerTensors& tensors) {
  LayerWeights layer;
  SEGUE_TRY_ASSIGN(layer.attention_norm, loader.plain(*tensors.attention_norm));
  SEGUE_TRY_ASSIGN(layer.query, loader.matrix(*tensors.query));
  SEGUE_TRY_ASSIGN(layer.key, loader.matrix(*tensors.key));
  SEGUE_TRY_ASSIGN(layer.value, loader.matrix(*tensors.value));
  SEGUE_TRY_ASSIGN(layer.attention_output, loader.matrix(*tensors.attention_output));
  SEGUE_TRY_ASSIGN(layer.feed_forward_norm, loader.plain(*tensors.feed_forward_norm));
  SEGUE_TRY_ASSIGN(layer.gate, loader.matrix(*tensors.gate));
  SEGUE_TRY_ASSIGN(layer.up, loader.matrix(*tensors.up));
  SEGUE_TRY_ASSIGN(layer.down, loader.matrix(*tensors.down));
  return layer;
}

std::uint64_t layer_bytes(const LayerTensors& t) {
  std::uint64_t bytes = 0;
  for (const GgufTensor* tensor : {t.attention_norm, t.query, t.key, t.value, t.attention_output,
                                   t.feed_forward_norm, t.gate, t.up, t.down}) {
    bytes += tensor->bytes.size();
  }
  return bytes;
}

}  // namespace

Result<Weights> Weights::load(const Device& device, const ops::Ops& ops, const GgufFile& file,
                              const ModelTensors& tensors, const WeightOptions& options) {
  SEGUE_TRY_ASSIGN(Loader loader, Loader::create(device, ops, file, options));
  Weights weights;
  SEGUE_TRY_ASSIGN(weights.token_embedding, loader.plain(*tensors.token_embedding));
  for (const LayerTensors& layer : tensors.layers) {
    SEGUE_TRY_ASSIGN(LayerWeights loaded, load_layer(loader, layer));
    weights.layers.push_back(std::move(loaded));
    weights.bytes_per_token += layer_bytes(layer);
  }
  SEGUE_TRY_ASSIGN(weights.output_norm, loader.plain(*tensors.output_norm));
  SEGUE_TRY_ASSIGN(weights.output, loader.matrix(*tensors.output));
  weights.bytes_per_token += tensors.output_norm->bytes.size() + tensors.output->bytes.size();
  weights.quantised = loader.quantised();
  weights.repacked_bytes = loader.repacked_bytes();
  return weights;
}

}  // namespace segue::llama
