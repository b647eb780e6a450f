// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "segue/tensor.hpp"

namespace segue::test {

/// A random matrix [rows, columns] as a model file stores it, and what its bytes mean.
struct Weights {
  DType type = DType::kF32;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::vector<std::byte> bytes;
  std::vector<double> values;  ///< [rows, columns]
};

/// Every exponent that a product can stand, every int8 or nibble, and now and then zeros and
/// subnormal scales.
[[nodiscard]] Weights random_weights(DType type, std::uint32_t rows, std::uint32_t columns,
                                     std::mt19937_64& random);

/// The meaning of `bytes`, which hold row-major weights.
[[nodiscard]] std::vector<double> decode(DType type, const std::vector<std::byte>& bytes);

/// The bytes of `weights` in tiles of 16 rows, by the definition of the layout.
[[nodiscard]] std::vector<std::byte> in_tiles(const Weights& weights);

}  // namespace segue::test
