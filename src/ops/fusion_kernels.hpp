// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "segue/fusion.hpp"
#include "segue/kernel.hpp"

// The kernels that operations run as, and those that replace several of them. A kernel that a
// device lacks is an empty handle.

namespace segue::ops {

/// Products of one token and what follows them. All take their matrices, the activations, for the
/// normalising ones the weights of the norm, other inputs, their results, and their size.
enum class Product : std::uint8_t { kPlain, kSiluMul, kTwo, kThree, kAdd };
inline constexpr std::size_t kProductCount = 5;

/// Matrices that a product reads; the activations are the argument after them.
[[nodiscard]] constexpr std::uint8_t matrix_count(Product product) {
  switch (product) {
    case Product::kPlain:
    case Product::kAdd: return 1;
    case Product::kSiluMul:
    case Product::kTwo: return 2;
    case Product::kThree: return 3;
  }
  return 0;
}
[[nodiscard]] constexpr std::uint8_t result_count(Product product) {
  return product == Product::kTwo ? 2 : product == Product::kThree ? 3 : 1;
}

/// The products with weights of one form, such as Q8_0 in tiles with quantised activations.
struct ProductForm {
  std::array<Kernel, kProductCount> products;
  std::array<Kernel, kProductCount> normalising;  ///< None for kAdd.

  [[nodiscard]] const Kernel& product(Product which) const {
    return products[static_cast<std::size_t>(which)];
  }
  [[nodiscard]] const Kernel& normalised(Product which) const {
    return normalising[static_cast<std::size_t>(which)];
  }
};

struct RopeKvAppend {
  Kernel rope, kv_append, fused;
};

/// What makes the inputs of attention for one token: products behind a norm, and what brings them
/// there.
struct AttentionInputs {
  Kernel products, rope, rope_kv_append, kv_append, fused;
};

struct FusionKernels {
  Kernel rms_norm, rms_norm_weighted, add, mul, silu_mul;
  Kernel add_rms_norm, add_rms_norm_weighted;
  std::vector<ProductForm> forms;
  std::vector<RopeKvAppend> ropes;                ///< Complete ones only.
  std::vector<AttentionInputs> attention_inputs;  ///< Complete ones only.

  /// @param find  The kernel of that name, or an empty handle.
  explicit FusionKernels(const std::function<Kernel(std::string_view)>& find);

  /// The form whose kernel for `which` the node runs, or null.
  [[nodiscard]] const ProductForm* form_of(const FusionNode& node, Product which) const;
};

}  // namespace segue::ops
