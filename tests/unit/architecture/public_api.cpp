// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/public_api.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace segue::architecture {
namespace {

/// One word, number, literal or sign; or a comment with `///`, which tells who a declaration is
/// for.
struct Token {
  std::string_view text;

  [[nodiscard]] bool is(std::string_view other) const { return text == other; }
  [[nodiscard]] bool is_comment() const { return text.starts_with("//"); }
  [[nodiscard]] bool is_word() const {
    return std::isalpha(static_cast<unsigned char>(text[0])) != 0 || text[0] == '_';
  }
};

bool is_word_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Where the literal that begins at `text[0]` with a quote ends.
std::size_t literal_length(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && text[end] != text[0]) end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

/// Of a preprocessor directive, with the lines that it goes on in.
std::size_t directive_length(std::string_view text) {
  std::size_t end = text.find('\n');
  while (end != std::string_view::npos && text[end - 1] == '\\') end = text.find('\n', end + 1);
  return std::min(end, text.size());
}

std::vector<Token> tokenise(std::string_view text) {
  std::vector<Token> tokens;
  while (!text.empty()) {
    std::size_t length = 1;
    bool kept = true;
    if (std::isspace(static_cast<unsigned char>(text[0])) != 0) {
      kept = false;
    } else if (text[0] == '#') {
      length = directive_length(text);
      kept = false;
    } else if (text.starts_with("//")) {
      length = std::min(text.find('\n'), text.size());
      kept = text.starts_with("///") && !text.starts_with("///<");
    } else if (text.starts_with("/*")) {
      length = std::min(text.find("*/", 2), text.size() - 2) + 2;
      kept = false;
    } else if (text[0] == '"' || text[0] == '\'') {
      length = literal_length(text);
    } else if (is_word_part(text[0])) {
      const bool number = std::isdigit(static_cast<unsigned char>(text[0])) != 0;
      while (length < text.size() &&
             (is_word_part(text[length]) || (number && text[length] == '\''))) {
        ++length;
      }
    } else if (text.starts_with("::") || text.starts_with("[[") || text.starts_with("]]")) {
      length = 2;
    }
    if (kept) tokens.push_back({text.substr(0, length)});
    text.remove_prefix(length);
  }
  return tokens;
}

using Tokens = std::span<const Token>;

/// How many tokens at the front are one pair of brackets with what is between.
std::size_t bracket_length(Tokens tokens, std::string_view open, std::string_view close) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].is(open)) ++depth;
    if (tokens[i].is(close) && --depth == 0) return i + 1;
  }
  return tokens.size();
}

/// Drops what may stand before a declaration and says nothing of its name.
Tokens without_prefixes(Tokens head) {
  for (;;) {
    std::size_t length = 0;
    if (head.empty()) return head;
    if (head[0].is("template")) {
      length = 1 + bracket_length(head.subspan(1), "<", ">");
    } else if (head[0].is("requires")) {
      length = 1 + bracket_length(head.subspan(1), "(", ")");
    } else if (head[0].is("[[")) {
      length = bracket_length(head, "[[", "]]");
    } else {
      return head;
    }
    head = head.subspan(length);
  }
}

/// The name of the function that `head` declares, empty for one that is not called by name; nothing
/// if it declares something else.
std::optional<std::string_view> function_name(Tokens head) {
  bool nameless = false;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const Token& token = head[i];
    if (token.is("operator") || token.is("friend") || token.is("~")) nameless = true;
    if (token.is("using") || token.is("static_assert") || (token.is("=") && !nameless))
      return std::nullopt;
    if (token.is("<") && !nameless) {
      i += bracket_length(head.subspan(i), "<", ">") - 1;
    } else if (token.is("(") && i > 0) {
      return nameless || !head[i - 1].is_word() ? std::string_view() : head[i - 1].text;
    }
  }
  return std::nullopt;
}

class Reader {
 public:
  explicit Reader(Tokens tokens) : rest_(tokens) {}

  std::set<std::string> read() {
    read_scope("", "", true);
    return std::move(found_);
  }

 private:
  /// Reads declarations up to the end of the scope that has been entered. `type` is the class's
  /// name, empty in a namespace; `open` says whether what stands first is public.
  void read_scope(const std::string& prefix, std::string_view type, bool open) {
    while (!rest_.empty()) {
      if (rest_[0].is("}")) return skip(1);
      if (is_access_label()) {
        for_library_ = Audience{};
        open = rest_[0].is("public");
        skip(2);
      } else if (rest_[0].is_comment()) {
        note(rest_[0].text);
        skip(1);
      } else {
        read_declaration(prefix, type, open);
        for_library_.next = false;
      }
    }
  }

  void read_declaration(const std::string& prefix, std::string_view type, bool open) {
    std::size_t length = 0;  // of the head: what stands before a body or the end
    while (length < rest_.size() && !rest_[length].is(";") && !rest_[length].is("{")) {
      if (rest_[length].is("}")) return skip(length);  // not a declaration that we know
      const bool list = rest_[length].is("(");
      length += list ? bracket_length(rest_.subspan(length), "(", ")") : 1;
    }
    std::vector<Token> words;
    for (const Token& token : rest_.first(length))
      if (!token.is_comment()) words.push_back(token);
    const Tokens head = without_prefixes(words);
    const bool has_body = length < rest_.size() && rest_[length].is("{");
    skip(length);
    if (has_body && !head.empty() && head[0].is("namespace")) {
      skip(1);
      return read_namespace(prefix, head.subspan(1));
    }
    const bool is_class = !head.empty() && (head[0].is("class") || head[0].is("struct"));
    if (has_body && is_class) {
      skip(1);
      const std::string class_name(type_name(head));
      const Audience outer = std::exchange(for_library_, Audience{});
      const bool hidden = !open || outer.next || outer.group;
      if (hidden)
        skip_block();
      else
        read_scope(prefix + class_name + "::", class_name, head[0].is("struct"));
      for_library_ = outer;
      return skip_to_semicolon();
    }
    const std::optional<std::string_view> name = function_name(head);
    if (!name) return skip_to_semicolon();
    if (open && !name->empty() && *name != type && !for_library_.next && !for_library_.group)
      found_.insert(prefix + std::string(*name));
    skip_rest(has_body);
  }

  void read_namespace(std::string prefix, Tokens names) {
    static constexpr std::array<std::string_view, 4> kRooms{"detail", "base", "ir", "runtime"};
    bool open = true;
    for (const Token& token : names) {
      if (!token.is_word() || token.is("segue")) continue;
      open &= std::ranges::find(kRooms, token.text) == kRooms.end();
      prefix += std::string(token.text) + "::";
    }
    if (open && !names.empty()) return read_scope(prefix, "", true);
    skip_block();
  }

  /// The class's name: the last word before bases and template arguments.
  static std::string_view type_name(Tokens head) {
    std::string_view name;
    for (std::size_t i = 1; i < head.size() && !head[i].is(":") && !head[i].is("<"); ++i) {
      if (head[i].is("alignas"))
        i += bracket_length(head.subspan(i + 1), "(", ")");
      else if (head[i].is_word() && !head[i].is("final"))
        name = head[i].text;
    }
    return name;
  }

  [[nodiscard]] bool is_access_label() const {
    return rest_.size() > 1 && rest_[1].is(":") &&
           (rest_[0].is("public") || rest_[0].is("private") || rest_[0].is("protected"));
  }

  void note(std::string_view comment) {
    constexpr std::string_view kMark = "For the library itself";
    const bool marked = comment.find(kMark) != std::string_view::npos;
    if (comment.find("@name") != std::string_view::npos) {
      for_library_.group = marked;
    } else if (comment.find("@}") != std::string_view::npos) {
      for_library_.group = false;
    } else if (marked) {
      for_library_.next = true;
    }
  }

  void skip(std::size_t count) { rest_ = rest_.subspan(std::min(count, rest_.size())); }
  /// The rest of a block that has been entered.
  void skip_block() {
    std::size_t depth = 1;
    while (!rest_.empty() && depth != 0) {
      if (rest_[0].is("{")) ++depth;
      if (rest_[0].is("}")) --depth;
      skip(1);
    }
  }
  void skip_to_semicolon() {
    while (!rest_.empty() && !rest_[0].is(";")) {
      if (rest_[0].is("}")) return;
      const bool block = rest_[0].is("{");
      skip(1);
      if (block) skip_block();
    }
    skip(1);
  }
  /// A function's body, which braces of its constructor's initialisers may precede, or its ';'.
  void skip_rest(bool has_body) {
    if (!has_body) return skip_to_semicolon();
    do {
      while (!rest_.empty() && !rest_[0].is("{")) skip(1);
      skip(1);
      skip_block();
    } while (!rest_.empty() && (rest_[0].is(",") || rest_[0].is("{")));
  }

  /// What comments say of the declarations that follow.
  struct Audience {
    bool next = false;
    bool group = false;
  };
  Tokens rest_;
  Audience for_library_;
  std::set<std::string> found_;
};

}  // namespace

std::vector<std::string> public_methods(std::string_view text) {
  const std::vector<Token> tokens = tokenise(text);
  const std::set<std::string> found = Reader(tokens).read();
  return {found.begin(), found.end()};
}

std::vector<ApiMethod> public_api(const std::vector<SourceFile>& tree) {
  static constexpr std::string_view kFolder = "include/segue/";
  static constexpr std::array<std::string_view, 4> kBackendHeaders{"host.hpp", "vulkan.hpp",
                                                                   "cuda.hpp", "metal.hpp"};
  std::vector<ApiMethod> api;
  for (const SourceFile& file : tree) {
    if (!file.path.starts_with(kFolder)) continue;
    const std::string header = file.path.substr(kFolder.size());
    if (std::ranges::find(kBackendHeaders, header) != kBackendHeaders.end()) continue;
    std::string text;
    for (const std::string& line : file.lines) text += line + "\n";
    for (std::string& name : public_methods(text)) api.push_back({header, std::move(name)});
  }
  return api;
}

}  // namespace segue::architecture
