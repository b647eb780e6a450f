// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/fail.hpp"
#include "llama/tokenizer.hpp"

// How a Tokenizer is made from the metadata of a GGUF file, which is untrusted.

namespace segue::llama {
namespace {

using base::fail;

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581
constexpr std::string_view kUnknownText =
    " \xE2\x81\x87 ";  // U+2047 between spaces, as SentencePiece writes it
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kKinds = "tokenizer.ggml.token_type";
constexpr std::size_t kMostTokens = std::size_t{1} << 24;
constexpr std::size_t kLongestPiece = 65535;

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

/// The byte that a piece such as "<0x0A>" stands for.
std::optional<unsigned char> byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  const auto high = hex_digit(piece[3]);
  const auto low = hex_digit(piece[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<unsigned char>(*high * 16 + *low);
}

std::string text_of(std::string_view piece, TokenKind kind) {
  if (kind == TokenKind::kControl) return {};
  if (kind == TokenKind::kUnknown) return std::string(kUnknownText);
  if (kind == TokenKind::kByte) return {static_cast<char>(byte_of(piece).value_or(0))};
  std::string text;
  while (!piece.empty()) {
    const bool is_space = piece.starts_with(kSpace);
    text += is_space ? ' ' : piece.front();
    piece.remove_prefix(is_space ? kSpace.size() : 1);
  }
  return text;
}

Result<> check_length(const GgufFile& file, std::string_view key, std::size_t length,
                      std::size_t tokens) {
  if (length == tokens) return {};
  return fail(ErrorCode::kCorruptData,
              "The vocabulary of file \"{}\" has {} tokens, but {} has {} elements.", file.path(),
              tokens, quote(key), length);
}

/// The kinds of all tokens; without the key every piece is normal but the bytes, which their
/// spelling shows.
Result<std::vector<std::int64_t>> read_kinds(const GgufFile& file,
                                             std::span<const std::string_view> tokens) {
  if (file.has(kKinds)) {
    SEGUE_TRY_ASSIGN(auto kinds, file.integer_array(kKinds));
    SEGUE_TRY(check_length(file, kKinds, kinds.size(), tokens.size()));
    return kinds;
  }
  std::vector<std::int64_t> kinds;
  for (const std::string_view token : tokens) {
    kinds.push_back(
        static_cast<std::int64_t>(byte_of(token) ? TokenKind::kByte : TokenKind::kNormal));
  }
  return kinds;
}

Result<TokenKind> to_kind(const GgufFile& file, std::size_t index, std::string_view piece,
                          std::int64_t number) {
  if (number < 0 || number > 6) {
    return fail(ErrorCode::kCorruptData,
                "Token {} of the vocabulary of file \"{}\" has kind {}, but kinds are 0 to 6.",
                index, file.path(), number);
  }
  const auto kind = number == 0 ? TokenKind::kNormal : static_cast<TokenKind>(number);
  if (kind == TokenKind::kByte && !byte_of(piece)) {
    return fail(ErrorCode::kCorruptData,
                "Token {} of the vocabulary of file \"{}\" is a byte, but is spelled {} instead of "
                "\"<0x00>\" to \"<0xFF>\".",
                index, file.path(), quote(piece));
  }
  return kind;
}

/// The id under `key`, or nothing when the key is missing.
Result<std::optional<TokenId>> read_id(const GgufFile& file, std::string_view key,
                                       std::size_t vocabulary) {
  if (!file.has(key)) return std::nullopt;
  SEGUE_TRY_ASSIGN(const auto id, file.unsigned_value(key));
  if (id >= vocabulary) {
    return fail(ErrorCode::kCorruptData,
                "Metadata key {} of file \"{}\" is {}, but the vocabulary has only {} tokens.",
                quote(key), file.path(), id, vocabulary);
  }
  return static_cast<TokenId>(id);
}

}  // namespace

Result<Tokenizer> Tokenizer::read(const GgufFile& file) {
  SEGUE_TRY_ASSIGN(const auto model, file.string_value("tokenizer.ggml.model"));
  if (model != "llama") {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" has a tokenizer of kind {}; Segue reads \"llama\", which is "
                "SentencePiece with scores.",
                file.path(), quote(model));
  }
  Tokenizer tokenizer;
  SEGUE_TRY(tokenizer.read_pieces(file));
  SEGUE_TRY(tokenizer.read_special_ids(file));
  SEGUE_TRY(tokenizer.index_pieces(file));
  return tokenizer;
}

Result<> Tokenizer::read_pieces(const GgufFile& file) {
  SEGUE_TRY_ASSIGN(const auto tokens, file.string_array(kTokens));
  if (tokens.empty() || tokens.size() > kMostTokens) {
    return fail(ErrorCode::kCorruptData,
                "The vocabulary of file \"{}\" has {} tokens, but must have 1 to {}.", file.path(),
                tokens.size(), kMostTokens);
  }
  if (!file.has(kScores)) {
    return fail(ErrorCode::kUnsupported,
                "The vocabulary of file \"{}\" has no scores (metadata key {}), by which Segue's "
                "tokenizer joins pieces.",
                file.path(), quote(kScores));
  }
  SEGUE_TRY_ASSIGN(const auto scores, file.float_array(kScores));
  SEGUE_TRY(check_length(file, kScores, scores.size(), tokens.size()));
  SEGUE_TRY_ASSIGN(const auto kinds, read_kinds(file, tokens));
  pieces_.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].size() > kLongestPiece) {
      return fail(ErrorCode::kCorruptData,
                  "Token {} of the vocabulary of file \"{}\" has {} bytes, more than {}.", i,
                  file.path(), tokens[i].size(), kLongestPiece);
    }
    if (!std::isfinite(scores[i])) {
      return fail(ErrorCode::kCorruptData,
                  "Token {} of the vocabulary of file \"{}\" has score {}, which is not finite.", i,
                  file.path(), scores[i]);
    }
    SEGUE_TRY_ASSIGN(const TokenKind kind, to_kind(file, i, tokens[i], kinds[i]));
    add_piece(tokens[i], scores[i], kind);
  }
  return {};
}

void Tokenizer::add_piece(std::string_view spelling, float score, TokenKind kind) {
  const std::string text = text_of(spelling, kind);
  const std::size_t offset = storage_.size();
  storage_.insert(storage_.end(), spelling.begin(), spelling.end());
  storage_.insert(storage_.end(), text.begin(), text.end());
  pieces_.push_back({offset, static_cast<std::uint32_t>(spelling.size()),
                     static_cast<std::uint32_t>(text.size()), score, kind});
  longest_text_bytes_ = std::max(longest_text_bytes_, text.size());
}

Result<> Tokenizer::read_special_ids(const GgufFile& file) {
  constexpr std::string_view kBos = "tokenizer.ggml.bos_token_id";
  const auto id_or_none = [&](std::string_view key) -> Result<TokenId> {
    SEGUE_TRY_ASSIGN(const auto id, read_id(file, key, pieces_.size()));
    return id.value_or(kNone);
  };
  SEGUE_TRY_ASSIGN(bos_, id_or_none(kBos));
  if (bos_ == kNone) {
    return fail(ErrorCode::kNotFound,
                "The vocabulary of file \"{}\" does not say which token begins a text (metadata "
                "key {}).",
                file.path(), quote(kBos));
  }
  SEGUE_TRY_ASSIGN(eos_, id_or_none("tokenizer.ggml.eos_token_id"));
  SEGUE_TRY_ASSIGN(eot_, id_or_none("tokenizer.ggml.eot_token_id"));
  SEGUE_TRY_ASSIGN(unknown_, id_or_none("tokenizer.ggml.unknown_token_id"));
  SEGUE_TRY_ASSIGN(add_bos_, file.bool_or("tokenizer.ggml.add_bos_token", true));
  SEGUE_TRY_ASSIGN(add_space_prefix_, file.bool_or("tokenizer.ggml.add_space_prefix", true));
  return {};
}

Result<> Tokenizer::index_pieces(const GgufFile& file) {
  byte_tokens_.fill(kNone);
  spelled_.reserve(pieces_.size());
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const std::string_view spelling = piece(token);
    const TokenKind kind = pieces_[i].kind;
    if (kind == TokenKind::kByte) byte_tokens_[*byte_of(spelling)] = token;
    if (spelling.empty()) continue;
    if (kind == TokenKind::kNormal || kind == TokenKind::kUserDefined) {
      // Of two tokens with one spelling the first is used.
      spelled_.emplace(spelling, token);
      longest_spelling_bytes_ = std::max(longest_spelling_bytes_, spelling.size());
    }
    if (kind == TokenKind::kControl || kind == TokenKind::kUserDefined) {
      special_.push_back(token);
      starts_special_[static_cast<unsigned char>(spelling.front())] = true;
    }
  }
  std::ranges::sort(special_, std::ranges::greater(),
                    [this](TokenId token) { return std::pair(piece(token).size(), -token); });
  if (unknown_ == kNone && std::ranges::find(byte_tokens_, kNone) != byte_tokens_.end()) {
    return fail(ErrorCode::kCorruptData,
                "The vocabulary of file \"{}\" lacks byte tokens and has no unknown token, so some "
                "texts cannot be encoded.",
                file.path());
  }
  return {};
}

}  // namespace segue::llama
