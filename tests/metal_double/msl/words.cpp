// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/words.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace metal_double::msl {
namespace {

constexpr std::array<std::string_view, 6> kNoWords = {
    "device", "thread", "threadgroup", "threadgroup_imageblock", "ray_data", "kernel"};

/// float4 and the like, but not the vectors of bool, which are classes.
bool is_vector_type(std::string_view word) {
  constexpr std::array<std::string_view, 10> kElements = {
      "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "float", "half"};
  if (word.size() < 4 || word.back() < '2' || word.back() > '4') return false;
  return std::ranges::find(kElements, word.substr(0, word.size() - 1)) != kElements.end();
}

/// One past a vector type at `at`, which vec<T, N> is as well, or `at`.
std::size_t skip_vector_type(const Tokens& tokens, std::size_t at) {
  if (at >= tokens.size() || !tokens[at].is_identifier()) return at;
  if (is_vector_type(tokens[at].text)) return at + 1;
  if (tokens[at].is("vec") && tokens.is(at + 1, "<")) return tokens.skip_brackets(at + 1);
  return at;
}

/// Whether the parenthesis behind a type declares a pointer or a reference to arrays or functions.
bool declares(const Tokens& tokens, std::size_t open) {
  if (tokens.is(open + 1, "&")) return true;
  if (!tokens.is(open + 1, "*")) return false;
  const std::size_t past = tokens.skip_brackets(open);
  return tokens.is(past, "[") || tokens.is(past, "(");
}

/// Whether a token can end an operand, so that a parenthesis behind it is a call or a condition.
bool ends_operand(const Token& token) {
  if (token.kind == TokenKind::kDirective) return false;
  if (token.is_identifier()) return !token.is("return") && !token.is("else");
  return token.kind != TokenKind::kSymbol || token.is(")") || token.is("]") || token.is(">");
}

bool begins_operand(const Token& token) {
  if (token.kind == TokenKind::kIdentifier || token.kind == TokenKind::kNumber) return true;
  return token.is("(") || token.is("-") || token.is("~") || token.is("::");
}

void translate_number(Token& token) {
  const std::string_view text = token.text;
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  const bool has_point = text.find('.') != std::string_view::npos;
  const bool has_exponent = text.find_first_of(hexadecimal ? "pP" : "eE") != std::string_view::npos;
  const char last = text.back();
  if (!hexadecimal && (last == 'h' || last == 'H')) {
    token.output = "half(" + std::string(text.substr(0, text.size() - 1)) +
                   (has_point || has_exponent ? "f)" : ".0f)");
    return;
  }
  if (!has_point && !has_exponent) return;
  if (last != 'f' && last != 'F') token.output += 'f';
}

void translate_word(Tokens& tokens, std::size_t at) {
  Token& token = tokens[at];
  if (std::ranges::find(kNoWords, token.text) != kNoWords.end()) {
    token.output.clear();
  } else if (token.is("constant")) {
    token.output = "const";
  } else if (token.is("restrict")) {
    token.output = "__restrict";
  }
}

/// float4(a, b) becomes ::metal::make<float4>(a, b).
void translate_construction(Tokens& tokens, std::size_t at) {
  const std::size_t past = skip_vector_type(tokens, at);
  if (past == at || !tokens.is(past, "(") || declares(tokens, past)) return;
  if (at > 0 && tokens[at - 1].is("operator")) return;
  const std::size_t qualified = at > 1 && tokens[at - 1].is("::") ? at - 2 : at;
  tokens.erase({.begin = qualified, .end = at});
  tokens[at].output = "::metal::make<" + tokens[at].output;
  tokens[past - 1].output += '>';
}

/// (float4)x becomes a conversion; in C++ it would take the bits as they are.
void translate_cast(Tokens& tokens, std::size_t at) {
  if (!tokens.is(at, "(") || at == 0 || ends_operand(tokens[at - 1])) return;
  const std::size_t past = skip_vector_type(tokens, at + 1);
  if (past == at + 1 || !tokens.is(past, ")") || past + 1 >= tokens.size()) return;
  if (!begins_operand(tokens[past + 1])) return;
  tokens[at].output = "::metal::Cast<";
  tokens[past].output = ">() ->* ";
}

}  // namespace

void translate_words(Tokens& tokens) {
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    const std::size_t past = tokens.skip_attribute(at);
    if (past != at && tokens.is(at, "[")) {
      tokens.erase({.begin = at, .end = past});
      at = past - 1;
      continue;
    }
    if (tokens[at].kind == TokenKind::kNumber) translate_number(tokens[at]);
    if (!tokens[at].is_identifier()) continue;
    translate_word(tokens, at);
    translate_construction(tokens, at);
  }
  for (std::size_t at = 0; at < tokens.size(); ++at) translate_cast(tokens, at);
}

}  // namespace metal_double::msl
