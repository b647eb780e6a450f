// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <vector>

#include "metal_double/msl/tokens.hpp"

namespace metal_double::msl {

/// One name of a declaration such as `constant uint a = 1, b [[function_constant(0)]];`.
struct Declarator {
  std::size_t name = 0;
  TokenRange dimensions;
  TokenRange attributes;
  TokenRange initialiser;  // without =
};

/// `base declarator, declarator` without the semicolon.
struct Variables {
  TokenRange base;
  std::vector<Declarator> declarators;
};

/// Reads a declaration of variables that are neither pointers nor references.
Variables read_variables(const Tokens& tokens, TokenRange range);

/// A constant of the program scope.
struct ConstantDeclaration {
  std::string scope;  // "::" or "::name::"
  TokenRange whole;   // with the semicolon
  Variables variables;
};

/// A function with a body.
struct FunctionDeclaration {
  std::string scope;
  std::size_t name = 0;
  TokenRange whole;
  TokenRange parameters;  // without parentheses
  TokenRange body;        // with braces
  bool in_class = false;

  TokenRange header() const { return {.begin = whole.begin, .end = body.begin}; }
};

/// What a text declares at program scope, in namespaces and in classes.
struct Declarations {
  std::vector<ConstantDeclaration> constants;
  std::vector<FunctionDeclaration> functions;
};

Declarations read_declarations(const Tokens& tokens);

/// An attribute such as buffer(0), without brackets.
struct Attribute {
  std::string name;
  TokenRange argument;
};

/// The attributes in double brackets within `range`, outside of any other brackets.
std::vector<Attribute> read_attributes(const Tokens& tokens, TokenRange range);

/// Splits at commas outside of brackets. An empty range has no parts.
std::vector<TokenRange> split_at_commas(const Tokens& tokens, TokenRange range);

}  // namespace metal_double::msl
