// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llama/tensor_type.hpp"

namespace segue::llama {

/// Random tensor data that depends on a key and the position alone, so it can be made in pieces of
/// any size. Each 64-bit word is a hash of its index (the finaliser of SplitMix64: Steele, Lea and
/// Flood 2014, doi:10.1145/2660193.2660195).
class RandomWeights {
 public:
  /// Elements per call of fill() must be a multiple of this, except at the tensor's end.
  static constexpr std::size_t kGroupElements = 32;

  /// Numbers of mean 0 and the given standard deviation, uniformly distributed, in blocks of
  /// varying scale where the type has blocks. One of the types that Segue reads.
  static RandomWeights matrix(TensorType type, float deviation, std::uint64_t key);

  /// Float32 numbers from 15/16 to 17/16, as weights of a norm.
  static RandomWeights norm(std::uint64_t key);

  /// Writes the stored form of elements from `first_element` (a multiple of kGroupElements) on.
  void fill(std::size_t first_element, std::span<std::byte> out) const;

 private:
  enum class Kind : std::uint8_t { kNorm, kF32, kTable16, kQ8_0, kQ4_0 };

  RandomWeights(Kind kind, std::uint64_t key, float scale);

  [[nodiscard]] std::uint64_t word(std::uint64_t index) const;
  void fill_norm(std::uint64_t first_word, std::span<std::byte> out) const;
  void fill_f32(std::uint64_t first_word, std::span<std::byte> out) const;
  void fill_table16(std::uint64_t first_word, std::span<std::byte> out) const;
  void fill_q8_0(std::uint64_t first_block, std::span<std::byte> out) const;
  void fill_q4_0(std::uint64_t first_block, std::span<std::byte> out) const;
  [[nodiscard]] std::uint32_t block_scale(std::uint64_t random) const;

  Kind kind_;
  std::uint64_t key_;
  float scale_;
  std::vector<std::uint16_t> table_;  // Of kTable16: the patterns to choose from.
};

}  // namespace segue::llama
