// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/translator/include_file.hpp"

#include <charconv>
#include <iterator>

#include "base/fail.hpp"

namespace segue::metal::translator {
namespace {

std::string_view text_of(bool value) { return value ? "true" : "false"; }

std::string_view text_of(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::kBuffer: return "ParameterKind::kBuffer";
    case ParameterKind::kBytes: return "ParameterKind::kBytes";
    case ParameterKind::kShared: return "ParameterKind::kShared";
  }
  return "";
}

std::string_view text_of(Access access) {
  switch (access) {
    case Access::kRead: return "Access::kRead";
    case Access::kWrite: return "Access::kWrite";
    case Access::kReadWrite: return "Access::kReadWrite";
  }
  return "";
}

std::string_view text_of(SharedSizing sizing) {
  switch (sizing) {
    case SharedSizing::kFixed: return "SharedSizing::kFixed";
    case SharedSizing::kSpecialisation: return "SharedSizing::kSpecialisation";
    case SharedSizing::kLaunch: return "SharedSizing::kLaunch";
  }
  return "";
}

std::string_view text_of(Constant::Type type) {
  switch (type) {
    case Constant::Type::kBool: return "BuiltinMslConstant::Type::kBool";
    case Constant::Type::kInt: return "BuiltinMslConstant::Type::kInt";
    case Constant::Type::kUint: return "BuiltinMslConstant::Type::kUint";
    case Constant::Type::kFloat: return "BuiltinMslConstant::Type::kFloat";
  }
  return "";
}

std::string row_of(const Parameter& parameter) {
  return fmt::format("    {{\"{}\", {}, {}, {}, {}U, {}U, {}}},\n", parameter.name,
                     text_of(parameter.kind), text_of(parameter.access),
                     text_of(parameter.access_known), parameter.size_bytes, parameter.alignment,
                     text_of(parameter.sizing));
}

std::string row_of(const Constant& constant) {
  return fmt::format("    {{\"{}\", {}U, {}, {}U}},\n", constant.name, constant.id,
                     text_of(constant.type), constant.value);
}

/// Defines an array and returns what a span of it is made from: arrays of no element do not exist.
template <class T>
std::string add_array(std::string& out, std::string_view type, const std::string& name,
                      const std::vector<T>& elements) {
  if (elements.empty()) return "{}";
  out += fmt::format("constexpr {} {}[]{{\n", type, name);
  for (const T& element : elements) out += row_of(element);
  out += "};\n";
  return name;
}

}  // namespace

Result<std::vector<std::uint32_t>> read_words(std::string_view text) {
  const std::size_t begin = text.find('{');
  const std::size_t end = text.find('}');
  if (begin == std::string_view::npos || end == std::string_view::npos || begin > end)
    return base::fail(ErrorCode::kCorruptData, "The file has no array of words.");
  std::vector<std::uint32_t> words;
  std::string_view rest = text.substr(begin + 1, end - begin - 1);
  constexpr std::string_view kBetween = ", \t\r\n";
  while (true) {
    const std::size_t next = rest.find_first_not_of(kBetween);
    if (next == std::string_view::npos) return words;
    rest.remove_prefix(next);
    const std::string_view number = rest.substr(0, rest.find_first_of(kBetween));
    std::uint32_t word = 0;
    const char* const last = number.data() + number.size();
    const bool hexadecimal = number.starts_with("0x");
    const auto read =
        std::from_chars(number.data() + (hexadecimal ? 2 : 0), last, word, hexadecimal ? 16 : 10);
    if (read.ec != std::errc() || read.ptr != last)
      return base::fail(ErrorCode::kCorruptData, "\"{}\" is no number of 32 bits.", number);
    words.push_back(word);
    rest.remove_prefix(number.size());
  }
}

std::string include_file(const Translation& translation) {
  const std::string name = "segue_msl_" + translation.name;
  const Signature& signature = translation.signature;
  std::string out = "// NOLINTBEGIN(readability-identifier-naming): generated\n";
  const std::string parameters =
      add_array(out, "BuiltinMslParameter", name + "_parameters", signature.parameters);
  const std::string frozen =
      add_array(out, "BuiltinMslConstant", name + "_frozen", translation.frozen);
  const std::string constants = add_array(out, "BuiltinMslConstant", name + "_function_constants",
                                          translation.function_constants);
  auto to = std::back_inserter(out);
  fmt::format_to(to, "constexpr BuiltinMsl {}{{\n", name);
  fmt::format_to(to, "    .name = \"{}\",\n", translation.name);
  fmt::format_to(to, "    .text = R\"msl({})msl\",\n", translation.text);
  fmt::format_to(to, "    .entry_point = \"{}\",\n", translation.entry_point);
  fmt::format_to(to, "    .parameters = {},\n", parameters);
  fmt::format_to(to, "    .group_size = {{{}U, {}U, {}U}},\n", signature.group_size.x,
                 signature.group_size.y, signature.group_size.z);
  fmt::format_to(to, "    .guards_ragged_edges = {},\n", text_of(signature.guards_ragged_edges));
  fmt::format_to(to, "    .fixed_group_size = {},\n", text_of(signature.fixed_group_size));
  fmt::format_to(to, "    .items_per_group = {}U,\n", signature.items_per_group);
  fmt::format_to(to, "    .batch_per_group = {}U,\n", signature.batch_per_group);
  fmt::format_to(to, "    .grid_index = {},\n", translation.grid_index);
  fmt::format_to(to, "    .grid_size_bytes = {}U,\n", translation.grid_size_bytes);
  fmt::format_to(to, "    .view_sizes_index = {},\n", translation.view_sizes_index);
  fmt::format_to(to, "    .view_sizes_count = {}U,\n", translation.view_sizes_count);
  fmt::format_to(to, "    .shared_bytes = {}U,\n", translation.shared_bytes);
  fmt::format_to(to, "    .frozen = {},\n", frozen);
  fmt::format_to(to, "    .function_constants = {},\n}};\n", constants);
  out += "// NOLINTEND(readability-identifier-naming)\n";
  return out;
}

}  // namespace segue::metal::translator
