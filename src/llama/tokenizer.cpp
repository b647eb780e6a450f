// SPDX-License-Identifier: Apache-2.0
#include "llama/tokenizer.hpp"

#include <algorithm>
#include <queue>

#include "base/fail.hpp"
#include "llama/utf8.hpp"

namespace segue::llama {
namespace {

using base::fail;

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, how pieces spell a space
constexpr std::size_t kLongestText = std::size_t{64} << 20;

/// A run of bytes that is one symbol so far, in a doubly linked list over the text.
struct Symbol {
  std::uint32_t start;
  std::uint32_t length;  // 0: joined to its left neighbour.
  std::uint32_t previous;
  std::uint32_t next;
};

/// Two neighbours that spell a piece. Outdated once either of them has changed its length.
struct Pair {
  float score;
  std::uint32_t left;
  std::uint32_t right;
  std::uint32_t length;
};

/// The order of the queue: the best pair is the greatest.
struct IsWorse {
  bool operator()(const Pair& a, const Pair& b) const {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  }
};

constexpr std::uint32_t kEnd = ~std::uint32_t{0};

std::vector<Symbol> split_characters(std::string_view text) {
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  for (std::uint32_t start = 0; start < text.size();) {
    const auto length = static_cast<std::uint32_t>(utf8_length(text.substr(start)));
    const auto index = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({start, length, index - 1, index + 1});  // The first's previous is kEnd.
    start += length;
  }
  if (!symbols.empty()) symbols.back().next = kEnd;
  return symbols;
}

}  // namespace

std::string_view Tokenizer::piece(TokenId token) const {
  if (!contains(token)) return {};
  const Piece& piece = pieces_[static_cast<std::size_t>(token)];
  return {storage_.data() + piece.offset, piece.spelling_bytes};
}

std::string_view Tokenizer::text(TokenId token) const {
  if (!contains(token)) return {};
  const Piece& piece = pieces_[static_cast<std::size_t>(token)];
  return {storage_.data() + piece.offset + piece.spelling_bytes, piece.text_bytes};
}

std::optional<TokenKind> Tokenizer::kind(TokenId token) const {
  if (!contains(token)) return std::nullopt;
  return pieces_[static_cast<std::size_t>(token)].kind;
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kLongestText) {
    return fail(ErrorCode::kInvalidArgument, "The text has {} bytes, but may have at most {}.",
                text.size(), kLongestText);
  }
  std::vector<TokenId> tokens;
  if (options.add_bos && add_bos_) tokens.push_back(bos_);
  if (!options.parse_special) {
    encode_plain(text, tokens);
    return tokens;
  }
  std::size_t from = 0;
  while (const auto match = find_special(text, from)) {
    if (match->offset > from) encode_plain(text.substr(from, match->offset - from), tokens);
    tokens.push_back(match->token);
    from = match->offset + piece(match->token).size();
  }
  if (from < text.size() || text.empty()) encode_plain(text.substr(from), tokens);
  return tokens;
}

std::optional<Tokenizer::SpecialMatch> Tokenizer::find_special(std::string_view text,
                                                               std::size_t from) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!starts_special_[static_cast<unsigned char>(text[at])]) continue;
    const std::string_view rest = text.substr(at);
    const auto match = std::ranges::find_if(
        special_, [&](TokenId token) { return rest.starts_with(piece(token)); });
    if (match != special_.end()) return SpecialMatch{at, *match};
  }
  return std::nullopt;
}

void Tokenizer::encode_plain(std::string_view text, std::vector<TokenId>& out) const {
  std::string spelled;
  spelled.reserve(text.size() + text.size() / 2 + kSpace.size());
  if (add_space_prefix_) spelled += kSpace;
  for (const char c : text) {
    if (c == ' ') {
      spelled += kSpace;
    } else {
      spelled += c;
    }
  }

  const std::string_view all = spelled;
  std::vector<Symbol> symbols = split_characters(all);
  std::priority_queue<Pair, std::vector<Pair>, IsWorse> queue;
  const auto consider = [&](std::uint32_t left, std::uint32_t right) {
    if (left == kEnd || right == kEnd) return;
    const std::uint32_t length = symbols[left].length + symbols[right].length;
    if (length > longest_spelling_bytes_) return;
    const auto found = spelled_.find(all.substr(symbols[left].start, length));
    if (found == spelled_.end()) return;
    queue.push({pieces_[static_cast<std::size_t>(found->second)].score, left, right, length});
  };
  for (std::uint32_t i = 1; i < symbols.size(); ++i) consider(i - 1, i);

  while (!queue.empty()) {
    const Pair best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) {
      continue;
    }
    left.length = best.length;
    left.next = right.next;
    right.length = 0;
    if (left.next != kEnd) symbols[left.next].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
  for (const Symbol& symbol : symbols) {
    if (symbol.length > 0) append_symbol(all.substr(symbol.start, symbol.length), out);
  }
}

void Tokenizer::append_symbol(std::string_view symbol, std::vector<TokenId>& out) const {
  if (const auto found = spelled_.find(symbol); found != spelled_.end()) {
    out.push_back(found->second);
    return;
  }
  const auto token_of = [this](char c) { return byte_tokens_[static_cast<unsigned char>(c)]; };
  if (std::ranges::any_of(symbol, [&](char c) { return token_of(c) == kNone; })) {
    out.push_back(unknown_);
    return;
  }
  for (const char c : symbol) out.push_back(token_of(c));
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
  StreamDecoder decoder(*this);
  std::string out;
  for (const TokenId token : tokens) out += decoder.push(token);
  out += decoder.finish();
  return out;
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {
  out_.reserve(tokenizer.longest_text_bytes() + kLongestUtf8);
  held_.reserve(kLongestUtf8);
}

std::string_view StreamDecoder::push(TokenId token) {
  std::string_view text = tokenizer_->text(token);
  if (at_start_ && !text.empty()) {
    at_start_ = false;
    const auto kind = tokenizer_->kind(token);
    const bool spelled = kind == TokenKind::kNormal || kind == TokenKind::kUserDefined;
    if (tokenizer_->adds_space_prefix() && spelled && text.front() == ' ') text.remove_prefix(1);
  }
  out_.assign(held_);
  out_ += text;
  const std::size_t complete = out_.size() - incomplete_utf8_suffix(out_);
  held_.assign(out_, complete);
  out_.resize(complete);
  return out_;
}

std::string_view StreamDecoder::finish() {
  out_.assign(held_);
  held_.clear();
  at_start_ = true;
  return out_;
}

}  // namespace segue::llama
