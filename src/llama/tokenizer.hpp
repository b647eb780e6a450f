// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llama/gguf.hpp"
#include "segue/error.hpp"

namespace segue::llama {

/// Index of a piece in the vocabulary: a row of the token embedding. A plain integer, since kernels
/// and sampling compute with it.
using TokenId = std::int32_t;

/// What a piece stands for, by its number in GGUF.
enum class TokenKind : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,      ///< Text that no piece spells.
  kControl = 3,      ///< Has no text, such as <s>.
  kUserDefined = 4,  ///< Text that is always one token when special tokens are looked for.
  kUnused = 5,       ///< Never the result of encoding.
  kByte = 6,         ///< One byte of text, spelled <0xNN>.
};

struct EncodeOptions {
  /// Put the token that begins a text first, if the model asks for it
  /// (tokenizer.ggml.add_bos_token).
  bool add_bos = true;
  /// Take "<s>" and the like in the text for the tokens of that name. Leave it off for text that
  /// others wrote.
  bool parse_special = false;
};

/// Text to tokens and back, with the vocabulary of a GGUF file whose tokenizer.ggml.model is
/// "llama".
///
/// Encoding is byte-pair merging by score as in SentencePiece (Kudo and Richardson 2018,
/// arXiv:1808.06226): text is cut into characters, and as long as two neighbours spell a piece, the
/// pair with the highest score is joined, the leftmost of equals first. Characters that are no
/// piece become byte tokens. n characters take O(n log n) time.
///
/// Immutable; const calls may run on several threads. Keeps no reference to the file.
class Tokenizer {
 public:
  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(Tokenizer&&) = default;

  /// @error kUnsupported  Another kind of tokenizer, or a vocabulary without scores.
  /// @error kNotFound     A required key is missing.
  /// @error kCorruptData  Array lengths differ, an id is outside the vocabulary, a score is no
  /// number.
  static Result<Tokenizer> read(const GgufFile& file);

  /// The tokens of `text`. Bytes that are no UTF-8 become byte tokens. Where the vocabulary wants a
  /// space before the text (tokenizer.ggml.add_space_prefix) even "" gives the token of that space.
  ///
  /// @error kInvalidArgument  The text is longer than 64 MiB.
  [[nodiscard]] Result<std::vector<TokenId>> encode(std::string_view text,
                                                    EncodeOptions options = {}) const;

  /// The bytes that the tokens spell, without the space that encoding puts first. Ids outside the
  /// vocabulary spell nothing.
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens) const;

  /// The bytes that one token spells in the middle of a text: empty for control tokens.
  [[nodiscard]] std::string_view text(TokenId token) const;
  /// The piece as the file has it, with U+2581 for a space; empty outside the vocabulary.
  [[nodiscard]] std::string_view piece(TokenId token) const;
  [[nodiscard]] std::optional<TokenKind> kind(TokenId token) const;

  [[nodiscard]] std::size_t size() const { return pieces_.size(); }
  [[nodiscard]] TokenId bos() const { return bos_; }
  /// Whether a model that emits this token has come to its end: the end of the text, or of its
  /// turn.
  [[nodiscard]] bool is_end(TokenId token) const { return token == eos_ || token == eot_; }
  [[nodiscard]] bool adds_space_prefix() const { return add_space_prefix_; }
  /// Length of the longest text() in bytes.
  [[nodiscard]] std::size_t longest_text_bytes() const { return longest_text_bytes_; }

 private:
  struct Piece {
    std::size_t offset;  // Into storage_: the spelling, then the text.
    std::uint32_t spelling_bytes;
    std::uint32_t text_bytes;
    float score;
    TokenKind kind;
  };
  struct SpecialMatch {
    std::size_t offset;
    TokenId token;
  };
  static constexpr TokenId kNone = -1;

  Tokenizer() = default;
  [[nodiscard]] Result<> read_pieces(const GgufFile& file);
  [[nodiscard]] Result<> read_special_ids(const GgufFile& file);
  [[nodiscard]] Result<> index_pieces(const GgufFile& file);
  void add_piece(std::string_view spelling, float score, TokenKind kind);
  [[nodiscard]] bool contains(TokenId token) const {
    return token >= 0 && static_cast<std::size_t>(token) < pieces_.size();
  }

  [[nodiscard]] std::optional<SpecialMatch> find_special(std::string_view text,
                                                         std::size_t from) const;
  void encode_plain(std::string_view text, std::vector<TokenId>& out) const;
  void append_symbol(std::string_view symbol, std::vector<TokenId>& out) const;

  std::vector<char> storage_;
  std::vector<Piece> pieces_;
  std::unordered_map<std::string_view, TokenId> spelled_;  // What merging may produce.
  std::vector<TokenId> special_;                           // Longest spelling first.
  std::array<bool, 256> starts_special_ = {};
  std::array<TokenId, 256> byte_tokens_ = {};
  std::size_t longest_spelling_bytes_ = 0;
  std::size_t longest_text_bytes_ = 0;
  TokenId bos_ = kNone;
  TokenId eos_ = kNone;
  TokenId eot_ = kNone;
  TokenId unknown_ = kNone;
  bool add_bos_ = true;
  bool add_space_prefix_ = true;
};

/// Turns tokens into text one by one, and holds back the beginning of a UTF-8 character until it is
/// complete. All that push() and finish() return, joined, is what Tokenizer::decode gives. Does not
/// allocate after construction. Refers to the tokenizer, which must live longer.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer);

  /// The text that is complete with this token; valid until the next call.
  [[nodiscard]] std::string_view push(TokenId token);
  /// What is held back, which no character completes; valid until the next call. The decoder starts
  /// anew.
  [[nodiscard]] std::string_view finish();

 private:
  const Tokenizer* tokenizer_;
  std::string out_;
  std::string held_;
  bool at_start_ = true;
};

}  // namespace segue::llama
