// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

struct Shape {
  std::uint32_t tokens, heads, kv_heads, head_size, position;
};
constexpr Shape kShapes[] = {
    {1, 6, 2, 32, 0},   {1, 6, 2, 32, 14},  {1, 6, 2, 32, 15},   {1, 6, 2, 32, 16},
    {1, 6, 2, 32, 99},  {7, 6, 2, 32, 0},   {5, 6, 2, 32, 11},   {1, 6, 2, 32, 255},
    {1, 6, 2, 32, 256}, {1, 6, 2, 32, 700}, {3, 4, 4, 64, 30},   {2, 8, 1, 128, 5},
    {4, 3, 3, 80, 9},   {2, 2, 1, 1, 20},   {3, 5, 5, 7, 33},    {2, 4, 2, 17, 40},
    {2, 4, 2, 50, 40},  {1, 2, 1, 256, 3},  {2, 2, 2, 100, 510}, {1, 1, 1, 16, 2000},
};

/// A cache of float or half numbers, and what they mean.
struct Cache {
  std::vector<float> floats;
  std::vector<std::uint16_t> halves;
  std::vector<double> values;

  Cache(std::size_t count, bool half, RandomFloats& random) : floats(random.normal(count)) {
    for (const float value : floats) {
      if (half) halves.push_back(oracle::half_bits(value));
      values.push_back(half ? oracle::half_value(halves.back()) : value);
    }
  }
  [[nodiscard]] host::KernelArgument argument() const {
    return halves.empty() ? buffer_argument(floats) : buffer_argument(halves);
  }
};

/// Scores spread by `sharpness`; results are averages of values of about 1.
void check(bool half, float sharpness, double tolerance) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const KernelSource& kernel = find_kernel(kernels, half ? "attention_f16" : "attention_f32");
    for (const Shape& shape : kShapes) {
      const std::size_t cache_count =
          std::size_t{shape.position + shape.tokens} * shape.kv_heads * shape.head_size;
      const Cache keys(cache_count, half, random);
      const Cache values(cache_count, half, random);
      const std::size_t groups = std::size_t{shape.tokens} * shape.heads;
      const std::vector<float> q = random.normal(groups * shape.head_size, sharpness);
      const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_size));
      const base::AttentionParams size{shape.tokens,    shape.heads,    shape.kv_heads,
                                       shape.head_size, shape.position, scale};
      const auto y = run_kernel<float>(
          kernel,
          {buffer_argument(q), keys.argument(), values.argument(), {}, bytes_argument(size)}, 3,
          q.size(), groups);
      SCOPED_TRACE(::testing::Message()
                   << shape.head_size << " columns, position " << shape.position);
      expect_close(y,
                   oracle::attention(q, keys.values, values.values,
                                     {shape.tokens, shape.heads, shape.kv_heads, shape.head_size,
                                      shape.position, scale}),
                   0, tolerance);
    }
  });
}

TEST(AttentionKernels, AnF32CacheIsAveragedBySoftmaxOfTheScores) { check(false, 1.0F, 3e-6); }

TEST(AttentionKernels, AnF16CacheIsAveragedBySoftmaxOfTheScores) { check(true, 1.0F, 3e-6); }

TEST(AttentionKernels, SharpScoresStayAccurate) { check(false, 20.0F, 1e-4); }

TEST(AttentionKernels, ScoresThatGrowChunkByChunkRescaleTheSums) {
  // Every key is larger than all before it, so that each chunk has a new largest score; and then
  // the reverse.
  constexpr std::uint32_t kRows = 1100;
  for (const bool rising : {true, false}) {
    std::vector<float> keys(kRows);
    std::vector<float> values(kRows);
    for (std::uint32_t row = 0; row < kRows; ++row) {
      keys[row] = 0.01F * static_cast<float>(rising ? row : kRows - row);
      values[row] = std::sin(static_cast<float>(row));
    }
    const std::vector<float> q = {1.0F};
    const std::vector<double> want = oracle::attention(
        q, std::vector<double>(keys.begin(), keys.end()),
        std::vector<double>(values.begin(), values.end()), {1, 1, 1, 1, kRows - 1, 1.0});
    const base::AttentionParams size{1, 1, 1, 1, kRows - 1, 1.0F};
    for_each_simd([&](std::span<const KernelSource> kernels) {
      const auto y = run_kernel<float>(find_kernel(kernels, "attention_f32"),
                                       {buffer_argument(q),
                                        buffer_argument(keys),
                                        buffer_argument(values),
                                        {},
                                        bytes_argument(size)},
                                       3, 1, 1);
      expect_close(y, want, 0, 2e-6);
    });
  }
}

TEST(AttentionKernels, APositionBeyondTheCacheReadsItsLastRowsOnly) {
  RandomFloats random(test_seed());
  constexpr std::uint32_t kRows = 5;
  const std::vector<float> q = random.normal(2 * 2 * 8);
  const Cache keys(std::size_t{kRows} * 8, false, random);
  const Cache values(std::size_t{kRows} * 8, false, random);
  // What lies behind the views must not count.
  std::vector<float> all_keys = keys.floats;
  std::vector<float> all_values = values.floats;
  all_keys.resize(4096, NAN);
  all_values.resize(4096, NAN);
  const auto view_of = [](const std::vector<float>& all, std::size_t rows) {
    return buffer_argument(std::span(all).first(rows * 8));
  };
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const KernelSource& kernel = find_kernel(kernels, "attention_f32");
    const auto attend = [&](std::uint32_t position, std::size_t key_rows, std::size_t value_rows) {
      const base::AttentionParams size{2, 2, 1, 8, position, 0.3F};
      return run_kernel<float>(kernel,
                               {buffer_argument(q),
                                view_of(all_keys, key_rows),
                                view_of(all_values, value_rows),
                                {},
                                bytes_argument(size)},
                               3, q.size(), 4);
    };
    for (const std::uint32_t position : {4U, 5U, 100U, 1U << 20, UINT32_MAX}) {
      // Both tokens see all rows there are; the oracle is asked about each by itself.
      const auto y = attend(position, kRows, kRows);
      for (const std::size_t t : {0U, 1U}) {
        expect_close(std::span(y).subspan(t * 16, 16),
                     oracle::attention(std::span(q).subspan(t * 16, 16), keys.values, values.values,
                                       {1, 2, 1, 8, kRows - 1, 0.3F}),
                     0, 3e-6);
      }
    }
    EXPECT_EQ(attend(100, kRows, 3), attend(100, 3, kRows)) << "the shorter cache decides";
    for (const float value : attend(100, 0, kRows)) EXPECT_TRUE(std::isnan(value));
  });
}

}  // namespace
}  // namespace segue::test
