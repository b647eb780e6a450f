// SPDX-License-Identifier: Apache-2.0
#include "llama/tensor_type.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace segue::llama {
namespace {

struct Entry {
  std::uint32_t id;
  TensorTypeInfo info;
};

// Numbers, block lengths and block sizes as in ggml's enum ggml_type and ggml-common.h. 4, 5, 31 to
// 33 and 36 to 38 were withdrawn there.
constexpr auto kEntries = std::to_array<Entry>({
    {0, {"F32", 1, 4}},         {1, {"F16", 1, 2}},         {2, {"Q4_0", 32, 18}},
    {3, {"Q4_1", 32, 20}},      {6, {"Q5_0", 32, 22}},      {7, {"Q5_1", 32, 24}},
    {8, {"Q8_0", 32, 34}},      {9, {"Q8_1", 32, 36}},      {10, {"Q2_K", 256, 84}},
    {11, {"Q3_K", 256, 110}},   {12, {"Q4_K", 256, 144}},   {13, {"Q5_K", 256, 176}},
    {14, {"Q6_K", 256, 210}},   {15, {"Q8_K", 256, 292}},   {16, {"IQ2_XXS", 256, 66}},
    {17, {"IQ2_XS", 256, 74}},  {18, {"IQ3_XXS", 256, 98}}, {19, {"IQ1_S", 256, 50}},
    {20, {"IQ4_NL", 32, 18}},   {21, {"IQ3_S", 256, 110}},  {22, {"IQ2_S", 256, 82}},
    {23, {"IQ4_XS", 256, 136}}, {24, {"I8", 1, 1}},         {25, {"I16", 1, 2}},
    {26, {"I32", 1, 4}},        {27, {"I64", 1, 8}},        {28, {"F64", 1, 8}},
    {29, {"IQ1_M", 256, 56}},   {30, {"BF16", 1, 2}},       {34, {"TQ1_0", 256, 54}},
    {35, {"TQ2_0", 256, 66}},   {39, {"MXFP4", 32, 17}},
});

constexpr auto kSupported = std::to_array<TensorType>(
    {TensorType::kF32, TensorType::kF16, TensorType::kBf16, TensorType::kQ8_0, TensorType::kQ4_0});

}  // namespace

std::optional<TensorTypeInfo> tensor_type_info(TensorType type) {
  const auto* const entry =
      std::ranges::find(kEntries, static_cast<std::uint32_t>(type), &Entry::id);
  if (entry == kEntries.end()) return std::nullopt;
  return entry->info;
}

std::string_view to_string(TensorType type) {
  const auto info = tensor_type_info(type);
  return info ? info->name : "unknown";
}

std::optional<TensorType> parse_tensor_type(std::string_view name) {
  const auto same_letter = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) ==
           std::toupper(static_cast<unsigned char>(b));
  };
  const auto* const type = std::ranges::find_if(kSupported, [&](TensorType candidate) {
    return std::ranges::equal(name, to_string(candidate), same_letter);
  });
  if (type == kSupported.end()) return std::nullopt;
  return *type;
}

bool is_supported(TensorType type) {
  return std::ranges::find(kSupported, type) != kSupported.end();
}

}  // namespace segue::llama
