// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <hwy/highway.h>

#include "backends/host/kernels/mat_vec.hpp"
#include "backends/host/kernels/op_kernels.hpp"
#include "segue/tensor.hpp"
#include "support/simd_kernels.hpp"
#include "support/weights.hpp"

// What the tests of matrix products share: their forms, instruction sets and inputs.

namespace segue::test {

/// A form of weights, and the kernel that only multiplies them.
struct Product {
  std::string kernel;
  DType type;
  bool tiled = false;
  bool int8 = false;
};

inline const std::vector<Product>& products() {
  static const std::vector<Product> all = {
      {"mat_vec_f32", DType::kF32},
      {"mat_vec_f16", DType::kF16},
      {"mat_vec_bf16", DType::kBF16},
      {"mat_vec_q8_0", DType::kQ8_0},
      {"mat_vec_q4_0", DType::kQ4_0},
      {"mat_vec_q8_0_tile16", DType::kQ8_0, true},
      {"mat_vec_q4_0_tile16", DType::kQ4_0, true},
      {"mat_vec_q8_0_int8", DType::kQ8_0, false, true},
      {"mat_vec_q4_0_int8", DType::kQ4_0, false, true},
      {"mat_vec_q8_0_tile16_int8", DType::kQ8_0, true, true},
      {"mat_vec_q4_0_tile16_int8", DType::kQ4_0, true, true},
  };
  return all;
}

/// Every instruction set, and the one below VNNI too where the machine has it.
inline const std::vector<SimdKernels>& builds() {
  static const std::vector<SimdKernels> all = [] {
    std::vector<SimdKernels> made = simd_kernels();
    SimdKernels without{"without VNNI", {}};
    host::append_mat_vec_kernels(without.kernels, host::Vnni::kNever);
    host::append_norm_kernels(without.kernels);
    host::append_elementwise_kernels(without.kernels);
    host::append_rope_kernels(without.kernels);
    host::append_kv_append_kernels(without.kernels);
    hwy::GetChosenTarget().DeInit();
    made.push_back(std::move(without));
    return made;
  }();
  return all;
}

inline std::vector<float> random_activations(std::size_t count, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  for (float& value : x) value = normal(random);
  return x;
}

inline std::vector<std::byte> stored(const Weights& weights, const Product& product) {
  return product.tiled ? in_tiles(weights) : weights.bytes;
}

/// What int8 mode is defined to make of one token: 32 columns share a scale of their largest
/// magnitude / 127, and values are rounded to the nearest multiple, ties to even.
inline std::vector<double> quantised(std::span<const float> x) {
  std::vector<double> result;
  for (std::size_t block = 0; block < x.size(); block += 32) {
    const auto values = x.subspan(block, 32);
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::fabs(value));
    for (const float value : values) {
      const float steps = largest > 0 ? std::nearbyint(value * (127.0F / largest)) : 0.0F;
      result.push_back(double{steps} * double{largest / 127.0F});
    }
  }
  return result;
}

}  // namespace segue::test
