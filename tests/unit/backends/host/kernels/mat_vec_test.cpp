// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/mat_vec.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <hwy/highway.h>

#include "base/op_params.hpp"
#include "segue/tensor.hpp"
#include "support/run_host_kernel.hpp"
#include "support/simd_kernels.hpp"
#include "support/test_seed.hpp"
#include "support/weights.hpp"
#include "unit/backends/host/kernels/mat_vec_check.hpp"

namespace segue::test {
namespace {

/// Calls `check(kernel, product)` for every product of every instruction set.
template <class Check>
void for_each_kernel(Check check) {
  for (const SimdKernels& build : builds()) {
    for (const Product& product : products()) {
      SCOPED_TRACE(build.name + " " + product.kernel);
      check(find_kernel(build.kernels, product.kernel), product);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

/// Runs groups [begin, end) over `y`.
void multiply(const KernelSource& kernel, std::span<const std::byte> weights,
              std::span<const float> x, std::span<float> y, base::MatMulParams size,
              std::uint64_t begin, std::uint64_t end) {
  const std::array arguments = {buffer_argument(weights), buffer_argument(x), buffer_argument(y),
                                bytes_argument(size)};
  run_host_groups(kernel, arguments, groups_for(kernel, size.rows), begin, end);
}

std::vector<float> multiply(const KernelSource& kernel, std::span<const std::byte> weights,
                            std::span<const float> x, base::MatMulParams size) {
  std::vector<float> y(std::size_t{size.tokens} * size.rows, NAN);
  multiply(kernel, weights, x, y, size, 0, groups_for(kernel, size.rows).x);
  return y;
}

/// Compares y with double-precision sums. The allowance for float arithmetic is that of a sum in
/// any order: columns + 16 roundings (the products', scales' and conversions' among them) of at
/// most 2^-24 of the sum of magnitudes each.
void expect_products(const Weights& weights, const Product& product, std::span<const float> x,
                     std::span<const float> y) {
  constexpr double kRounding = 0x1p-24;
  constexpr float kSubnormalSpacing = std::numeric_limits<float>::denorm_min();
  const std::size_t columns = weights.columns;
  const std::size_t tokens = y.size() / weights.rows;
  for (std::size_t t = 0; t < tokens; ++t) {
    const auto exact_x = x.subspan(t * columns, columns);
    const std::vector<double> used_x =
        product.int8 ? quantised(exact_x) : std::vector<double>(exact_x.begin(), exact_x.end());
    for (std::size_t r = 0; r < weights.rows; ++r) {
      const double* const row = weights.values.data() + r * columns;
      double sum = 0;
      double magnitudes = 0;
      double unquantised_sum = 0;
      double quantisation = 0;
      for (std::size_t c = 0; c < columns; ++c) {
        sum += row[c] * used_x[c];
        magnitudes += std::fabs(row[c] * used_x[c]);
        unquantised_sum += row[c] * exact_x[c];
        if (!product.int8) continue;
        const auto block = exact_x.subspan(c / 32 * 32, 32);
        const double largest = std::fabs(*std::ranges::max_element(
            block, [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
        quantisation += std::fabs(row[c]) * largest / 254;  // half a step
      }
      const double value = y[t * weights.rows + r];
      // Each operation rounds to kRounding of its result, or to the spacing of subnormal floats.
      const double allowed = (static_cast<double>(columns) + 16) *
                             (kRounding * magnitudes + double{kSubnormalSpacing});
      ASSERT_NEAR(value, sum, allowed) << "token " << t << ", row " << r;
      ASSERT_NEAR(value, unquantised_sum, allowed + 1.0001 * quantisation)
          << "token " << t << ", row " << r;
    }
  }
}

struct Shape {
  std::uint32_t rows;
  std::uint32_t columns;
};

std::vector<Shape> shapes(DType type) {
  if (block_elements(type) == 1) {
    return {{1, 1},   {2, 3},    {4, 16},  {5, 31},   {7, 33},   {16, 64},
            {17, 65}, {33, 100}, {9, 600}, {6, 1025}, {5, 4099}, {3, 8200}};
  }
  return {{1, 32},   {3, 64},   {16, 32},  {17, 96},   {47, 192},
          {64, 512}, {9, 1120}, {6, 4128}, {17, 8256}, {2, 16416}};
}

TEST(MatVecKernels, AgreeWithDoublePrecisionForAnyShape) {
  std::mt19937_64 random(test_seed());
  for (const Product& product : products()) {
    for (const Shape shape : shapes(product.type)) {
      for (const std::uint32_t tokens : {1U, 2U, 3U, 4U, 5U, 9U}) {
        if (tokens > 1 && tokens != 5 && shape.columns > 4000) continue;
        const Weights weights = random_weights(product.type, shape.rows, shape.columns, random);
        const std::vector<std::byte> bytes = stored(weights, product);
        const auto x = random_activations(std::size_t{tokens} * shape.columns, random);
        for (const SimdKernels& build : builds()) {
          SCOPED_TRACE(build.name + " " + product.kernel + " [" + std::to_string(shape.rows) +
                       ", " + std::to_string(shape.columns) + "], tokens " +
                       std::to_string(tokens));
          const auto y = multiply(find_kernel(build.kernels, product.kernel), bytes, x,
                                  {tokens, shape.rows, shape.columns});
          ASSERT_NO_FATAL_FAILURE(expect_products(weights, product, x, y));
        }
      }
    }
  }
}

TEST(MatVecKernels, GiveTheSameBitsForAnySplitOfRowsAndTokens) {
  std::mt19937_64 random(test_seed());
  constexpr std::uint32_t kRows = 100;
  constexpr std::uint32_t kTokens = 7;
  for_each_kernel([&](const KernelSource& kernel, const Product& product) {
    for (const std::uint32_t columns : {192U, 4128U}) {
      const Weights weights = random_weights(product.type, kRows, columns, random);
      const std::vector<std::byte> bytes = stored(weights, product);
      const auto x = random_activations(std::size_t{kTokens} * columns, random);
      const base::MatMulParams size{kTokens, kRows, columns};
      const auto whole = multiply(kernel, bytes, x, size);

      std::vector<float> split(whole.size(), NAN);
      const std::uint64_t groups = groups_for(kernel, kRows).x;
      for (std::uint64_t begin = 0; begin < groups;) {
        const std::uint64_t end = begin + 1 + random() % (groups - begin);
        multiply(kernel, bytes, x, split, size, begin, end);
        begin = end;
      }
      EXPECT_EQ(std::memcmp(split.data(), whole.data(), whole.size() * sizeof(float)), 0);

      for (std::size_t t = 0; t < kTokens; ++t) {
        const auto alone = multiply(kernel, bytes, std::span(x).subspan(t * columns, columns),
                                    {1, kRows, columns});
        EXPECT_EQ(std::memcmp(alone.data(), whole.data() + t * kRows, kRows * sizeof(float)), 0)
            << "token " << t;
      }
    }
  });
}

TEST(MatVecKernels, TakeWeightsAtAnyAddress) {  // row A3
  std::mt19937_64 random(test_seed());
  for_each_kernel([&](const KernelSource& kernel, const Product& product) {
    const Weights weights = random_weights(product.type, 19, 96, random);
    const std::vector<std::byte> bytes = stored(weights, product);
    const auto x = random_activations(std::size_t{2} * 96, random);
    const auto expected = multiply(kernel, bytes, x, {2, 19, 96});
    for (const std::size_t offset : {1U, 2U, 3U, 7U, 33U, 63U}) {
      std::vector<std::byte> moved(offset + bytes.size());
      std::ranges::copy(bytes, moved.begin() + static_cast<std::ptrdiff_t>(offset));
      std::vector<float> moved_x(1 + x.size());
      std::ranges::copy(x, moved_x.begin() + 1);
      const auto y = multiply(kernel, std::span(moved).subspan(offset),
                              std::span(moved_x).subspan(1), {2, 19, 96});
      EXPECT_EQ(y, expected) << "offset " << offset;
    }
  });
}

TEST(MatVecKernels, WriteOnlyTheRowsOfTheirGroups) {
  std::mt19937_64 random(test_seed());
  for_each_kernel([&](const KernelSource& kernel, const Product& product) {
    const Weights weights = random_weights(product.type, 40, 64, random);
    const auto x = random_activations(std::size_t{3} * 64, random);
    const std::vector<std::byte> bytes = stored(weights, product);
    for (std::uint64_t group = 0; group < 3; ++group) {  // The last one has eight rows.
      std::vector<float> y(3 * 40 + 16, -1.5F);
      multiply(kernel, bytes, x, y, {3, 40, 64}, group, group + 1);
      for (std::size_t i = 0; i < y.size(); ++i) {
        const bool of_group = i < 3 * 40 && i % 40 / 16 == group;
        EXPECT_EQ(y[i] != -1.5F, of_group) << "token " << i / 40 << ", row " << i % 40;
      }
    }
  });
}

TEST(MatVecKernels, GiveZerosWithoutColumnsAndNothingWithoutTokens) {
  for_each_kernel([&](const KernelSource& kernel, const Product&) {
    EXPECT_EQ(multiply(kernel, {}, {}, {2, 3, 0}), std::vector<float>(6, 0.0F));
    std::vector<float> y(8, -1.5F);
    multiply(kernel, {}, {}, y, {0, 8, 32}, 0, 1);
    EXPECT_EQ(y, std::vector<float>(8, -1.5F));
  });
}

/// Blocks of one scale and one byte throughout.
Weights constant_weights(DType type, std::uint32_t rows, std::uint32_t columns, std::uint16_t scale,
                         std::uint8_t quant) {
  Weights weights{type, rows, columns, {}, {}};
  for (std::size_t b = 0; b < std::size_t{rows} * columns / 32; ++b) {
    weights.bytes.push_back(static_cast<std::byte>(scale & 255));
    weights.bytes.push_back(static_cast<std::byte>(scale >> 8));
    weights.bytes.insert(weights.bytes.end(), block_bytes(type) - 2, std::byte{quant});
  }
  weights.values = decode(type, weights.bytes);
  return weights;
}

TEST(MatVecKernels, HoldTheLargestAndSmallestQuantisedWeights) {
  constexpr std::uint16_t kLargestHalf = 0x7BFF;
  constexpr std::uint16_t kSmallestHalf = 0x0001;
  for_each_kernel([&](const KernelSource& kernel, const Product& product) {
    if (block_elements(product.type) == 1) return;
    for (const std::uint16_t scale : {kLargestHalf, kSmallestHalf, std::uint16_t{0}}) {
      for (const std::uint8_t quant : {0x00, 0x7F, 0x80, 0x88, 0xF7, 0xFF}) {
        const Weights weights = constant_weights(product.type, 18, 128, scale, quant);
        for (const float x_value : {0.0F, 1.0F, -1.0F, 1e28F, -1e-20F}) {
          const std::vector<float> x(128, x_value);
          const auto y = multiply(kernel, stored(weights, product), x, {1, 18, 128});
          ASSERT_NO_FATAL_FAILURE(expect_products(weights, product, x, y))
              << "scale " << scale << ", byte " << int{quant} << ", x " << x_value;
        }
      }
    }
  });
}

TEST(MatVecKernels, TakeActivationsTooSmallToQuantiseForZeros) {
  for_each_kernel([&](const KernelSource& kernel, const Product& product) {
    if (!product.int8) return;
    const Weights weights = constant_weights(product.type, 16, 32, 0x3C00, 0x11);
    const std::vector<float> x(32, 1e-38F);
    EXPECT_EQ(multiply(kernel, stored(weights, product), x, {1, 16, 32}),
              std::vector<float>(16, 0.0F));
  });
}

TEST(MatVecKernels, DeclareWhatTheyReadAndWrite) {  // row I1
  for_each_kernel([&](const KernelSource& kernel, const Product&) {
    const auto& parameters = kernel.signature.parameters;
    ASSERT_EQ(parameters.size(), 4U);
    EXPECT_EQ(parameters[0].access, Access::kRead);
    EXPECT_EQ(parameters[0].alignment, 1U);
    EXPECT_EQ(parameters[1].access, Access::kRead);
    EXPECT_EQ(parameters[2].access, Access::kWrite);
    EXPECT_EQ(parameters[3].kind, ParameterKind::kBytes);
    EXPECT_EQ(parameters[3].size_bytes, sizeof(base::MatMulParams));
    EXPECT_EQ(kernel.signature.items_per_group % 16, 0U);
  });
}

TEST(MatVecKernels, AreTestedForEveryInstructionSetOfThisMachine) {
  std::vector<std::string> names;
  for (const SimdKernels& build : builds()) names.push_back(build.name);
  const std::int64_t supported = hwy::SupportedTargets();
  const auto has = [&](const char* name) { return std::ranges::count(names, name) == 1; };
#if HWY_ARCH_X86
  EXPECT_EQ(has("SSE4"), (supported & HWY_SSE4) != 0);
  EXPECT_EQ(has("AVX2"), (supported & HWY_AVX2) != 0);
  EXPECT_EQ(has("AVX3"), (supported & HWY_AVX3) != 0);
#endif
  EXPECT_TRUE(has("without VNNI"));
  EXPECT_GE(names.size(), 2U);
}

}  // namespace
}  // namespace segue::test
