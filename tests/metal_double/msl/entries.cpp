// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace metal_double::msl {
namespace {

using Words = std::set<std::string_view>;

/// Which names each function and constant mentions. Overloads count as one.
class References {
 public:
  References(const Tokens& tokens, const Declarations& declarations,
             const std::vector<LaunchConstant>& constants) {
    for (const FunctionDeclaration& function : declarations.functions) {
      // Members may be called without their name, as operators are.
      add(tokens, function.in_class ? kMembers : tokens[function.name].text, function.whole);
    }
    for (const ConstantDeclaration& declaration : declarations.constants) {
      for (const Declarator& declarator : declaration.variables.declarators) {
        add(tokens, tokens[declarator.name].text, declarator.initialiser);
      }
    }
    for (const LaunchConstant& constant : constants) add(tokens, constant.name, constant.uses);
  }

  /// Every name that `name` mentions, directly or through what it mentions.
  Words reachable_from(std::string_view name) const {
    Words found;
    std::vector<std::string_view> open = {name, kMembers};
    while (!open.empty()) {
      const auto mentioned = words_.find(open.back());
      open.pop_back();
      if (mentioned == words_.end()) continue;
      for (const std::string_view word : mentioned->second) {
        if (found.insert(word).second) open.push_back(word);
      }
    }
    return found;
  }

 private:
  static constexpr std::string_view kMembers = {};

  void add(const Tokens& tokens, std::string_view name, TokenRange range) {
    Words& words = words_[name];
    for (std::size_t at = range.begin; at < range.end; ++at) {
      if (tokens[at].is_identifier()) words.insert(tokens[at].text);
    }
  }

  std::map<std::string_view, Words, std::less<>> words_;
};

bool synchronises(const Words& words) {
  return std::ranges::any_of(words, [](std::string_view word) {
    return word.starts_with("simd_") || word.starts_with("quad_") || word == "simdgroup_barrier" ||
           word == "threadgroup_barrier";
  });
}

std::string_view kind_of(std::string_view type) {
  if (type == "bool") return "kBool";
  if (type == "int") return "kInt";
  if (type == "uint") return "kUint";
  if (type == "short") return "kShort";
  if (type == "ushort") return "kUshort";
  return type == "float" ? "kFloat" : "kHalf";
}

std::string write_constants(const std::vector<LaunchConstant>& constants) {
  std::string entries;
  std::string calls;
  for (const LaunchConstant& constant : constants) {
    const std::string set = fmt::format("{}segue_msl_set_{}", constant.scope, constant.name);
    if (!constant.is_function_constant()) {
      calls += fmt::format("  {}();\n", set);
      continue;
    }
    entries +=
        fmt::format("  {{\"{}\", {}, ::segue_msl::ConstantType::{}, {}, &{}}},\n", constant.name,
                    constant.index, kind_of(constant.type), constant.required, set);
  }
  return fmt::format(
      "static void segue_msl_evaluate_constants() {{\n{}}}\n"
      "static const ::segue_msl::ConstantEntry segue_msl_constants[] = {{\n{}  {{}}\n}};\n",
      calls, entries);
}

/// The argument that a parameter gets.
std::string argument(const KernelParameter& parameter, std::size_t place) {
  const std::string type = fmt::format("::segue_msl::ParameterType<Function, {}>", place);
  switch (parameter.kind) {
    case ParameterKind::kBuffer:
      return fmt::format("::segue_msl::pointed<{}>(group.buffers[{}])", type, parameter.index);
    case ParameterKind::kThreadgroup:
      return fmt::format("::segue_msl::pointed<{}>(group.threadgroup_arguments[{}])", type,
                         parameter.index);
    case ParameterKind::kBuiltin: break;
  }
  return fmt::format("::segue_msl::position<{}>(::segue_msl::{}(group, thread))", type,
                     parameter.builtin);
}

std::string write_kernel(const Kernel& kernel, std::size_t number) {
  std::string arguments;
  std::string bindings;
  for (std::size_t place = 0; place < kernel.parameters.size(); ++place) {
    const KernelParameter& parameter = kernel.parameters[place];
    arguments += argument(parameter, place) + ",\n      ";
    if (parameter.kind == ParameterKind::kBuiltin) continue;
    bindings += fmt::format(
        "  ::segue_msl::binding<::segue_msl::ParameterType<decltype(&{}{}), {}>>(\n"
        "      \"{}\", {}, ::segue_msl::BindingKind::{}),\n",
        kernel.scope, kernel.name, place, parameter.name, parameter.index,
        parameter.kind == ParameterKind::kBuffer ? "kBuffer" : "kThreadgroup");
  }
  return fmt::format(
      "static const ::segue_msl::BindingEntry segue_msl_bindings_{0}[] = {{\n{1}  {{}}\n}};\n"
      "static inline __attribute__((always_inline)) void segue_msl_call_{0}(\n"
      "    const ::segue_msl::Group& group, const ::segue_msl::Thread& thread) {{\n"
      "  using Function = decltype(&{2}{3});\n"
      "  {2}{3}(\n      {4}group.variables);\n}}\n"
      "static void segue_msl_thread_{0}(const ::segue_msl::Group& group,\n"
      "                                 const ::segue_msl::Thread& thread) {{\n"
      "  segue_msl_call_{0}(group, thread);\n}}\n"
      "static void segue_msl_group_{0}(const ::segue_msl::Group& group) {{\n"
      "  ::segue_msl::for_each_thread(group, [&](const ::segue_msl::Thread& thread) {{\n"
      "    segue_msl_call_{0}(group, thread);\n  }});\n}}\n",
      number, bindings, kernel.scope, kernel.name, arguments);
}

/// Places of the function constants that a kernel can reach.
std::vector<std::size_t> used_constants(const std::vector<LaunchConstant>& constants,
                                        const Words& words) {
  std::vector<std::size_t> used;
  std::size_t place = 0;
  for (const LaunchConstant& constant : constants) {
    if (!constant.is_function_constant()) continue;
    if (words.contains(constant.name)) used.push_back(place);
    ++place;
  }
  return used;
}

std::string write_functions(const References& references,
                            const std::vector<LaunchConstant>& constants,
                            const std::vector<Kernel>& kernels) {
  std::string lists;
  std::string entries;
  for (std::size_t number = 0; number < kernels.size(); ++number) {
    const Kernel& kernel = kernels[number];
    const Words words = references.reachable_from(kernel.name);
    const std::vector<std::size_t> used = used_constants(constants, words);
    lists += fmt::format("static const unsigned segue_msl_uses_{}[] = {{{}}};\n", number,
                         used.empty() ? "0" : fmt::format("{}", fmt::join(used, ", ")));
    const auto bindings = std::ranges::count_if(kernel.parameters, [](const auto& parameter) {
      return parameter.kind != ParameterKind::kBuiltin;
    });
    entries += fmt::format(
        "  {{\"{0}\", segue_msl_bindings_{1}, {2}, segue_msl_uses_{1}, {3}, {4}, {5},\n"
        "   &segue_msl_thread_{1}, &segue_msl_group_{1}}},\n",
        kernel.name, number, bindings, used.size(),
        kernel.max_total_threads.empty() ? "0" : kernel.max_total_threads, synchronises(words));
  }
  return fmt::format(
      "{}static const ::segue_msl::FunctionEntry segue_msl_functions[] = {{\n{}  {{}}\n}};\n",
      lists, entries);
}

}  // namespace

std::string write_entries(const Tokens& tokens, const Declarations& declarations,
                          const std::vector<LaunchConstant>& constants,
                          const std::vector<Kernel>& kernels) {
  const References references(tokens, declarations, constants);
  std::string text = write_constants(constants);
  for (std::size_t number = 0; number < kernels.size(); ++number) {
    text += write_kernel(kernels[number], number);
  }
  text += write_functions(references, constants, kernels);
  text += fmt::format("SEGUE_MSL_MODULE({}, {})\n", kernels.size(),
                      std::ranges::count_if(constants, &LaunchConstant::is_function_constant));
  return text;
}

}  // namespace metal_double::msl
