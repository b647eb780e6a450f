// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "metal_double/msl/declarations.hpp"

namespace metal_double::msl {

/// A constant that has another value in each launch: a function constant, or one computed from
/// some.
struct LaunchConstant {
  std::string scope;
  std::string name;
  std::string type;
  std::string index;  // text; empty for computed ones
  bool required = false;
  TokenRange uses;  // what its value is computed from

  bool is_function_constant() const { return !index.empty(); }
};

/// Makes variables of the calling thread from constants that launches set, each with a function
/// beside it that sets it. In the order of the text, which is the order to compute them in.
std::expected<std::vector<LaunchConstant>, std::string> translate_constants(
    Tokens& tokens, const std::vector<ConstantDeclaration>& declarations);

}  // namespace metal_double::msl
