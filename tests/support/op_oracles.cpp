// SPDX-License-Identifier: Apache-2.0
#include "support/op_oracles.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace segue::test::oracle {

double half_value(std::uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  if (exponent == 31)
    return fraction != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

std::uint16_t half_bits(double value) {
  const unsigned sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00);
  if (magnitude >= 65520.0) return static_cast<std::uint16_t>(sign | 0x7C00);
  // Neighbours are 2^(e - 10) apart for 2^e <= magnitude < 2^(e + 1), and 2^-24 below 2^-14.
  const int e = std::max(magnitude == 0.0 ? -14 : std::ilogb(magnitude), -14);
  const double steps = std::nearbyint(std::ldexp(magnitude, 10 - e));
  return static_cast<std::uint16_t>(sign + static_cast<unsigned>((e + 14) * 1024) +
                                    static_cast<unsigned>(steps));
}

std::vector<double> decode(Format format, std::span<const std::byte> bytes, std::size_t count) {
  std::vector<double> values(count);
  const auto bits16 = [&](std::size_t offset) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[offset]) |
                                      std::to_integer<unsigned>(bytes[offset + 1]) << 8);
  };
  for (std::size_t i = 0; i < count; ++i) {
    switch (format) {
      case Format::kF32: {
        float value = 0;
        std::memcpy(&value, &bytes[4 * i], 4);
        values[i] = value;
        break;
      }
      case Format::kF16: values[i] = half_value(bits16(2 * i)); break;
      case Format::kBF16: {
        const std::uint32_t bits = std::uint32_t{bits16(2 * i)} << 16;
        float value = 0;
        std::memcpy(&value, &bits, 4);
        values[i] = value;
        break;
      }
      case Format::kQ8_0: {
        const std::size_t block = i / 32 * 34;
        values[i] =
            half_value(bits16(block)) * std::to_integer<std::int8_t>(bytes[block + 2 + i % 32]);
        break;
      }
      case Format::kQ4_0: {
        const std::size_t block = i / 32 * 18;
        const int pair = std::to_integer<int>(bytes[block + 2 + i % 16]);
        values[i] = half_value(bits16(block)) * ((i % 32 < 16 ? pair % 16 : pair / 16) - 8);
        break;
      }
    }
  }
  return values;
}

std::vector<double> rms_norm(std::span<const float> x, std::span<const float> weight,
                             std::size_t rows, std::size_t columns, double epsilon) {
  std::vector<double> y(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (std::size_t c = 0; c < columns; ++c)
      squares += double{x[r * columns + c]} * x[r * columns + c];
    const double root = std::sqrt(squares / static_cast<double>(columns) + epsilon);
    for (std::size_t c = 0; c < columns; ++c) {
      y[r * columns + c] = x[r * columns + c] / root * (weight.empty() ? 1.0 : double{weight[c]});
    }
  }
  return y;
}

double silu(double x) { return x / (1.0 + std::exp(-x)); }

std::vector<double> softmax(std::span<const float> x, std::size_t rows, std::size_t columns) {
  std::vector<double> y(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto row = x.subspan(r * columns, columns);
    const double largest = *std::ranges::max_element(row);
    double sum = 0;
    for (const float value : row) sum += std::exp(value - largest);
    for (std::size_t c = 0; c < columns; ++c) y[r * columns + c] = std::exp(row[c] - largest) / sum;
  }
  return y;
}

std::uint32_t argmax(std::span<const float> row) {
  std::size_t best = row.size();
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (!std::isnan(row[i]) && (best == row.size() || row[i] > row[best])) best = i;
  }
  return best == row.size() ? 0 : static_cast<std::uint32_t>(best);
}

std::vector<double> rope(std::span<const float> x, const Rope& shape) {
  std::vector<double> y(x.begin(), x.end());
  for (std::size_t t = 0; t < shape.tokens; ++t) {
    for (std::size_t h = 0; h < shape.heads; ++h) {
      const std::size_t head = (t * shape.heads + h) * shape.head_size;
      for (std::size_t i = 0; i < shape.rotated / 2; ++i) {
        const std::size_t a = head + (shape.neox ? i : 2 * i);
        const std::size_t b = head + (shape.neox ? i + shape.rotated / 2 : 2 * i + 1);
        const long double exponent =
            -2.0L * static_cast<long double>(i) / static_cast<long double>(shape.rotated);
        const long double angle = static_cast<long double>(shape.position + t) *
                                  std::pow(static_cast<long double>(shape.base), exponent);
        const auto c = static_cast<double>(std::cos(angle));
        const auto s = static_cast<double>(std::sin(angle));
        y[a] = x[a] * c - x[b] * s;
        y[b] = x[a] * s + x[b] * c;
      }
    }
  }
  return y;
}

std::vector<double> attention(std::span<const float> q, std::span<const double> keys,
                              std::span<const double> values, const Attention& shape) {
  std::vector<double> y(q.size());
  for (std::size_t t = 0; t < shape.tokens; ++t) {
    for (std::size_t h = 0; h < shape.heads; ++h) {
      const std::size_t head = (t * shape.heads + h) * shape.head_size;
      const std::size_t kv_head = h / (shape.heads / shape.kv_heads);
      const auto at = [&](std::span<const double> cache, std::size_t row, std::size_t d) {
        return cache[(row * shape.kv_heads + kv_head) * shape.head_size + d];
      };
      std::vector<double> weights(shape.position + t + 1);
      for (std::size_t row = 0; row < weights.size(); ++row) {
        double dot = 0;
        for (std::size_t d = 0; d < shape.head_size; ++d) dot += q[head + d] * at(keys, row, d);
        weights[row] = dot * shape.scale;
      }
      const double largest = *std::ranges::max_element(weights);
      double sum = 0;
      for (double& weight : weights) sum += weight = std::exp(weight - largest);
      for (std::size_t d = 0; d < shape.head_size; ++d) {
        double total = 0;
        for (std::size_t row = 0; row < weights.size(); ++row)
          total += weights[row] * at(values, row, d);
        y[head + d] = total / sum;
      }
    }
  }
  return y;
}

std::vector<double> sample_probabilities(std::span<const float> row, const Sample& options,
                                         double* margin) {
  std::vector<std::size_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](std::size_t i) {
    return std::isnan(row[i]) ? -std::numeric_limits<double>::infinity() : double{row[i]};
  };
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;  // the first of equals first
  });
  if (options.top_k != 0 && options.top_k < order.size()) order.resize(options.top_k);

  std::vector<double> weights(order.size());
  double sum = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double distance = logit(order[i]) - logit(order[0]);
    sum += weights[i] =
        logit(order[i]) == logit(order[0]) ? 1.0 : std::exp(distance / options.temperature);
  }
  std::size_t kept = order.size();
  double kept_sum = sum;
  if (options.top_p < 1.0) {
    double reached = 0;
    for (kept = 0; kept < order.size() && (kept == 0 || reached < options.top_p * sum);) {
      reached += weights[kept++];
      if (margin != nullptr) *margin = std::min(*margin, std::fabs(reached / sum - options.top_p));
    }
    kept_sum = reached;
  }
  std::vector<double> probabilities(row.size());
  for (std::size_t i = 0; i < kept; ++i) probabilities[order[i]] = weights[i] / kept_sum;
  return probabilities;
}

Drawn sample(std::span<const float> row, const Sample& options) {
  Drawn drawn{0, 1.0};
  if (options.temperature <= 0) return {argmax(row), 1.0};
  const std::vector<double> probabilities = sample_probabilities(row, options, &drawn.margin);

  // SplitMix64: the state grows by the golden ratio's bits at each number; output is the state,
  // mixed.
  std::uint64_t z = options.seed;
  for (std::uint64_t i = 0; i <= options.step; ++i) z += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  const double point = std::ldexp(static_cast<double>((z ^ z >> 31) >> 11), -53);

  double end = 0;
  bool found = false;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] == 0) continue;
    end += probabilities[i];
    drawn.margin = std::min(drawn.margin, std::fabs(end - point));
    if (!found) drawn.token = static_cast<std::uint32_t>(i);
    found = found || end > point;
  }
  return drawn;
}

}  // namespace segue::test::oracle
