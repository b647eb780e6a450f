// SPDX-License-Identifier: Apache-2.0
#include "support/weights.hpp"

#include <cmath>
#include <cstring>

namespace segue::test {
namespace {

template <class T>
T read(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(value));
  return value;
}

/// IEEE 754-2019, section 3.4.
double value_of_half(std::uint16_t bits) {
  const double sign = (bits >> 15) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  return exponent == 0 ? sign * std::ldexp(fraction, -24)
                       : sign * std::ldexp(1024 + fraction, exponent - 25);
}

double value_of_bfloat(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  return read<float>(static_cast<const std::byte*>(static_cast<const void*>(&wide)));
}

std::size_t quant_bytes(DType type) { return type == DType::kQ8_0 ? 32 : 16; }

class Generator {
 public:
  explicit Generator(std::mt19937_64& random) : random_(random) {}

  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_() % end); }

  /// Mostly between 2^-8 and 1; one in eight is zero or subnormal.
  std::uint16_t half() {
    const std::uint32_t kind = below(16);
    const std::uint32_t exponent = kind < 2 ? 0 : 7 + below(8);
    const std::uint32_t fraction = kind == 0 ? 0 : below(1024);
    return static_cast<std::uint16_t>(below(2) << 15 | exponent << 10 | fraction);
  }
  std::uint16_t bfloat() {
    const std::uint32_t exponent = below(16) == 0 ? 0 : 119 + below(8);
    return static_cast<std::uint16_t>(below(2) << 15 | exponent << 7 | below(128));
  }
  float single() { return std::uniform_real_distribution<float>(-1, 1)(random_); }

 private:
  std::mt19937_64& random_;
};

}  // namespace

Weights random_weights(DType type, std::uint32_t rows, std::uint32_t columns,
                       std::mt19937_64& random) {
  Generator generate(random);
  Weights weights{type, rows, columns, {}, {}};
  const auto append = [&](const auto& value) {
    const auto* data = static_cast<const std::byte*>(static_cast<const void*>(&value));
    weights.bytes.insert(weights.bytes.end(), data, data + sizeof(value));
  };
  const std::size_t blocks = std::size_t{rows} * columns / block_elements(type);
  for (std::size_t b = 0; b < blocks; ++b) {
    switch (type) {
      case DType::kF32: append(generate.single()); break;
      case DType::kF16: append(generate.half()); break;
      case DType::kBF16: append(generate.bfloat()); break;
      default:
        append(generate.half());
        for (std::size_t i = 0; i < quant_bytes(type); ++i) {
          append(static_cast<std::uint8_t>(generate.below(256)));
        }
    }
  }
  weights.values = decode(type, weights.bytes);
  return weights;
}

std::vector<double> decode(DType type, const std::vector<std::byte>& bytes) {
  std::vector<double> values;
  for (std::size_t at = 0; at < bytes.size(); at += block_bytes(type)) {
    const std::byte* const block = bytes.data() + at;
    switch (type) {
      case DType::kF32: values.push_back(read<float>(block)); break;
      case DType::kF16: values.push_back(value_of_half(read<std::uint16_t>(block))); break;
      case DType::kBF16: values.push_back(value_of_bfloat(read<std::uint16_t>(block))); break;
      default: {
        const double scale = value_of_half(read<std::uint16_t>(block));
        for (std::size_t i = 0; i < 32; ++i) {
          const int byte = static_cast<int>(block[2 + i % quant_bytes(type)]);
          const int q8 = byte < 128 ? byte : byte - 256;
          const int q4 = (i < 16 ? byte % 16 : byte / 16) - 8;
          values.push_back(scale * (type == DType::kQ8_0 ? q8 : q4));
        }
      }
    }
  }
  return values;
}

std::vector<std::byte> in_tiles(const Weights& weights) {
  const std::size_t quants = quant_bytes(weights.type);
  const std::size_t blocks = weights.columns / 32;
  const std::size_t tiles = (weights.rows + 15) / 16;
  const bool q8 = weights.type == DType::kQ8_0;
  std::vector<std::byte> result;
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    for (std::size_t b = 0; b < blocks; ++b) {
      const auto stored = [&](std::size_t row_in_tile, std::size_t byte) {
        const std::size_t row = tile * 16 + row_in_tile;
        const bool quant = byte >= 2;
        if (row >= weights.rows) {
          if (!quant) return std::byte{0};
          return q8 ? std::byte{0x80} : std::byte{0x88};
        }
        const std::byte value = weights.bytes[(row * blocks + b) * (2 + quants) + byte];
        return quant && q8 ? value ^ std::byte{0x80} : value;
      };
      for (std::size_t row = 0; row < 16; ++row) {
        result.push_back(stored(row, 0));
        result.push_back(stored(row, 1));
      }
      for (std::size_t group = 0; group < quants; group += 4) {
        for (std::size_t row = 0; row < 16; ++row) {
          for (std::size_t i = 0; i < 4; ++i) result.push_back(stored(row, 2 + group + i));
        }
      }
    }
  }
  return result;
}

}  // namespace segue::test
