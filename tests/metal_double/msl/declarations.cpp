// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/declarations.hpp"

#include <algorithm>
#include <utility>

namespace metal_double::msl {
namespace {

bool names_class(const Token& token) {
  return token.is("struct") || token.is("class") || token.is("union") || token.is("enum");
}

/// One past whatever begins at `at` and has brackets, or past the token. A `<` counts as a bracket
/// where it can begin template arguments.
std::size_t step(const Tokens& tokens, std::size_t at, bool angles = true) {
  if (const std::size_t past = tokens.skip_attribute(at); past != at) return past;
  if (tokens.is(at, "(") || tokens.is(at, "[") || tokens.is(at, "{")) {
    return tokens.skip_brackets(at);
  }
  const bool template_arguments =
      angles && tokens.is(at, "<") && at > 0 && tokens[at - 1].is_identifier();
  return template_arguments ? tokens.skip_brackets(at) : at + 1;
}

class Reader {
 public:
  explicit Reader(const Tokens& tokens) : tokens_(tokens) {}

  void read_scope(TokenRange range, const std::string& scope, bool in_class) {
    std::size_t at = range.begin;
    while (at < range.end) at = read_one(at, range.end, scope, in_class);
  }

  Declarations take() { return std::move(found_); }

 private:
  std::size_t read_one(std::size_t at, std::size_t end, const std::string& scope, bool in_class) {
    const Token& first = tokens_[at];
    if (first.kind == TokenKind::kDirective || first.is(";")) return at + 1;
    if (first.is("namespace") || (first.is("extern") && tokens_.is(at + 2, "{"))) {
      return read_namespace(at, end, scope);
    }
    if (tokens_.is(at + 1, ":") &&
        (first.is("public") || first.is("private") || first.is("protected"))) {
      return at + 2;
    }
    const bool plain = first.is("using") || first.is("typedef") || first.is("static_assert");
    return plain ? past_semicolon(at, end) : read_declaration(at, end, scope, in_class);
  }

  std::size_t past_semicolon(std::size_t at, std::size_t end) const {
    while (at < end && !tokens_.is(at, ";")) at = step(tokens_, at);
    return std::min(at + 1, end);
  }

  std::size_t read_namespace(std::size_t at, std::size_t end, const std::string& scope) {
    std::string inner = scope;
    const bool is_namespace = tokens_[at].is("namespace");
    std::size_t open = at + 1;
    for (; open < end && !tokens_.is(open, "{"); ++open) {
      if (tokens_.is(open, ";") || tokens_.is(open, "=")) return past_semicolon(open, end);
      if (is_namespace && tokens_[open].is_identifier()) inner += tokens_[open].text;
      if (is_namespace && tokens_[open].is_identifier()) inner += "::";
    }
    if (open >= end) return end;
    const std::size_t past = tokens_.skip_brackets(open);
    read_scope({.begin = open + 1, .end = past - 1}, inner, false);
    return past;
  }

  std::size_t read_declaration(std::size_t begin, std::size_t end, const std::string& scope,
                               bool in_class) {
    std::size_t parameters = 0;  // where they open
    bool is_class = false;
    bool is_constant = false;
    bool has_value = false;
    std::size_t at = begin;
    while (at < end) {
      const Token& token = tokens_[at];
      if (token.is(";")) break;
      if (token.is("{") && parameters != 0 && !has_value) {
        return read_function(begin, parameters, at, scope, in_class);
      }
      if (token.is("{") && is_class && !has_value) {
        const std::size_t past = tokens_.skip_brackets(at);
        read_scope({.begin = at + 1, .end = past - 1}, class_scope(scope, at), true);
        at = past;
        continue;
      }
      if (token.is("operator")) {
        at = past_operator(at);
        continue;
      }
      is_class |= names_class(token) && parameters == 0;
      is_constant |= token.is("constant") && parameters == 0 && !has_value;
      has_value |= token.is("=");
      if (token.is("(") && parameters == 0 && !has_value) parameters = at;
      at = step(tokens_, at, !has_value);
    }
    if (is_constant && parameters == 0 && !is_class && !in_class) {
      found_.constants.push_back(
          {.scope = scope,
           .whole = {.begin = begin, .end = std::min(at + 1, end)},
           .variables = read_variables(tokens_, {.begin = begin, .end = at})});
    }
    return std::min(at + 1, end);
  }

  /// `operator`, its symbols, and the brackets of operator() or operator[], but not the parameters.
  std::size_t past_operator(std::size_t at) const {
    ++at;
    if (tokens_.is(at, "(") && tokens_.is(at + 1, ")")) return at + 2;
    while (at < tokens_.size() && !tokens_.is(at, "(")) ++at;
    return at;
  }

  std::string class_scope(const std::string& scope, std::size_t open) const {
    for (std::size_t at = open; at-- > 0;) {
      if (names_class(tokens_[at])) return scope + std::string(tokens_[at + 1].text) + "::";
    }
    return scope;
  }

  std::size_t read_function(std::size_t begin, std::size_t parameters, std::size_t body,
                            const std::string& scope, bool in_class) {
    const std::size_t past = tokens_.skip_brackets(body);
    found_.functions.push_back(
        {.scope = scope,
         .name = parameters - 1,
         .whole = {.begin = begin, .end = past},
         .parameters = {.begin = parameters + 1, .end = tokens_.skip_brackets(parameters) - 1},
         .body = {.begin = body, .end = past},
         .in_class = in_class});
    return past;
  }

  const Tokens& tokens_;
  Declarations found_;
};

/// The name of the declarator in `range`: the last identifier before an array, an attribute or a
/// value.
std::size_t name_in(const Tokens& tokens, TokenRange range) {
  std::size_t name = range.begin;
  for (std::size_t at = range.begin; at < range.end; at = step(tokens, at)) {
    if (tokens.is(at, "=") || tokens.is(at, "[") || tokens.is(at, "{")) break;
    if (tokens[at].is_identifier()) name = at;
  }
  return name;
}

Declarator read_declarator(const Tokens& tokens, std::size_t name, std::size_t end) {
  std::size_t at = name + 1;
  Declarator declarator{.name = name,
                        .dimensions = {.begin = at, .end = at},
                        .attributes = {.begin = at, .end = at},
                        .initialiser = {.begin = end, .end = end}};
  while (at < end) {
    if (tokens.is(at, "=") || tokens.is(at, "{")) {
      declarator.initialiser.begin = tokens.is(at, "=") ? at + 1 : at;
      break;
    }
    const std::size_t past = step(tokens, at);
    if (tokens.skip_attribute(at) != at) {
      if (declarator.attributes.empty()) declarator.attributes.begin = at;
      declarator.attributes.end = past;
    } else if (tokens.is(at, "[")) {
      if (declarator.dimensions.empty()) declarator.dimensions.begin = at;
      declarator.dimensions.end = past;
    }
    at = past;
  }
  return declarator;
}

}  // namespace

std::vector<TokenRange> split_at_commas(const Tokens& tokens, TokenRange range) {
  std::vector<TokenRange> parts;
  if (range.empty()) return parts;
  std::size_t begin = range.begin;
  bool has_value = false;
  for (std::size_t at = range.begin; at < range.end; at = step(tokens, at, !has_value)) {
    has_value |= tokens.is(at, "=");
    if (!tokens.is(at, ",")) continue;
    parts.push_back({.begin = begin, .end = at});
    begin = at + 1;
    has_value = false;
  }
  parts.push_back({.begin = begin, .end = range.end});
  return parts;
}

Variables read_variables(const Tokens& tokens, TokenRange range) {
  Variables variables;
  for (const TokenRange part : split_at_commas(tokens, range)) {
    const std::size_t name = name_in(tokens, part);
    if (variables.declarators.empty()) variables.base = {.begin = range.begin, .end = name};
    variables.declarators.push_back(read_declarator(tokens, name, part.end));
  }
  return variables;
}

Declarations read_declarations(const Tokens& tokens) {
  Reader reader(tokens);
  reader.read_scope({.begin = 0, .end = tokens.size()}, "::", false);
  return reader.take();
}

std::vector<Attribute> read_attributes(const Tokens& tokens, TokenRange range) {
  std::vector<Attribute> attributes;
  for (std::size_t at = range.begin; at < range.end; at = step(tokens, at)) {
    const std::size_t past = tokens.skip_attribute(at);
    if (past == at || tokens.is(at, "__attribute__")) continue;
    for (const TokenRange part : split_at_commas(tokens, {.begin = at + 2, .end = past - 2})) {
      Attribute attribute;
      std::size_t open = part.begin;
      while (open < part.end && !tokens.is(open, "(")) attribute.name += tokens[open++].text;
      attribute.argument = {.begin = open, .end = open};
      if (open < part.end) attribute.argument = {.begin = open + 1, .end = part.end - 1};
      attributes.push_back(std::move(attribute));
    }
  }
  return attributes;
}

}  // namespace metal_double::msl
