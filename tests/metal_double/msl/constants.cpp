// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/constants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace metal_double::msl {
namespace {

constexpr std::array<std::string_view, 7> kTypes = {"bool",   "int",   "uint", "short",
                                                    "ushort", "float", "half"};

class ConstantTranslator {
 public:
  explicit ConstantTranslator(Tokens& tokens) : tokens_(tokens) {}

  std::expected<std::vector<LaunchConstant>, std::string> translate(
      const std::vector<ConstantDeclaration>& declarations) {
    for (const ConstantDeclaration& declaration : declarations) translate_one(declaration);
    const std::set<std::string, std::less<>> with_default = constants_with_default();
    for (LaunchConstant& constant : constants_) {
      constant.required = constant.is_function_constant() && !with_default.contains(constant.name);
    }
    if (!error_.empty()) return std::unexpected(error_);
    return std::move(constants_);
  }

 private:
  void translate_one(const ConstantDeclaration& declaration) {
    const Variables& variables = declaration.variables;
    std::string text;
    for (const Declarator& declarator : variables.declarators) {
      text += translate_declarator(declaration, declarator);
    }
    const bool changed =
        std::ranges::any_of(variables.declarators, [&](const Declarator& declarator) {
          return names_.contains(tokens_[declarator.name].text);
        });
    if (!changed) return;
    tokens_.erase(declaration.whole);
    tokens_[declaration.whole.begin].output = text;
  }

  std::string translate_declarator(const ConstantDeclaration& declaration,
                                   const Declarator& declarator) {
    LaunchConstant constant{.scope = declaration.scope,
                            .name = std::string(tokens_[declarator.name].text),
                            .type = type_of(declaration.variables.base),
                            .index = index_of(declarator),
                            .required = false,
                            .uses = declarator.initialiser};
    const std::string dimensions = tokens_.translated(declarator.dimensions);
    const bool changes = constant.is_function_constant() || mentions_changing(declarator);
    const std::string value = tokens_.translated(declarator.initialiser);
    if (!changes) {
      return fmt::format("static const {} {}{} = {};", constant.type, constant.name, dimensions,
                         value);
    }
    names_.insert(constant.name);
    std::string text;
    if (constant.is_function_constant()) {
      if (std::ranges::find(kTypes, constant.type) == kTypes.end()) {
        error_ = fmt::format(
            "Function constant \"{}\" has the type {}, but only bool, int, uint, short, ushort, "
            "float and half can be set.",
            constant.name, constant.type);
      }
      text = fmt::format(
          "static thread_local bool segue_msl_defined_{0}; static thread_local {1} {0}; "
          "static void segue_msl_set_{0}(const void* value) {{ "
          "segue_msl_defined_{0} = value != nullptr; {0} = {1}(); "
          "if (value != nullptr) __builtin_memcpy(&{0}, value, sizeof {0}); }}",
          constant.name, constant.type);
    } else {
      text = fmt::format(
          "static thread_local {1} {0}{2}; static void segue_msl_set_{0}() {{ "
          "{1} segue_msl_value{2} = {3}; "
          "__builtin_memcpy(&{0}, &segue_msl_value, sizeof {0}); }}",
          constant.name, constant.type, dimensions, value);
    }
    constants_.push_back(std::move(constant));
    return text;
  }

  std::string type_of(TokenRange base) const {
    std::string type;
    for (std::size_t at = base.begin; at < base.end; ++at) {
      const Token& token = tokens_[at];
      const bool storage = token.is("constant") || token.is("static") || token.is("const") ||
                           token.is("constexpr") || token.is("inline") || token.is("volatile");
      if (storage || token.kind == TokenKind::kDirective || token.output.empty()) continue;
      if (!type.empty() && token.is_identifier() && tokens_[at - 1].is_identifier()) type += ' ';
      type += token.output;
    }
    return type;
  }

  std::string index_of(const Declarator& declarator) const {
    for (const Attribute& attribute : read_attributes(tokens_, declarator.attributes)) {
      if (attribute.name == "function_constant") return tokens_.text(attribute.argument);
    }
    return {};
  }

  bool mentions_changing(const Declarator& declarator) const {
    for (std::size_t at = declarator.initialiser.begin; at < declarator.initialiser.end; ++at) {
      if (names_.contains(tokens_[at].text)) return true;
    }
    return false;
  }

  /// What is_function_constant_defined(x) asks for.
  std::set<std::string, std::less<>> constants_with_default() const {
    std::set<std::string, std::less<>> asked;
    for (std::size_t at = 0; at < tokens_.size(); ++at) {
      if (!tokens_[at].is("is_function_constant_defined") || !tokens_.is(at + 1, "(")) continue;
      const std::size_t past = tokens_.skip_brackets(at + 1);
      asked.emplace(tokens_[past - 2].text);
    }
    return asked;
  }

  Tokens& tokens_;
  std::set<std::string, std::less<>> names_;
  std::vector<LaunchConstant> constants_;
  std::string error_;
};

/// is_function_constant_defined(x) becomes segue_msl_defined_x.
void translate_defined(Tokens& tokens) {
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    if (!tokens[at].is("is_function_constant_defined") || !tokens.is(at + 1, "(")) continue;
    const std::size_t past = tokens.skip_brackets(at + 1);
    tokens.erase({.begin = at, .end = past});
    tokens[at].output = "segue_msl_defined_" + std::string(tokens[past - 2].text);
  }
}

}  // namespace

std::expected<std::vector<LaunchConstant>, std::string> translate_constants(
    Tokens& tokens, const std::vector<ConstantDeclaration>& declarations) {
  translate_defined(tokens);
  return ConstantTranslator(tokens).translate(declarations);
}

}  // namespace metal_double::msl
