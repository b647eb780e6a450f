// SPDX-License-Identifier: Apache-2.0
#include "ops/fusion_kernels.hpp"

#include <fmt/format.h>

namespace segue::ops {
namespace {

constexpr std::string_view kForms[] = {"f32",
                                       "f16",
                                       "bf16",
                                       "q8_0",
                                       "q4_0",
                                       "q8_0_int8",
                                       "q4_0_int8",
                                       "q8_0_tile16",
                                       "q4_0_tile16",
                                       "q8_0_tile16_int8",
                                       "q4_0_tile16_int8",
                                       "q8_0_planes",
                                       "q4_0_planes",
                                       "q8_0_planes_int8",
                                       "q4_0_planes_int8"};
/// By Product.
constexpr std::string_view kProductNames[kProductCount] = {"mat_vec", "mat_vec_silu_mul",
                                                           "mat_vec2", "mat_vec3", "mat_vec_add"};

}  // namespace

FusionKernels::FusionKernels(const std::function<Kernel(std::string_view)>& find)
    : rms_norm(find("rms_norm")),
      rms_norm_weighted(find("rms_norm_weighted")),
      add(find("add")),
      mul(find("mul")),
      silu_mul(find("silu_mul")),
      add_rms_norm(find("add_rms_norm")),
      add_rms_norm_weighted(find("add_rms_norm_weighted")) {
  std::vector<std::string_view> form_names;  // of `forms`
  for (const std::string_view form : kForms) {
    ProductForm kernels;
    for (std::size_t i = 0; i < kProductCount; ++i) {
      kernels.products[i] = find(fmt::format("{}_{}", kProductNames[i], form));
      if (i != static_cast<std::size_t>(Product::kAdd))
        kernels.normalising[i] = find(fmt::format("norm_{}_{}", kProductNames[i], form));
    }
    if (!kernels.product(Product::kPlain)) continue;
    forms.push_back(std::move(kernels));
    form_names.push_back(form);
  }
  for (const std::string_view pairs : {"interleaved", "neox"}) {
    for (const std::string_view type : {"f32", "f16"}) {
      RopeKvAppend rope{find(fmt::format("rope_{}", pairs)),
                        find(fmt::format("kv_append_{}", type)),
                        find(fmt::format("rope_kv_append_{}_{}", pairs, type))};
      if (!rope.rope || !rope.kv_append || !rope.fused) continue;
      for (std::size_t i = 0; i < forms.size(); ++i) {
        const Kernel& products = forms[i].normalised(Product::kThree);
        Kernel fused =
            find(fmt::format("norm_mat_vec3_rope_kv_append_{}_{}_{}", pairs, type, form_names[i]));
        if (!products || !fused) continue;
        attention_inputs.push_back(
            {products, rope.rope, rope.fused, rope.kv_append, std::move(fused)});
      }
      ropes.push_back(std::move(rope));
    }
  }
}

const ProductForm* FusionKernels::form_of(const FusionNode& node, Product which) const {
  for (const ProductForm& form : forms) {
    if (node.runs(form.product(which))) return &form;
  }
  return nullptr;
}

}  // namespace segue::ops
