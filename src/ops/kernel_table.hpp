// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>

#include "segue/device.hpp"
#include "segue/kernel.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

namespace segue::ops {

inline constexpr std::size_t kDTypeCount = static_cast<std::size_t>(DType::kU32) + 1;
inline constexpr std::size_t kLayoutCount = static_cast<std::size_t>(WeightLayout::kPlanes) + 1;

/// The kernels of a device by what they compute, looked up once. A kernel that exists for some
/// types only is empty for the others.
class KernelTable {
 public:
  template <class T>
  using ByType = std::array<T, kDTypeCount>;
  template <class T>
  using ByLayout = std::array<T, kLayoutCount>;

  Kernel rms_norm, rms_norm_weighted;
  Kernel add, mul, silu, silu_mul;
  Kernel rope_interleaved, rope_neox;
  Kernel softmax, argmax, sample;
  ByType<Kernel> embedding, kv_append, attention;
  ByType<ByLayout<Kernel>> mat_vec;
  ByType<ByLayout<Kernel>> mat_mul;  ///< Of many tokens; empty where mat_vec takes these too.
  ByType<ByLayout<Kernel>> repack;   ///< To a layout, from row-major.

  /// What only decoding uses; empty where the device lacks it.
  Kernel advance;
  ByType<Kernel> embedding_token;

  /// Layouts other than row-major, products of many tokens and such that quantise or round
  /// activations are there if the device has them.
  ///
  /// @error kNotFound  The device lacks another one.
  [[nodiscard]] static Result<KernelTable> create(const Device& device, const Options& options);
};

/// A value by an enumerator, from an array that has one for each.
template <class Array, class Enum>
[[nodiscard]] const auto& at(const Array& array, Enum key) {
  return array[static_cast<std::size_t>(key)];
}

}  // namespace segue::ops
