// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// What each operation means, in double precision and the plainest way. Shares no code with the
// library.

namespace segue::test::oracle {

/// Types of stored numbers, by the names of the GGUF specification.
enum class Format { kF32, kF16, kBF16, kQ8_0, kQ4_0 };

/// The value of binary16 bits.
[[nodiscard]] double half_value(std::uint16_t bits);
/// The binary16 bits nearest to `value`, ties to even; infinite from 65520 on.
[[nodiscard]] std::uint16_t half_bits(double value);

/// `count` values stored at `bytes`; whole blocks for the quantised formats.
[[nodiscard]] std::vector<double> decode(Format format, std::span<const std::byte> bytes,
                                         std::size_t count);

/// x [rows, columns] divided by the root mean square of its row, times `weight` if not empty.
[[nodiscard]] std::vector<double> rms_norm(std::span<const float> x, std::span<const float> weight,
                                           std::size_t rows, std::size_t columns, double epsilon);
[[nodiscard]] double silu(double x);
[[nodiscard]] std::vector<double> softmax(std::span<const float> x, std::size_t rows,
                                          std::size_t columns);
[[nodiscard]] std::uint32_t argmax(std::span<const float> row);

struct Rope {
  std::size_t tokens, heads, head_size, rotated, position;
  double base;
  bool neox;
};
[[nodiscard]] std::vector<double> rope(std::span<const float> x, const Rope& shape);

struct Attention {
  std::size_t tokens, heads, kv_heads, head_size, position;
  double scale;
};
[[nodiscard]] std::vector<double> attention(std::span<const float> q, std::span<const double> keys,
                                            std::span<const double> values, const Attention& shape);

struct Sample {
  std::size_t top_k;
  double top_p, temperature;
  std::uint64_t seed, step;
};
struct Drawn {
  std::uint32_t token;
  /// How far, in probability, the nearest decision was from going the other way.
  double margin;
};
/// Draws from a row by sorting it.
[[nodiscard]] Drawn sample(std::span<const float> row, const Sample& options);
/// The probability of each token, 0 for those that the cuts remove.
[[nodiscard]] std::vector<double> sample_probabilities(std::span<const float> row,
                                                       const Sample& options,
                                                       double* margin = nullptr);

}  // namespace segue::test::oracle
