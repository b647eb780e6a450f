// SPDX-License-Identifier: Apache-2.0
#include "llama/random_weights.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/half.hpp"

namespace segue::llama {
namespace {

constexpr std::size_t kTableBits = 12;
constexpr std::size_t kTableSize = std::size_t{1} << kTableBits;
constexpr std::size_t kQ8Words = 5;  // Random words per block: 32 quants of 8 bits and the scale.
constexpr std::size_t kQ4Words = 3;  // 32 quants of 4 bits and the scale.

/// Stores as many bytes of `value` as still fit into `out` at `at`.
template <class T>
void store(std::span<std::byte> out, std::size_t at, const T& value) {
  std::memcpy(out.data() + at, &value, std::min(sizeof(T), out.size() - at));
}

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

}  // namespace

// Hashing the key too puts the sequences of neighbouring keys far apart.
RandomWeights::RandomWeights(Kind kind, std::uint64_t key, float scale)
    : kind_(kind), key_(mix(key)), scale_(scale) {}

RandomWeights RandomWeights::matrix(TensorType type, float deviation, std::uint64_t key) {
  const float bound = deviation * std::sqrt(3.0F);  // Uniform in [-bound, bound].
  switch (type) {
    case TensorType::kF16:
    case TensorType::kBf16: {
      RandomWeights weights(Kind::kTable16, key, bound);
      weights.table_.resize(kTableSize);
      const float step = bound / static_cast<float>(kTableSize);
      for (std::size_t i = 0; i < kTableSize; ++i) {  // Odd multiples of a step: symmetric.
        const float value =
            static_cast<float>(2 * static_cast<int>(i) + 1 - static_cast<int>(kTableSize)) * step;
        weights.table_[i] =
            type == TensorType::kF16 ? base::float_to_half(value) : base::float_to_bfloat16(value);
      }
      return weights;
    }
    // Root mean squares of the integers -127 to 127 (-128 becomes -127) and -8 to 7.
    case TensorType::kQ8_0: return {Kind::kQ8_0, key, deviation / 73.76F};
    case TensorType::kQ4_0: return {Kind::kQ4_0, key, deviation / 4.637F};
    case TensorType::kF32: break;
  }
  return {Kind::kF32, key, bound * 0x1p-31F};
}

RandomWeights RandomWeights::norm(std::uint64_t key) { return {Kind::kNorm, key, 1.0F}; }

void RandomWeights::fill(std::size_t first_element, std::span<std::byte> out) const {
  switch (kind_) {
    case Kind::kNorm: return fill_norm(first_element / 2, out);
    case Kind::kF32: return fill_f32(first_element / 2, out);
    case Kind::kTable16: return fill_table16(first_element / 4, out);
    case Kind::kQ8_0: return fill_q8_0(first_element / kGroupElements, out);
    case Kind::kQ4_0: return fill_q4_0(first_element / kGroupElements, out);
  }
}

std::uint64_t RandomWeights::word(std::uint64_t index) const {
  return mix(key_ + index * 0x9E3779B97F4A7C15U);
}

// Each number below is one rounded product or is exact, so that no choice of instructions changes
// its bits.

void RandomWeights::fill_norm(std::uint64_t first_word, std::span<std::byte> out) const {
  const auto number = [](std::uint64_t random) {
    return 1.0F + (static_cast<float>(random % 2049) - 1024.0F) * 0x1p-14F;
  };
  for (std::size_t at = 0; at < out.size(); at += 8) {
    const std::uint64_t random = word(first_word++);
    store(out, at, std::array{number(random >> 32), number(random & 0xFFFFFFFFU)});
  }
}

void RandomWeights::fill_f32(std::uint64_t first_word, std::span<std::byte> out) const {
  const auto number = [this](std::uint64_t random) {
    return static_cast<float>(static_cast<std::int32_t>(static_cast<std::uint32_t>(random))) *
           scale_;
  };
  for (std::size_t at = 0; at < out.size(); at += 8) {
    const std::uint64_t random = word(first_word++);
    store(out, at, std::array{number(random >> 32), number(random)});
  }
}

void RandomWeights::fill_table16(std::uint64_t first_word, std::span<std::byte> out) const {
  const auto pattern = [this](std::uint64_t random) { return table_[random % kTableSize]; };
  for (std::size_t at = 0; at < out.size(); at += 8) {
    const std::uint64_t random = word(first_word++);
    store(out, at,
          std::array{pattern(random), pattern(random >> 16), pattern(random >> 32),
                     pattern(random >> 48)});
  }
}

std::uint32_t RandomWeights::block_scale(std::uint64_t random) const {
  const auto parts = static_cast<float>(192 + random % 129);  // 0.75 to 1.25 in units of 1/256
  return base::float_to_half(parts * (scale_ / 256.0F));
}

// Layout of a Q8_0 block: scale as float16, 32 quants as int8. value = scale * quant.
void RandomWeights::fill_q8_0(std::uint64_t first_block, std::span<std::byte> out) const {
  constexpr std::size_t kBlockBytes = 34;
  for (std::size_t at = 0; at + kBlockBytes <= out.size(); at += kBlockBytes) {
    const std::uint64_t first = kQ8Words * first_block++;
    std::array<std::uint64_t, 4> random;
    for (std::size_t i = 0; i < random.size(); ++i) random[i] = word(first + i);
    std::array<std::int8_t, 32> quants;
    std::memcpy(quants.data(), random.data(), quants.size());
    for (std::int8_t& quant : quants) quant = std::max<std::int8_t>(quant, -127);
    store(out, at, static_cast<std::uint16_t>(block_scale(word(first + 4))));
    store(out, at + 2, quants);
  }
}

// Layout of a Q4_0 block: scale as float16, 16 bytes of two quants each. value = scale * (quant -
// 8).
void RandomWeights::fill_q4_0(std::uint64_t first_block, std::span<std::byte> out) const {
  constexpr std::size_t kBlockBytes = 18;
  for (std::size_t at = 0; at + kBlockBytes <= out.size(); at += kBlockBytes) {
    const std::uint64_t first = kQ4Words * first_block++;
    const std::uint64_t random = word(first + 2);
    // Quants average -0.5; a sign at random per block keeps that from adding up over a row.
    const std::uint32_t sign = (random >> 63) != 0 ? 0x8000U : 0U;
    store(out, at, static_cast<std::uint16_t>(block_scale(random & 0xFFFFFFFFU) | sign));
    store(out, at + 2, std::array{word(first), word(first + 1)});
  }
}

}  // namespace segue::llama
