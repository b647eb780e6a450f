// SPDX-License-Identifier: Apache-2.0
#include "llama/synth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "base/fail.hpp"
#include "llama/gguf_writer.hpp"
#include "llama/random_weights.hpp"
#include "llama/tokenizer.hpp"

namespace segue::llama {
namespace {

using base::fail;

constexpr std::uint32_t kLargestExtent = 1U << 24;  // As Hyperparameters::read allows.
constexpr std::uint32_t kByteTokens = 256;
constexpr std::uint32_t kFirstWord = 3 + kByteTokens;  // After <unk>, <s>, </s> and the bytes.
constexpr std::size_t kChunkElements = std::size_t{1} << 20;

struct NamedShape {
  std::string_view name;
  Hyperparameters shape;
};

const std::array<NamedShape, 3>& named_shapes() {
  static const std::array<NamedShape, 3> shapes = {{
      {"llama-3.2-1b",
       {.layers = 16,
        .width = 2048,
        .heads = 32,
        .kv_heads = 8,
        .head_size = 64,
        .feed_forward = 8192,
        .context = 131072,
        .vocabulary = 128256,
        .rope_base = 500000.0F,
        .rms_epsilon = 1e-5F,
        .tied_output = true}},
      {"llama-3-8b",
       {.layers = 32,
        .width = 4096,
        .heads = 32,
        .kv_heads = 8,
        .head_size = 128,
        .feed_forward = 14336,
        .context = 8192,
        .vocabulary = 128256,
        .rope_base = 500000.0F,
        .rms_epsilon = 1e-5F,
        .tied_output = false}},
      {"qwen3-0.6b",
       {.layers = 28,
        .width = 1024,
        .heads = 16,
        .kv_heads = 8,
        .head_size = 128,
        .feed_forward = 3072,
        .context = 40960,
        .vocabulary = 151936,
        .rope_base = 1000000.0F,
        .rms_epsilon = 1e-6F,
        .tied_output = true}},
  }};
  return shapes;
}

struct Tensor {
  std::string name;
  std::uint64_t rows;  // 0: a vector of float32
  std::uint64_t columns;
};

std::vector<Tensor> list_tensors(const Hyperparameters& shape) {
  const std::uint64_t width = shape.width;
  const std::uint64_t query = shape.query_width();
  const std::uint64_t kv = shape.kv_width();
  const std::uint64_t inner = shape.feed_forward;
  std::vector<Tensor> tensors;
  tensors.push_back({"token_embd.weight", shape.vocabulary, width});
  tensors.push_back({"output_norm.weight", 0, width});
  if (!shape.tied_output) tensors.push_back({"output.weight", shape.vocabulary, width});
  for (std::uint32_t i = 0; i < shape.layers; ++i) {
    const auto add = [&](std::string_view part, std::uint64_t rows, std::uint64_t columns) {
      tensors.push_back({fmt::format("blk.{}.{}.weight", i, part), rows, columns});
    };
    add("attn_norm", 0, width);
    add("attn_q", query, width);
    add("attn_k", kv, width);
    add("attn_v", kv, width);
    add("attn_output", width, query);
    add("ffn_norm", 0, width);
    add("ffn_gate", inner, width);
    add("ffn_up", inner, width);
    add("ffn_down", width, inner);
  }
  return tensors;
}

TensorTypeInfo info_of(TensorType type) {
  return tensor_type_info(type).value_or(TensorTypeInfo{"unknown", 1, 4});
}

std::uint64_t tensor_bytes(const Tensor& tensor, TensorType type) {
  if (tensor.rows == 0) return tensor.columns * sizeof(float);
  const TensorTypeInfo info = info_of(type);
  return tensor.columns / info.block_elements * info.block_bytes * tensor.rows;
}

/// "a" to "z", "aa" to "zz" and so on: 1 is "a".
std::string letters(std::uint32_t number) {
  std::string out;
  for (; number > 0; number = (number - 1) / 26) {
    out.insert(out.begin(), static_cast<char>('a' + (number - 1) % 26));
  }
  return out;
}

/// The i-th piece that is a word: each spelling of letters alone and after a space. Every one can
/// be joined from shorter ones, which have higher scores.
std::string word_piece(std::uint32_t i) {
  constexpr std::string_view kSpace = "\xE2\x96\x81";
  std::string piece(i % 2 == 0 ? kSpace : "");
  piece += letters((i + 1) / 2);
  return piece;
}

std::vector<std::string> list_pieces(std::uint32_t vocabulary) {
  std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
  for (std::uint32_t byte = 0; byte < kByteTokens; ++byte) {
    pieces.push_back(fmt::format("<0x{:02X}>", byte));
  }
  for (std::uint32_t i = 0; i + kFirstWord < vocabulary; ++i) pieces.push_back(word_piece(i));
  return pieces;
}

TokenKind kind_of(std::uint32_t token) {
  if (token == 0) return TokenKind::kUnknown;
  if (token < 3) return TokenKind::kControl;
  return token < kFirstWord ? TokenKind::kByte : TokenKind::kNormal;
}

void set_vocabulary(GgufWriter& writer, std::uint32_t size) {
  const std::vector<std::string> pieces = list_pieces(size);
  std::vector<float> scores;
  std::vector<std::int32_t> kinds;
  for (std::uint32_t token = 0; token < size; ++token) {
    scores.push_back(token < kFirstWord ? 0.0F : -static_cast<float>(token - kFirstWord));
    kinds.push_back(static_cast<std::int32_t>(kind_of(token)));
  }
  writer.set_string("tokenizer.ggml.model", "llama");
  writer.set_string("tokenizer.ggml.pre", "default");
  writer.set_strings("tokenizer.ggml.tokens", pieces);
  writer.set_f32s("tokenizer.ggml.scores", scores);
  writer.set_i32s("tokenizer.ggml.token_type", kinds);
  writer.set_u32("tokenizer.ggml.unknown_token_id", 0);
  writer.set_u32("tokenizer.ggml.bos_token_id", 1);
  writer.set_u32("tokenizer.ggml.eos_token_id", 2);
  writer.set_bool("tokenizer.ggml.add_bos_token", true);
  writer.set_bool("tokenizer.ggml.add_eos_token", false);
  writer.set_bool("tokenizer.ggml.add_space_prefix", true);
}

/// general.file_type, llama.cpp's number for the type of most tensors.
std::uint32_t file_type(TensorType type) {
  switch (type) {
    case TensorType::kF32: return 0;
    case TensorType::kF16: return 1;
    case TensorType::kQ4_0: return 2;
    case TensorType::kQ8_0: return 7;
    case TensorType::kBf16: return 32;
  }
  return 0;
}

void set_metadata(GgufWriter& writer, const SynthOptions& options) {
  const Hyperparameters& shape = options.shape;
  writer.set_string("general.architecture", "llama");
  writer.set_string("general.name", options.name);
  writer.set_u32("general.file_type", file_type(options.type));
  writer.set_u32("general.quantization_version", 2);
  writer.set_u32("llama.block_count", shape.layers);
  writer.set_u32("llama.context_length", shape.context);
  writer.set_u32("llama.embedding_length", shape.width);
  writer.set_u32("llama.feed_forward_length", shape.feed_forward);
  writer.set_u32("llama.attention.head_count", shape.heads);
  writer.set_u32("llama.attention.head_count_kv", shape.kv_heads);
  writer.set_u32("llama.attention.key_length", shape.head_size);
  writer.set_u32("llama.attention.value_length", shape.head_size);
  writer.set_f32("llama.attention.layer_norm_rms_epsilon", shape.rms_epsilon);
  writer.set_u32("llama.rope.dimension_count", shape.head_size);
  writer.set_f32("llama.rope.freq_base", shape.rope_base);
  writer.set_u32("llama.vocab_size", shape.vocabulary);
  set_vocabulary(writer, shape.vocabulary);
}

Result<> check_disk(const std::string& path, std::uint64_t needed) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (error || space.available >= needed) return {};  // Opening the file reports a bad folder.
  return fail(ErrorCode::kIo,
              "File \"{}\" needs {:.2f} GiB, but only {:.2f} GiB are free in folder \"{}\".", path,
              static_cast<double>(needed) / kGiB, static_cast<double>(space.available) / kGiB,
              folder.string());
}

/// Writes one tensor in chunks; `done` counts bytes for the progress report.
class TensorWriter {
 public:
  TensorWriter(GgufWriter& writer, const Progress& progress, std::uint64_t total_bytes)
      : writer_(writer), progress_(progress), total_bytes_(total_bytes) {}

  Result<> write(const RandomWeights& weights, TensorType type, std::uint64_t elements) {
    const TensorTypeInfo info = info_of(type);
    for (std::uint64_t first = 0; first < elements; first += kChunkElements) {
      const std::uint64_t count = std::min<std::uint64_t>(kChunkElements, elements - first);
      buffer_.resize(count / info.block_elements * info.block_bytes);
      weights.fill(first, buffer_);
      SEGUE_TRY(writer_.write(buffer_));
      done_bytes_ += buffer_.size();
      if (progress_) progress_(done_bytes_, total_bytes_);
    }
    return {};
  }

 private:
  GgufWriter& writer_;
  const Progress& progress_;
  std::uint64_t total_bytes_;
  std::uint64_t done_bytes_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace

std::vector<std::string_view> synth_shape_names() {
  std::vector<std::string_view> names;
  for (const NamedShape& named : named_shapes()) names.push_back(named.name);
  return names;
}

Result<Hyperparameters> synth_shape(std::string_view name) {
  const auto& shapes = named_shapes();
  const auto* const found = std::ranges::find(shapes, name, &NamedShape::name);
  if (found == shapes.end()) {
    return fail(ErrorCode::kNotFound, "Shape {} is not known; the shapes are {}.", quote(name),
                fmt::join(synth_shape_names(), ", "));
  }
  return found->shape;
}

Result<> check_synth(const SynthOptions& options) {
  const Hyperparameters& shape = options.shape;
  const std::array<std::pair<std::string_view, std::uint64_t>, 8> extents = {{
      {"layers", shape.layers},
      {"width", shape.width},
      {"heads", shape.heads},
      {"kv_heads", shape.kv_heads},
      {"head_size", shape.head_size},
      {"feed_forward", shape.feed_forward},
      {"context", shape.context},
      {"heads * head_size", std::uint64_t{shape.heads} * shape.head_size},
  }};
  for (const auto& [name, value] : extents) {
    if (value == 0 || value > kLargestExtent) {
      return fail(ErrorCode::kInvalidArgument, "The model's {} is {}, but must be from 1 to {}.",
                  name, value, kLargestExtent);
    }
  }
  if (shape.vocabulary <= kFirstWord || shape.vocabulary > kLargestExtent) {
    return fail(ErrorCode::kInvalidArgument,
                "The model's vocabulary is {}, but must be from {} to {}.", shape.vocabulary,
                kFirstWord + 1, kLargestExtent);
  }
  if (shape.heads % shape.kv_heads != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "The model's heads are {}, but must be a multiple of its {} kv_heads.", shape.heads,
                shape.kv_heads);
  }
  if (shape.head_size % 2 != 0) {
    return fail(ErrorCode::kInvalidArgument, "The model's head_size is {}, but must be even.",
                shape.head_size);
  }
  if (!(shape.rope_base >= 1.0F) || !std::isfinite(shape.rope_base) ||
      !(shape.rms_epsilon >= 0.0F && shape.rms_epsilon < 1.0F)) {
    return fail(ErrorCode::kInvalidArgument,
                "The model's rope_base is {} and its rms_epsilon {}, but they must be at least 1 "
                "and from 0 to 1.",
                shape.rope_base, shape.rms_epsilon);
  }
  if (!is_supported(options.type)) {
    return fail(ErrorCode::kInvalidArgument,
                "The type of the matrices is {}, but must be F32, F16, BF16, Q8_0 or Q4_0.",
                to_string(options.type));
  }
  const TensorTypeInfo info = info_of(options.type);
  for (const Tensor& tensor : list_tensors(shape)) {
    if (tensor.rows != 0 && tensor.columns % info.block_elements != 0) {
      return fail(ErrorCode::kInvalidArgument,
                  "Tensor {} has rows of {} elements, but {} needs a multiple of {}.",
                  quote(tensor.name), tensor.columns, info.name, info.block_elements);
    }
  }
  return {};
}

std::uint64_t estimate_synth_bytes(const SynthOptions& options) {
  constexpr std::uint64_t kHeaderBytes = 4096;
  constexpr std::uint64_t kTensorInfoBytes = 128;   // With the padding of the data.
  constexpr std::uint64_t kTokenBytes = 8 + 4 + 4;  // Length of the piece, score, kind.
  std::uint64_t total = kHeaderBytes + options.name.size();
  for (const std::string& piece : list_pieces(options.shape.vocabulary)) {
    total += kTokenBytes + piece.size();
  }
  for (const Tensor& tensor : list_tensors(options.shape)) {
    total += kTensorInfoBytes + tensor_bytes(tensor, options.type);
  }
  return total;
}

Result<std::uint64_t> write_synthetic_model(const std::string& path, const SynthOptions& options,
                                            const Progress& progress) {
  SEGUE_TRY(check_synth(options));
  SEGUE_TRY(check_disk(path, estimate_synth_bytes(options)));
  SEGUE_TRY_ASSIGN(GgufWriter writer, GgufWriter::create(path));
  set_metadata(writer, options);
  const std::vector<Tensor> tensors = list_tensors(options.shape);
  std::uint64_t total_bytes = 0;
  for (const Tensor& tensor : tensors) {
    const std::array<std::uint64_t, 2> ne = {tensor.columns, tensor.rows};
    const bool is_vector = tensor.rows == 0;
    writer.add_tensor(tensor.name, is_vector ? TensorType::kF32 : options.type,
                      std::span(ne).first(is_vector ? 1 : 2));
    total_bytes += tensor_bytes(tensor, options.type);
  }
  SEGUE_TRY(writer.begin_data());
  TensorWriter data(writer, progress, total_bytes);
  std::uint64_t key = options.seed << 32;
  for (const Tensor& tensor : tensors) {
    ++key;
    if (tensor.rows == 0) {
      SEGUE_TRY(data.write(RandomWeights::norm(key), TensorType::kF32, tensor.columns));
      continue;
    }
    const float deviation = 1.0F / std::sqrt(static_cast<float>(tensor.columns));
    const auto weights = RandomWeights::matrix(options.type, deviation, key);
    SEGUE_TRY(data.write(weights, options.type, tensor.rows * tensor.columns));
  }
  SEGUE_TRY(writer.finish());
  return writer.size_bytes();
}

}  // namespace segue::llama
