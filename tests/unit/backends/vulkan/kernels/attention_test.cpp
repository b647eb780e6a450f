// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/vulkan/kernels/kernel_runner.hpp"

namespace segue::test {
namespace {

struct Shape {
  std::uint32_t tokens, heads, kv_heads, head_size, position;
};
constexpr Shape kShapes[] = {
    {1, 6, 2, 32, 0},    {1, 6, 2, 32, 14},   {1, 6, 2, 32, 15},   {1, 6, 2, 32, 16},
    {1, 6, 2, 32, 99},   {7, 6, 2, 32, 0},    {5, 6, 2, 32, 11},   {1, 6, 2, 32, 255},
    {1, 6, 2, 32, 256},  {1, 6, 2, 32, 700},  {3, 4, 4, 64, 30},   {2, 8, 1, 128, 5},
    {4, 3, 3, 80, 9},    {2, 2, 1, 1, 20},    {3, 5, 5, 7, 33},    {2, 4, 2, 17, 40},
    {2, 4, 2, 50, 40},   {1, 2, 1, 256, 3},   {2, 2, 2, 100, 510}, {1, 1, 1, 16, 2000},
    {1, 2, 1, 600, 40},  {40, 6, 2, 32, 0},   {70, 4, 2, 64, 3},   {33, 2, 1, 128, 100},
    {65, 2, 2, 80, 0},   {64, 3, 1, 7, 5},    {130, 2, 1, 64, 0},  {96, 8, 2, 64, 31},
    {33, 1, 1, 256, 10}, {20, 8, 1, 192, 60},
};

class VulkanAttentionKernels : public VulkanKernelTest {
 protected:
  /// A cache of float or half numbers, and what they mean.
  struct Cache {
    std::vector<float> floats;
    std::vector<std::uint16_t> halves;
    std::vector<double> values;
    [[nodiscard]] Argument argument() const { return halves.empty() ? read(floats) : read(halves); }
  };

  Cache random_cache(std::size_t count, bool half) {
    Cache cache{normal(count), {}, {}};
    for (const float value : cache.floats) {
      if (half) cache.halves.push_back(oracle::half_bits(value));
      cache.values.push_back(half ? oracle::half_value(cache.halves.back()) : value);
    }
    return cache;
  }

  /// Scores spread by `sharpness`; results are averages of values of about 1.
  void check(bool half, float sharpness, double tolerance) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(::testing::Message() << shape.tokens << " tokens, " << shape.head_size
                                        << " columns, position " << shape.position);
      // Some rows more than are read: they must not count.
      const std::size_t rows = shape.position + shape.tokens + 3;
      const std::size_t cache_count = rows * shape.kv_heads * shape.head_size;
      const Cache keys = random_cache(cache_count, half);
      const Cache values = random_cache(cache_count, half);
      const std::size_t pairs = std::size_t{shape.tokens} * shape.heads;
      const std::vector<float> q = normal(pairs * shape.head_size, sharpness);
      const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_size));
      std::vector<float> y(q.size());
      run(half ? "attention_f16" : "attention_f32",
          {read(q), keys.argument(), values.argument(), write(y)},
          base::AttentionParams{shape.tokens, shape.heads, shape.kv_heads, shape.head_size,
                                shape.position, scale},
          pairs);
      expect_close(y,
                   oracle::attention(q, keys.values, values.values,
                                     {shape.tokens, shape.heads, shape.kv_heads, shape.head_size,
                                      shape.position, scale}),
                   0, tolerance);
    }
  }
};

TEST_F(VulkanAttentionKernels, AnF32CacheIsAveragedBySoftmaxOfTheScores) {
  check(false, 1.0F, 3e-6);
}

TEST_F(VulkanAttentionKernels, AnF16CacheIsAveragedBySoftmaxOfTheScores) {
  check(true, 1.0F, 3e-6);
}

TEST_F(VulkanAttentionKernels, SharpScoresStayAccurate) { check(false, 20.0F, 1e-4); }

TEST_F(VulkanAttentionKernels, TilesOfManyTokensGiveTheSame) {
  // Whatever this device is tuned to: small groups, and tiles from 2 tokens on.
  set_constants({{0, 64U}, {2, 2U}});
  check(false, 1.0F, 3e-6);
  check(true, 1.0F, 3e-6);
  check(false, 20.0F, 1e-4);
}

TEST_F(VulkanAttentionKernels, LargeGroupsGiveTheSame) {
  set_constants({{0, 512U}, {2, 0U}});
  check(false, 1.0F, 3e-6);
}

TEST_F(VulkanAttentionKernels, ScoresThatGrowRescaleTheSums) {
  // Every key is larger than all before it, so that each row has a new largest score; and then the
  // reverse.
  constexpr std::uint32_t kRows = 1100;
  for (const std::uint32_t head_size : {1U, 4U}) {
    for (const bool rising : {true, false}) {
      std::vector<float> keys(std::size_t{kRows} * head_size);
      std::vector<float> values(keys.size());
      for (std::uint32_t row = 0; row < kRows; ++row) {
        keys[std::size_t{row} * head_size] = 0.01F * static_cast<float>(rising ? row : kRows - row);
        values[std::size_t{row} * head_size] = std::sin(static_cast<float>(row));
      }
      std::vector<float> q(head_size);
      q[0] = 1.0F;
      std::vector<float> y(head_size);
      run("attention_f32", {read(q), read(keys), read(values), write(y)},
          base::AttentionParams{1, 1, 1, head_size, kRows - 1, 1.0F}, 1);
      expect_close(y,
                   oracle::attention(q, std::vector<double>(keys.begin(), keys.end()),
                                     std::vector<double>(values.begin(), values.end()),
                                     {1, 1, 1, head_size, kRows - 1, 1.0}),
                   0, 2e-6);
    }
  }
}

TEST_F(VulkanAttentionKernels, APositionBeyondTheCacheReadsItsLastRowsOnly) {
  for (const std::uint32_t tokens : {2U, 40U}) {
    if (tokens != 2) set_constants({{0, 64U}, {2, 32U}});  // Tiles.
    for (const std::uint32_t head_size : {8U, 9U}) {
      const std::uint32_t columns = head_size;
      constexpr std::uint32_t kRows = 5;
      const std::vector<float> q = normal(std::size_t{tokens} * 2 * head_size);
      const Cache keys = random_cache(std::size_t{kRows} * columns, false);
      const Cache values = random_cache(std::size_t{kRows} * columns, false);
      const auto attend = [&](std::uint32_t position, std::size_t key_rows,
                              std::size_t value_rows) {
        const std::vector<float> some_keys(keys.floats.begin(),
                                           keys.floats.begin() + long(key_rows * columns));
        const std::vector<float> some_values(values.floats.begin(),
                                             values.floats.begin() + long(value_rows * columns));
        std::vector<float> y(q.size());
        run("attention_f32", {read(q), read(some_keys), read(some_values), write(y)},
            base::AttentionParams{tokens, 2, 1, head_size, position, 0.3F}, tokens * 2);
        return y;
      };
      for (const std::uint32_t position : {4U, 5U, 100U, 1U << 20, UINT32_MAX}) {
        // All tokens see all rows there are; the oracle is asked about each by itself.
        const std::vector<float> y = attend(position, kRows, kRows);
        const std::size_t token_size = std::size_t{2} * head_size;
        for (std::size_t t = 0; t < tokens; ++t) {
          expect_close(
              std::span(y).subspan(t * token_size, token_size),
              oracle::attention(std::span(q).subspan(t * token_size, token_size), keys.values,
                                values.values, {1, 2, 1, head_size, kRows - 1, 0.3F}),
              0, 3e-6);
        }
      }
      EXPECT_EQ(attend(100, kRows, 3), attend(100, 3, kRows)) << "the shorter cache decides";
    }
  }
}

TEST_F(VulkanAttentionKernels, WithoutARowOfItsOwnAHeadIsNan) {
  const std::vector<float> q = normal(2 * 2 * 8);
  const std::vector<float> values = normal(3 * 8);
  const std::vector<float> half_a_row(4);
  std::vector<float> y(q.size());
  run("attention_f32", {read(q), read(half_a_row), read(values), write(y)},
      base::AttentionParams{2, 2, 1, 8, 100, 0.3F}, 4);
  for (const float value : y) EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace segue::test
