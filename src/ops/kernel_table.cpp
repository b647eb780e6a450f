// SPDX-License-Identifier: Apache-2.0
#include "ops/kernel_table.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace segue::ops {
namespace {

struct NamedType {
  DType type;
  std::string_view suffix;
};
constexpr NamedType kWeightTypes[] = {{DType::kF32, "f32"},
                                      {DType::kF16, "f16"},
                                      {DType::kBF16, "bf16"},
                                      {DType::kQ8_0, "q8_0"},
                                      {DType::kQ4_0, "q4_0"}};
constexpr NamedType kCacheTypes[] = {{DType::kF32, "f32"}, {DType::kF16, "f16"}};

struct NamedLayout {
  WeightLayout layout;
  std::string_view suffix;
};
constexpr NamedLayout kLayouts[] = {{WeightLayout::kRowMajor, ""},
                                    {WeightLayout::kRowTile16, "_tile16"},
                                    {WeightLayout::kPlanes, "_planes"}};

bool is_quantised(DType type) { return block_elements(type) > 1; }

template <class Table>
auto& slot(Table& table, DType type) {
  return table[static_cast<std::size_t>(type)];
}
template <class Table>
auto& slot(Table& table, DType type, WeightLayout layout) {
  return slot(table, type)[static_cast<std::size_t>(layout)];
}

struct Wanted {
  Kernel* kernel;
  std::string name;
};

}  // namespace

Result<KernelTable> KernelTable::create(const Device& device, const Options& options) {
  const KernelLibrary& library = device.kernels();
  KernelTable table;
  std::vector<Wanted> wanted = {{&table.rms_norm, "rms_norm"},
                                {&table.rms_norm_weighted, "rms_norm_weighted"},
                                {&table.add, "add"},
                                {&table.mul, "mul"},
                                {&table.silu, "silu"},
                                {&table.silu_mul, "silu_mul"},
                                {&table.rope_interleaved, "rope_interleaved"},
                                {&table.rope_neox, "rope_neox"},
                                {&table.softmax, "softmax"},
                                {&table.argmax, "argmax"},
                                {&table.sample, "sample"}};
  std::vector<Wanted> optional = {{&table.advance, "advance"}};
  for (const NamedType& cache : kCacheTypes) {
    wanted.push_back(
        {&slot(table.kv_append, cache.type), fmt::format("kv_append_{}", cache.suffix)});
    wanted.push_back(
        {&slot(table.attention, cache.type), fmt::format("attention_{}", cache.suffix)});
  }
  for (const NamedType& weight : kWeightTypes) {
    wanted.push_back(
        {&slot(table.embedding, weight.type), fmt::format("embedding_{}", weight.suffix)});
    optional.push_back({&slot(table.embedding_token, weight.type),
                        fmt::format("embedding_token_{}", weight.suffix)});
    const bool quantise = options.quantise_activations && is_quantised(weight.type);
    for (const NamedLayout& layout : kLayouts) {
      if (!has_layout(weight.type, layout.layout)) continue;
      const bool row_major = layout.layout == WeightLayout::kRowMajor;
      const std::string form = fmt::format("{}{}", weight.suffix, layout.suffix);
      const std::string product = fmt::format("mat_vec_{}", form);
      if (!row_major && !library.contains(product)) continue;
      const bool int8 = quantise && library.contains(product + "_int8");
      wanted.push_back(
          {&slot(table.mat_vec, weight.type, layout.layout), int8 ? product + "_int8" : product});
      const std::string prompt = fmt::format("mat_mul_{}", form);
      const bool half = options.quantise_activations && library.contains(prompt + "_half");
      optional.push_back(
          {&slot(table.mat_mul, weight.type, layout.layout), half ? prompt + "_half" : prompt});
      if (row_major) continue;
      wanted.push_back(
          {&slot(table.repack, weight.type, layout.layout), fmt::format("repack_{}", form)});
    }
  }
  for (const Wanted& want : wanted) {
    SEGUE_TRY_ASSIGN(*want.kernel, library.get(want.name));
  }
  for (const Wanted& want : optional) {
    if (!library.contains(want.name)) continue;
    SEGUE_TRY_ASSIGN(*want.kernel, library.get(want.name));
  }
  return table;
}

}  // namespace segue::ops
