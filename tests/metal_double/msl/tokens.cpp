// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/tokens.hpp"

#include <cctype>

namespace metal_double::msl {
namespace {

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::size_t end_of_literal(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  for (std::size_t at = begin + 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      return at + 1;
    }
  }
  return text.size();
}

/// A number as the preprocessor sees it: 1.5e-3f, 0x1p+4, 1.0h.
std::size_t end_of_number(std::string_view text, std::size_t begin) {
  std::size_t at = begin + 1;
  while (at < text.size()) {
    const char last = text[at - 1];
    const bool signed_exponent = (text[at] == '+' || text[at] == '-') &&
                                 (last == 'e' || last == 'E' || last == 'p' || last == 'P');
    const bool hexadecimal = text.substr(begin, 2) == "0x" || text.substr(begin, 2) == "0X";
    const bool exponent = signed_exponent && (!hexadecimal || last == 'p' || last == 'P');
    if (!is_word(text[at]) && text[at] != '.' && !exponent) break;
    ++at;
  }
  return at;
}

std::size_t end_of_word(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  while (at < text.size() && is_word(text[at])) ++at;
  return at;
}

char closing(char open) {
  switch (open) {
    case '(': return ')';
    case '[': return ']';
    case '{': return '}';
    default: return '>';
  }
}

}  // namespace

Tokens::Tokens(std::string_view text) {
  std::size_t at = 0;
  bool line_start = true;
  while (true) {
    const std::size_t space = at;
    while (at < text.size() && is_space(text[at])) line_start |= text[at++] == '\n';
    if (at == text.size()) return;
    const std::size_t begin = at;
    TokenKind kind = TokenKind::kSymbol;
    if (text[at] == '#' && line_start) {
      kind = TokenKind::kDirective;
      at = std::min(text.find('\n', at), text.size());
    } else if (text[at] == '"' || text[at] == '\'') {
      kind = TokenKind::kText;
      at = end_of_literal(text, at);
    } else if (is_digit(text[at]) ||
               (text[at] == '.' && at + 1 < text.size() && is_digit(text[at + 1]))) {
      kind = TokenKind::kNumber;
      at = end_of_number(text, at);
    } else if (is_word(text[at])) {
      kind = TokenKind::kIdentifier;
      at = end_of_word(text, at);
    } else {
      const std::string_view two = text.substr(at, 2);
      at += two == "::" || two == "->" ? 2 : 1;
    }
    line_start = false;
    const std::string_view found = text.substr(begin, at - begin);
    tokens_.push_back({.kind = kind,
                       .space = text.substr(space, begin - space),
                       .text = found,
                       .output = std::string(found)});
  }
}

std::size_t Tokens::skip_brackets(std::size_t open) const {
  const std::string_view opened = tokens_[open].text;
  const char close = closing(opened[0]);
  for (std::size_t at = open + 1; at < tokens_.size(); ++at) {
    const Token& token = tokens_[at];
    if (token.kind != TokenKind::kSymbol || token.text.size() != 1) continue;
    const char c = token.text[0];
    if (c == close) return at + 1;
    const bool opens = c == '(' || c == '[' || c == '{' || (c == '<' && opened == "<");
    if (opens) {
      at = skip_brackets(at) - 1;
    } else if (opened == "<" && c == ';') {
      break;  // it was a comparison
    }
  }
  return tokens_.size();
}

std::size_t Tokens::skip_attribute(std::size_t index) const {
  if (is(index, "__attribute__") && is(index + 1, "(")) return skip_brackets(index + 1);
  const bool begins = is(index, "[") && is(index + 1, "[") && tokens_[index + 1].space.empty();
  return begins ? skip_brackets(index) : index;
}

std::string Tokens::text(TokenRange range) const {
  std::string text;
  for (std::size_t at = range.begin; at < range.end; ++at) {
    if (tokens_[at].kind == TokenKind::kDirective) continue;
    if (!tokens_[at].space.empty() && !text.empty()) text += ' ';
    text += tokens_[at].text;
  }
  return text;
}

std::string Tokens::translated(TokenRange range) const {
  std::string text;
  for (std::size_t at = range.begin; at < range.end; ++at) {
    if (tokens_[at].kind == TokenKind::kDirective) continue;
    if (!tokens_[at].space.empty() && !text.empty()) text += ' ';
    text += tokens_[at].output;
  }
  return text;
}

std::string Tokens::output() const {
  std::string text;
  for (const Token& token : tokens_) {
    text += token.space;
    text += token.output;
  }
  return text;
}

void Tokens::erase(TokenRange range) {
  for (std::size_t at = range.begin; at < range.end; ++at) {
    if (tokens_[at].kind != TokenKind::kDirective) tokens_[at].output.clear();
  }
}

}  // namespace metal_double::msl
