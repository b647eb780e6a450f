// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace metal_double::msl {

enum class TokenKind : std::uint8_t {
  kIdentifier,
  kNumber,
  kText,       // a string or character literal
  kSymbol,     // one character, or "::" or "->"
  kDirective,  // a whole line that begins with #
};

/// A token of preprocessed text, and what stands for it in the text that the translation writes.
struct Token {
  TokenKind kind;
  std::string_view space;  // before the token
  std::string_view text;
  std::string output;  // defaults to `text`

  bool is(std::string_view wanted) const { return text == wanted; }
  bool is_identifier() const { return kind == TokenKind::kIdentifier; }
};

/// Tokens [begin, end).
struct TokenRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  bool empty() const { return begin == end; }
};

/// The tokens of a text without comments, which must outlive them. White space at the end is lost.
class Tokens {
 public:
  explicit Tokens(std::string_view text);

  std::size_t size() const { return tokens_.size(); }
  Token& operator[](std::size_t index) { return tokens_[index]; }
  const Token& operator[](std::size_t index) const { return tokens_[index]; }
  bool is(std::size_t index, std::string_view text) const {
    return index < tokens_.size() && tokens_[index].text == text;
  }

  /// One past the token that closes the bracket at `open`, one of ( [ { <; size() if none does.
  std::size_t skip_brackets(std::size_t open) const;

  /// One past an attribute in double brackets or __attribute__((...)) that begins at `index`, or
  /// `index` if none does.
  std::size_t skip_attribute(std::size_t index) const;

  /// A range in one line, to be written elsewhere.
  std::string text(TokenRange range) const;

  /// A range in one line, translated.
  std::string translated(TokenRange range) const;

  /// Leaves nothing of a range but its line breaks.
  void erase(TokenRange range);

  /// The whole text, translated.
  std::string output() const;

 private:
  std::vector<Token> tokens_;
};

}  // namespace metal_double::msl
