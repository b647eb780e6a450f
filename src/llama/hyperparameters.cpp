// SPDX-License-Identifier: Apache-2.0
#include "llama/hyperparameters.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>

#include "base/fail.hpp"

namespace segue::llama {
namespace {

using base::fail;

/// No extent of a model comes near; products of two of them cannot overflow 64 bits.
constexpr std::uint64_t kLargestExtent = std::uint64_t{1} << 24;

std::string key_name(std::string_view name) { return fmt::format("llama.{}", name); }

std::unexpected<Error> out_of_range(const GgufFile& file, std::string_view key, double value,
                                    std::string_view allowed) {
  return fail(ErrorCode::kCorruptData, "Metadata key {} of file \"{}\" is {}, but must be {}.",
              quote(key), file.path(), value, allowed);
}

Result<std::uint32_t> check_extent(const GgufFile& file, std::string_view key,
                                   std::uint64_t value) {
  if (value == 0 || value > kLargestExtent) {
    return fail(ErrorCode::kCorruptData,
                "Metadata key {} of file \"{}\" is {}, but must be from 1 to {}.", quote(key),
                file.path(), value, kLargestExtent);
  }
  return static_cast<std::uint32_t>(value);
}

Result<std::uint32_t> extent(const GgufFile& file, std::string_view name) {
  const std::string key = key_name(name);
  SEGUE_TRY_ASSIGN(const std::uint64_t value, file.unsigned_value(key));
  return check_extent(file, key, value);
}

Result<std::uint32_t> extent_or(const GgufFile& file, std::string_view name,
                                std::uint64_t fallback) {
  const std::string key = key_name(name);
  SEGUE_TRY_ASSIGN(const std::uint64_t value, file.unsigned_or(key, fallback));
  return check_extent(file, key, value);
}

Result<> check_architecture(const GgufFile& file) {
  SEGUE_TRY_ASSIGN(const auto architecture, file.string_value("general.architecture"));
  if (architecture != "llama") {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" holds a model of architecture {}; Segue runs \"llama\".", file.path(),
                quote(architecture));
  }
  SEGUE_TRY_ASSIGN(const auto parts, file.unsigned_or("split.count", 1));
  if (parts > 1) {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" is one of {} parts of a model; Segue reads models of one file.",
                file.path(), parts);
  }
  SEGUE_TRY_ASSIGN(const auto experts, file.unsigned_or("llama.expert_count", 0));
  if (experts > 0) {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" holds a mixture of {} experts; Segue runs models without experts.",
                file.path(), experts);
  }
  return {};
}

/// Refuses rotary embeddings with scaled positions. The older spelling of linear scaling has a key
/// of its own.
Result<> check_rope_scaling(const GgufFile& file) {
  SEGUE_TRY_ASSIGN(const auto type, file.string_or("llama.rope.scaling.type", "none"));
  if (type != "none") {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" scales its rotary embedding by method {}; Segue runs models without "
                "scaling.",
                file.path(), quote(type));
  }
  SEGUE_TRY_ASSIGN(const auto factor, file.float_or("llama.rope.scale_linear", 1.0));
  if (factor != 1.0) {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" scales its rotary embedding by {}; Segue runs models without scaling.",
                file.path(), factor);
  }
  return {};
}

/// Reads heads, kv_heads and head_size.
Result<> read_heads(const GgufFile& file, Hyperparameters& out) {
  SEGUE_TRY_ASSIGN(out.heads, extent(file, "attention.head_count"));
  SEGUE_TRY_ASSIGN(out.kv_heads, extent_or(file, "attention.head_count_kv", out.heads));
  if (out.heads % out.kv_heads != 0) {
    return fail(ErrorCode::kCorruptData,
                "File \"{}\" has {} attention heads, which is no multiple of its {} key/value "
                "heads.",
                file.path(), out.heads, out.kv_heads);
  }
  if (!file.has("llama.attention.key_length") && out.width % out.heads != 0) {
    return fail(ErrorCode::kCorruptData,
                "File \"{}\" has width {}, which is no multiple of its {} attention heads, and no "
                "key \"llama.attention.key_length\".",
                file.path(), out.width, out.heads);
  }
  SEGUE_TRY_ASSIGN(out.head_size, extent_or(file, "attention.key_length", out.width / out.heads));
  SEGUE_TRY_ASSIGN(const auto value_size, extent_or(file, "attention.value_length", out.head_size));
  SEGUE_TRY_ASSIGN(const auto rotated, extent_or(file, "rope.dimension_count", out.head_size));
  if (value_size != out.head_size) {
    return fail(
        ErrorCode::kUnsupported,
        "File \"{}\" has keys of {} and values of {} elements; Segue runs models where both "
        "are equal.",
        file.path(), out.head_size, value_size);
  }
  if (out.head_size % 2 != 0) {
    return fail(ErrorCode::kCorruptData,
                "File \"{}\" has heads of {} elements, but rotary embedding needs an even number.",
                file.path(), out.head_size);
  }
  if (rotated != out.head_size) {
    return fail(
        ErrorCode::kUnsupported,
        "File \"{}\" rotates {} of the {} elements of a head; Segue runs models that rotate "
        "all.",
        file.path(), rotated, out.head_size);
  }
  const auto query_width = std::uint64_t{out.heads} * out.head_size;
  if (query_width > kLargestExtent) {
    return fail(ErrorCode::kCorruptData,
                "File \"{}\" has {} heads of {} elements, more than {} in all.", file.path(),
                out.heads, out.head_size, kLargestExtent);
  }
  return {};
}

/// Takes the vocabulary's size from the embedding, which everything else must agree with.
Result<std::uint32_t> read_vocabulary(const GgufFile& file) {
  SEGUE_TRY_ASSIGN(const GgufTensor* embedding, file.tensor("token_embd.weight"));
  const std::uint64_t rows = embedding->rows();
  if (rows > kLargestExtent) {
    return fail(ErrorCode::kCorruptData, "Tensor \"token_embd.weight\" has {} rows, more than {}.",
                rows, kLargestExtent);
  }
  SEGUE_TRY_ASSIGN(const auto declared, file.unsigned_or("llama.vocab_size", rows));
  if (declared != rows) {
    return fail(ErrorCode::kCorruptData,
                "Metadata key \"llama.vocab_size\" of file \"{}\" is {}, but tensor "
                "\"token_embd.weight\" has {} rows.",
                file.path(), declared, rows);
  }
  const GgufValue* const tokens = file.find("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->count != rows) {
    return fail(
        ErrorCode::kCorruptData,
        "File \"{}\" has a vocabulary of {} tokens, but tensor \"token_embd.weight\" has {} "
        "rows.",
        file.path(), tokens->count, rows);
  }
  return static_cast<std::uint32_t>(rows);
}

}  // namespace

Result<Hyperparameters> Hyperparameters::read(const GgufFile& file) {
  SEGUE_TRY(check_architecture(file));
  SEGUE_TRY(check_rope_scaling(file));
  Hyperparameters out;
  SEGUE_TRY_ASSIGN(out.layers, extent(file, "block_count"));
  SEGUE_TRY_ASSIGN(out.width, extent(file, "embedding_length"));
  SEGUE_TRY_ASSIGN(out.feed_forward, extent(file, "feed_forward_length"));
  SEGUE_TRY_ASSIGN(out.context, extent(file, "context_length"));
  SEGUE_TRY(read_heads(file, out));
  SEGUE_TRY_ASSIGN(out.vocabulary, read_vocabulary(file));

  constexpr std::string_view kBase = "llama.rope.freq_base";
  SEGUE_TRY_ASSIGN(const double base, file.float_or(kBase, 10000.0));
  out.rope_base = static_cast<float>(base);
  if (!std::isfinite(out.rope_base) || out.rope_base < 1.0F) {
    return out_of_range(file, kBase, base, "a finite number of at least 1");
  }
  constexpr std::string_view kEpsilon = "llama.attention.layer_norm_rms_epsilon";
  SEGUE_TRY_ASSIGN(const double epsilon, file.float_value(kEpsilon));
  out.rms_epsilon = static_cast<float>(epsilon);
  if (!(out.rms_epsilon >= 0.0F && out.rms_epsilon < 1.0F)) {
    return out_of_range(file, kEpsilon, epsilon, "at least 0 and below 1");
  }
  out.tied_output = file.find_tensor("output.weight") == nullptr;
  return out;
}

}  // namespace segue::llama
