// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

// The little that a tokenizer needs to know about UTF-8 (RFC 3629).

namespace segue::llama {

inline constexpr std::size_t kLongestUtf8 = 4;

/// Bytes of the character that begins with `lead`; 1 for a byte that begins none.
[[nodiscard]] constexpr std::size_t utf8_length_by_lead(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte >= 0xC2 && byte <= 0xDF) return 2;
  if (byte >= 0xE0 && byte <= 0xEF) return 3;
  if (byte >= 0xF0 && byte <= 0xF4) return 4;
  return 1;
}

[[nodiscard]] constexpr bool is_utf8_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// Bytes of the first character of a text that is not empty; 1 where the bytes are no character.
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view text) {
  const std::size_t length = utf8_length_by_lead(text.front());
  if (length > text.size()) return 1;
  return std::ranges::all_of(text.substr(1, length - 1), is_utf8_continuation) ? length : 1;
}

/// Bytes at the end of `text` that begin a character without completing it: 0 to 3.
[[nodiscard]] constexpr std::size_t incomplete_utf8_suffix(std::string_view text) {
  for (std::size_t suffix = 1; suffix < kLongestUtf8 && suffix <= text.size(); ++suffix) {
    const char c = text[text.size() - suffix];
    if (!is_utf8_continuation(c)) return utf8_length_by_lead(c) > suffix ? suffix : 0;
  }
  return 0;
}

}  // namespace segue::llama
