// SPDX-License-Identifier: Apache-2.0
//
// Kernels that move rows or work element by element.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/vulkan/kernels/kernel_runner.hpp"

namespace segue::test {
namespace {

using oracle::Format;

class VulkanElementwiseKernels : public VulkanKernelTest {};

TEST_F(VulkanElementwiseKernels, OperandsOfOneShapeOrARepeatedRow) {
  struct Shape {
    std::uint32_t rows, columns;
  };
  constexpr Shape kShapes[] = {{1, 1},   {1, 15},   {1, 16},   {1, 192},  {1, 513}, {3, 17},
                               {7, 192}, {5, 1023}, {2, 1024}, {3, 1025}, {9, 4},   {4099, 3}};
  for (const Shape shape : kShapes) {
    for (const bool one_row : {false, true}) {
      const std::uint32_t count = shape.rows * shape.columns;
      const std::uint32_t period = one_row ? shape.columns : count;
      const std::vector<float> a = normal(count, 4.0F);
      const std::vector<float> b = normal(period);
      const base::ElementwiseParams size{count, period};
      std::vector<double> sums(count), products(count), gated(count);
      for (std::uint32_t i = 0; i < count; ++i) {
        sums[i] = double{a[i]} + b[i % period];
        products[i] = double{a[i]} * b[i % period];
        gated[i] = oracle::silu(a[i]) * b[i % period];
      }
      std::vector<float> y(count);
      run("add", {read(a), read(b), write(y)}, size, count);
      expect_close(y, sums, 6e-8, 0);
      run("mul", {read(a), read(b), write(y)}, size, count);
      expect_close(y, products, 6e-8, 0);
      run("silu_mul", {read(a), read(b), write(y)}, size, count);
      expect_close(y, gated, 6e-7, 0);
      std::vector<float> both = a;
      run("add", {read(both), read(b), write(both)}, size, count);
      expect_close(both, sums, 6e-8, 0);
    }
  }
}

TEST_F(VulkanElementwiseKernels, SiluIsAccurateOverItsWholeRange) {
  std::vector<float> x;
  for (float value = -87.0F; value < 100.0F; value += 0.0371F) x.push_back(value);
  for (const float value : {0.0F, -0.0F, 1e-30F, -1e-30F, 1e4F, 3e38F}) x.push_back(value);
  std::vector<double> want;
  for (const float value : x) want.push_back(oracle::silu(value));
  const auto count = static_cast<std::uint32_t>(x.size());
  std::vector<float> y(count);
  run("silu", {read(x), write(y)}, base::ElementwiseParams{count, count}, count);
  expect_close(y, want, 6e-7, 0);
}

TEST_F(VulkanElementwiseKernels, SiluVanishesFarBelowZeroAndKeepsNan) {
  const std::vector<float> x = {-90.0F, -1e4F, -3e38F, std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> y(4);
  run("silu", {read(x), write(y)}, base::ElementwiseParams{4, 4}, 4);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(std::fabs(y[i]), 1e-36F);
  EXPECT_TRUE(std::isnan(y[3]));
}

struct Table {
  Format format;
  const char* type;
  std::size_t block_columns, block_bytes;
};
constexpr Table kTables[] = {{Format::kF32, "f32", 1, 4},
                             {Format::kF16, "f16", 1, 2},
                             {Format::kBF16, "bf16", 1, 2},
                             {Format::kQ8_0, "q8_0", 32, 34},
                             {Format::kQ4_0, "q4_0", 32, 18}};

class VulkanEmbeddingKernels : public VulkanKernelTest {
 protected:
  /// Bytes of any content, but scales and 16-bit numbers of moderate size, so that no value is NaN.
  std::vector<std::byte> random_table(const Table& table, std::size_t blocks) {
    std::vector<std::byte> bytes(blocks * table.block_bytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(below(256));
    for (std::size_t block = 0; block < bytes.size(); block += table.block_bytes) {
      const std::size_t high_byte = block + (table.format == Format::kF32 ? 3 : 1);
      bytes[high_byte] &= std::byte{0xBF};  // An exponent below that of infinity.
    }
    return bytes;
  }
};

/// Whether `got` is `want`, or zero where `want` is so small that a device may flush it.
bool equal_or_flushed(float got, double want) {
  return got == static_cast<float>(want) || (got == 0.0F && std::fabs(want) < 1.2e-38);
}

TEST_F(VulkanEmbeddingKernels, RowsAreGatheredExactly) {
  constexpr std::uint32_t kVocabulary = 11;
  for (const Table& table : kTables) {
    for (const std::uint32_t columns : {1U, 15U, 17U, 32U, 96U, 192U, 250U, 2048U}) {
      if (columns % table.block_columns != 0) continue;
      const auto bytes = random_table(table, kVocabulary * columns / table.block_columns);
      const std::vector<double> values =
          oracle::decode(table.format, bytes, std::size_t{kVocabulary} * columns);
      const std::vector<std::uint32_t> tokens = {3, 0, kVocabulary - 1, kVocabulary, 7, UINT32_MAX};
      std::vector<float> y(tokens.size() * columns);
      run(std::string("embedding_") + table.type, {read(tokens), read(bytes), write(y)},
          base::EmbeddingParams{6, kVocabulary, columns}, 6);
      std::vector<float> row(columns);
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        run(std::string("embedding_token_") + table.type, {read(bytes), write(row)},
            base::EmbeddingTokenParams{tokens[t], kVocabulary, columns}, 1);
        for (std::size_t c = 0; c < columns; ++c) {
          if (tokens[t] >= kVocabulary) {
            ASSERT_TRUE(std::isnan(y[t * columns + c])) << table.type;
            ASSERT_TRUE(std::isnan(row[c])) << table.type;
            continue;
          }
          const double want = values[std::size_t{tokens[t]} * columns + c];
          ASSERT_TRUE(equal_or_flushed(y[t * columns + c], want))
              << table.type << ", " << columns << " columns: " << y[t * columns + c] << " and not "
              << want;
          ASSERT_TRUE(equal_or_flushed(row[c], want)) << table.type << ", " << columns;
        }
      }
    }
  }
}

class VulkanKvAppendKernels : public VulkanKernelTest {};

TEST_F(VulkanKvAppendKernels, RowsArriveAtTheirPlaceAndOthersStay) {
  struct Shape {
    std::uint32_t tokens, columns, position, context;
  };
  constexpr Shape kShapes[] = {{1, 64, 0, 8}, {1, 64, 7, 8}, {5, 64, 2, 8},   {3, 7, 1, 5},
                               {2, 33, 0, 2}, {1, 1, 3, 4},  {2, 2048, 1, 4}, {3, 6, 2, 4}};
  for (const Shape& shape : kShapes) {
    const std::vector<float> x = normal(std::size_t{shape.tokens} * shape.columns);
    std::vector<float> want = normal(std::size_t{shape.context} * shape.columns);
    std::vector<float> cache = want;
    std::vector<std::uint16_t> halves(want.size(), 0x3C00);
    std::vector<std::uint16_t> want_halves = halves;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t at = std::size_t{shape.position} * shape.columns + i;
      if (at >= want.size()) break;  // A row that the cache has not.
      want[at] = x[i];
      want_halves[at] = oracle::half_bits(x[i]);
    }
    const base::KvAppendParams size{shape.tokens, shape.columns, shape.position};
    run("kv_append_f32", {read(x), write(cache)}, size, shape.tokens);
    run("kv_append_f16", {read(x), write(halves)}, size, shape.tokens);
    EXPECT_EQ(cache, want);
    EXPECT_EQ(halves, want_halves);
  }
}

TEST_F(VulkanKvAppendKernels, TheWholeRangeOfF16IsRoundedRight) {
  std::vector<float> x;
  // Halves, and points just off and on the middle.
  for (std::uint32_t bits = 0; bits < 0x7C00; bits += 7) {
    const double half = oracle::half_value(static_cast<std::uint16_t>(bits));
    const double next = oracle::half_value(static_cast<std::uint16_t>(bits + 1));
    for (const double part : {0.0, 0.25, 0.5, 0.75}) {
      if (bits + 1 < 0x7C00) x.push_back(static_cast<float>(half + part * (next - half)));
    }
  }
  for (const float value : {65504.0F, 65519.9F, 65520.0F, 1e9F, 1e-9F, 5.9e-8F, 0.0F})
    x.push_back(value);
  const std::size_t positive = x.size();
  for (std::size_t i = 0; i < positive; ++i) x.push_back(-x[i]);
  for (const std::size_t drop : {std::size_t{0}, std::size_t{1}}) {  // Rows of quads and others.
    x.resize(x.size() - drop);
    std::vector<std::uint16_t> cache(x.size());
    const base::KvAppendParams size{1, static_cast<std::uint32_t>(x.size()), 0};
    run("kv_append_f16", {read(x), write(cache)}, size, 1);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(cache[i], oracle::half_bits(x[i])) << x[i];
  }
}

TEST_F(VulkanKvAppendKernels, RowsOutsideTheCacheAreNotWritten) {
  for (const std::uint32_t columns : {9U, 8U}) {
    constexpr std::uint32_t kRows = 4;
    const std::vector<float> x(std::size_t{3} * columns, 2.0F);
    for (const std::uint32_t position : {2U, 3U, 4U, 5U, 1U << 20, UINT32_MAX - 1, UINT32_MAX}) {
      std::vector<float> cache(std::size_t{kRows} * columns, 7.0F);
      run("kv_append_f32", {read(x), write(cache)}, base::KvAppendParams{3, columns, position}, 3);
      for (std::size_t i = 0; i < cache.size(); ++i)
        EXPECT_EQ(cache[i], i / columns >= position ? 2.0F : 7.0F) << position << ", " << i;
    }
  }
}

class VulkanAdvanceKernel : public VulkanKernelTest {};

TEST_F(VulkanAdvanceKernel, MovesTheStateOnAndStaysInsideItsRing) {
  std::vector<std::uint32_t> state = {5, 99};
  std::vector<std::uint32_t> ring(4);
  const auto advance = [&](std::uint32_t token, std::uint32_t ring_size) {
    const std::vector<std::uint32_t> drawn = {token};
    run("advance", {read(drawn), write(state), write(ring)}, base::AdvanceParams{ring_size}, 1);
  };
  for (std::uint32_t token = 10; token < 16; ++token) advance(token, 4);
  EXPECT_EQ(state, (std::vector<std::uint32_t>{11, 15}));
  EXPECT_EQ(ring, (std::vector<std::uint32_t>{13, 14, 15, 12}));  // from slot 1 on

  ring.assign(4, 7);
  state = {UINT32_MAX, 0};
  advance(3, 0);  // A ring of no slots takes nothing.
  EXPECT_EQ(state, (std::vector<std::uint32_t>{0, 3}));
  state[0] = 8;
  advance(4, 16);  // Slot 8 of 16, of which the view has four.
  EXPECT_EQ(state, (std::vector<std::uint32_t>{9, 4}));
  EXPECT_EQ(ring, std::vector<std::uint32_t>(4, 7));
}

}  // namespace
}  // namespace segue::test
