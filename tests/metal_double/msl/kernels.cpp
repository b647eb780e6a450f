// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

namespace metal_double::msl {
namespace {

constexpr std::array<std::string_view, 24> kBuiltins = {"thread_position_in_grid",
                                                        "threadgroup_position_in_grid",
                                                        "thread_position_in_threadgroup",
                                                        "thread_index_in_threadgroup",
                                                        "threads_per_threadgroup",
                                                        "threadgroups_per_grid",
                                                        "threads_per_grid",
                                                        "grid_size",
                                                        "grid_origin",
                                                        "thread_index_in_simdgroup",
                                                        "simdgroup_index_in_threadgroup",
                                                        "simdgroups_per_threadgroup",
                                                        "threads_per_simdgroup",
                                                        "thread_execution_width",
                                                        "thread_index_in_quadgroup",
                                                        "quadgroup_index_in_threadgroup",
                                                        "quadgroups_per_threadgroup",
                                                        "dispatch_threads_per_threadgroup",
                                                        "dispatch_simdgroups_per_threadgroup",
                                                        "dispatch_quadgroups_per_threadgroup",
                                                        "dispatch_threadgroups_per_grid",
                                                        "dispatch_threads_per_grid",
                                                        "dispatch_thread_execution_width",
                                                        "dispatch_threads_per_simdgroup"};

bool is_kernel(const Tokens& tokens, const FunctionDeclaration& function) {
  for (std::size_t at = function.whole.begin; at < function.name; ++at) {
    if (tokens[at].is("kernel")) return true;
  }
  return false;
}

/// The last identifier before the attributes, outside of array bounds.
std::size_t parameter_name(const Tokens& tokens, TokenRange range) {
  std::size_t name = range.begin;
  for (std::size_t at = range.begin; at < range.end; ++at) {
    if (tokens.is(at, "[")) at = tokens.skip_brackets(at) - 1;
    if (tokens[at].is_identifier()) name = at;
  }
  return name;
}

class KernelTranslator {
 public:
  KernelTranslator(Tokens& tokens, const FunctionDeclaration& function)
      : tokens_(tokens), function_(function) {}

  std::expected<Kernel, std::string> translate() {
    Kernel kernel{.scope = function_.scope,
                  .name = std::string(tokens_[function_.name].text),
                  .parameters = {},
                  .max_total_threads = {},
                  .whole = function_.whole};
    if (tokens_.is(function_.whole.begin, "template")) {
      return std::unexpected(fmt::format(
          "Kernel function \"{}\" is a template, which this compiler cannot run.", kernel.name));
    }
    const TokenRange before = {.begin = function_.whole.begin, .end = function_.name};
    const TokenRange behind = {.begin = function_.parameters.end + 1, .end = function_.body.begin};
    for (const TokenRange range : {before, behind}) {
      for (const Attribute& attribute : read_attributes(tokens_, range)) {
        if (attribute.name != "max_total_threads_per_threadgroup") continue;
        kernel.max_total_threads = tokens_.text(attribute.argument);
      }
    }
    unsigned next_buffer = 0;
    for (const TokenRange range : split_at_commas(tokens_, function_.parameters)) {
      auto parameter = read_parameter(range, next_buffer);
      if (!parameter) {
        return std::unexpected(fmt::format("Argument \"{}\" of kernel function \"{}\" {}",
                                           tokens_[parameter_name(tokens_, range)].text,
                                           kernel.name, parameter.error()));
      }
      kernel.parameters.push_back(std::move(*parameter));
    }
    translate_variables(kernel.name);
    if (!error_.empty()) return std::unexpected(error_);
    Token& close = tokens_[function_.parameters.end];
    close.output = kernel.parameters.empty() ? "unsigned char* segue_msl_memory)"
                                             : ", unsigned char* segue_msl_memory)";
    return kernel;
  }

 private:
  std::expected<KernelParameter, std::string> read_parameter(TokenRange range,
                                                             unsigned& next_buffer) const {
    KernelParameter parameter;
    parameter.name = tokens_[parameter_name(tokens_, range)].text;
    for (const Attribute& attribute : read_attributes(tokens_, range)) {
      const bool is_buffer = attribute.name == "buffer";
      if (is_buffer || attribute.name == "threadgroup") {
        parameter.kind = is_buffer ? ParameterKind::kBuffer : ParameterKind::kThreadgroup;
        parameter.index = tokens_.text(attribute.argument);
        return parameter;
      }
      if (std::ranges::find(kBuiltins, attribute.name) != kBuiltins.end()) {
        parameter.builtin = attribute.name;
        return parameter;
      }
      if (attribute.name != "function_constant") {
        return std::unexpected(
            fmt::format("has the attribute [[{}]], which is not known here.", attribute.name));
      }
    }
    for (std::size_t at = range.begin; at < range.end; ++at) {
      if (!tokens_[at].is("device") && !tokens_[at].is("constant")) continue;
      parameter.kind = ParameterKind::kBuffer;
      parameter.index = std::to_string(next_buffer++);
      return parameter;
    }
    return std::unexpected("has no attribute that says what it is.");
  }

  /// `threadgroup float a[4], b;` gives each name a place in the group's memory. A pointer or
  /// reference to such memory is the thread's own.
  void translate_variables(const std::string& kernel) {
    for (std::size_t at = function_.body.begin + 1; at < function_.body.end; ++at) {
      const Token& before = tokens_[at - 1];
      const bool starts = before.is("{") || before.is("}") || before.is(";") ||
                          before.kind == TokenKind::kDirective;
      if (!starts || !tokens_[at].is("threadgroup")) continue;
      std::size_t end = at;
      bool points = false;
      while (end < function_.body.end && !tokens_.is(end, ";")) {
        points |= tokens_.is(end, "*") || tokens_.is(end, "&") || tokens_.is(end, "=");
        const bool skip = tokens_.is(end, "[");
        end = skip ? tokens_.skip_brackets(end) : end + 1;
      }
      const bool whole = end < function_.body.end;
      if (!points && whole) translate_variables(kernel, {.begin = at, .end = end + 1});
      if (points && split_at_commas(tokens_, {.begin = at, .end = end}).size() > 1) {
        error_ = fmt::format(
            "Kernel function \"{}\" declares a threadgroup pointer and something else in one "
            "statement (\"{}\"), which this compiler cannot run.",
            kernel, tokens_.text({.begin = at, .end = end}));
      }
      at = end;
    }
  }

  void translate_variables(const std::string& kernel, TokenRange statement) {
    const Variables variables =
        read_variables(tokens_, {.begin = statement.begin, .end = statement.end - 1});
    const std::string type = tokens_.translated(variables.base);
    std::string text;
    for (const Declarator& declarator : variables.declarators) {
      text += fmt::format(
          "typedef {0} segue_msl_type_{1}{2}; "
          "__attribute__((used, section(\"segue_msl_variables\"))) "
          "static constinit ::segue_msl::GroupVariable segue_msl_variable_{1} = "
          "{{\"{3}\", sizeof(segue_msl_type_{1}), alignof(segue_msl_type_{1}), 0}}; "
          "segue_msl_type_{1}& {1} = *reinterpret_cast<segue_msl_type_{1}*>("
          "segue_msl_memory + segue_msl_variable_{1}.offset);",
          type, tokens_[declarator.name].text, tokens_.translated(declarator.dimensions), kernel);
    }
    tokens_.erase(statement);
    tokens_[statement.begin].output = text;
  }

  Tokens& tokens_;
  const FunctionDeclaration& function_;
  std::string error_;
};

bool is_address_space(const Token& token) {
  return token.is("device") || token.is("thread") || token.is("threadgroup") ||
         token.is("constant");
}

/// The header of a function as C++ sees it.
std::string signature(const Tokens& tokens, const FunctionDeclaration& function) {
  std::string text = function.scope;
  bool const_before = false;
  for (std::size_t at = function.whole.begin; at < function.body.begin; ++at) {
    const Token& token = tokens[at];
    if (token.kind == TokenKind::kDirective) continue;
    const bool is_const = token.is("const") || token.is("constant");
    if (is_address_space(token) && !is_const) continue;
    if (is_const && const_before) continue;
    const_before = is_const;
    text += ' ';
    text += is_const ? "const" : token.text;
  }
  return text;
}

}  // namespace

std::expected<std::vector<Kernel>, std::string> translate_kernels(
    Tokens& tokens, const std::vector<FunctionDeclaration>& functions) {
  std::vector<Kernel> kernels;
  for (const FunctionDeclaration& function : functions) {
    if (function.in_class || !is_kernel(tokens, function)) continue;
    auto kernel = KernelTranslator(tokens, function).translate();
    if (!kernel) return std::unexpected(kernel.error());
    kernels.push_back(std::move(*kernel));
  }
  return kernels;
}

void erase_address_space_overloads(Tokens& tokens,
                                   const std::vector<FunctionDeclaration>& functions) {
  std::set<std::string> seen;
  for (const FunctionDeclaration& function : functions) {
    bool has_address_space = false;
    for (std::size_t at = function.whole.begin; at < function.body.begin; ++at) {
      has_address_space |= is_address_space(tokens[at]);
    }
    const bool repeated = !seen.insert(signature(tokens, function)).second;
    if (repeated && has_address_space) tokens.erase(function.whole);
  }
}

}  // namespace metal_double::msl
