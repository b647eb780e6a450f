// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<std::uint32_t> argmax(std::span<const KernelSource> kernels,
                                  const std::vector<float>& x, std::uint32_t rows = 1) {
  const base::ArgmaxParams size{rows, static_cast<std::uint32_t>(x.size() / rows)};
  return run_kernel<std::uint32_t>(find_kernel(kernels, "argmax"),
                                   {buffer_argument(x), {}, bytes_argument(size)}, 1, rows, rows);
}

std::uint32_t sample(std::span<const KernelSource> kernels, const std::vector<float>& x,
                     const oracle::Sample& options) {
  const base::SampleParams size{1,
                                static_cast<std::uint32_t>(x.size()),
                                static_cast<std::uint32_t>(options.top_k),
                                static_cast<float>(options.top_p),
                                static_cast<float>(options.temperature),
                                static_cast<std::uint32_t>(options.seed),
                                static_cast<std::uint32_t>(options.seed >> 32),
                                static_cast<std::uint32_t>(options.step)};
  return run_kernel<std::uint32_t>(find_kernel(kernels, "sample"),
                                   {buffer_argument(x), {}, bytes_argument(size)}, 1, 1, 1)[0];
}

TEST(ArgmaxKernel, FindsTheLargestOfEachRow) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : {1U, 2U, 15U, 16U, 17U, 63U, 65U, 1000U, 2048U, 32001U}) {
      const std::vector<float> x = random.normal(3 * columns);
      const auto tokens = argmax(kernels, x, 3);
      for (std::size_t row = 0; row < 3; ++row) {
        EXPECT_EQ(tokens[row], oracle::argmax(std::span(x).subspan(row * columns, columns)))
            << columns;
      }
    }
  });
}

TEST(ArgmaxKernel, TheLowestOfEqualsWinsAndNanLoses) {
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : {5U, 40U, 200U}) {
      std::vector<float> x(columns, 1.0F);
      EXPECT_EQ(argmax(kernels, x)[0], 0U);
      x[columns - 1] = x[columns - 2] = 2.0F;
      EXPECT_EQ(argmax(kernels, x)[0], columns - 2);
      x[0] = kNan;
      x[columns - 2] = kNan;
      EXPECT_EQ(argmax(kernels, x)[0], columns - 1);
      x.assign(columns, kNan);
      EXPECT_EQ(argmax(kernels, x)[0], 0U);
      x[3] = -kInfinity;
      EXPECT_EQ(argmax(kernels, x)[0], 3U);
      x[4] = kInfinity;
      EXPECT_EQ(argmax(kernels, x)[0], 4U);
    }
  });
}

TEST(SampleKernel, DrawsWhatSortingTheRowWouldDraw) {
  const std::uint64_t seed = test_seed();
  RandomFloats random(seed);
  constexpr oracle::Sample kOptions[] = {
      {0, 1.0, 1.0, 0, 0}, {1, 1.0, 1.0, 0, 0},       {5, 1.0, 0.7, 0, 0},   {40, 1.0, 1.5, 0, 0},
      {0, 0.9, 0.8, 0, 0}, {0, 0.05, 1.0, 0, 0},      {40, 0.95, 0.8, 0, 0}, {3, 0.5, 2.0, 0, 0},
      {0, 0.0, 1.0, 0, 0}, {100000, 0.99, 1.0, 0, 0}, {7, 0.3, 0.0, 0, 0}};
  int compared = 0;
  int close = 0;
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : {1U, 7U, 64U, 65U, 1000U, 2048U}) {
      for (oracle::Sample options : kOptions) {
        std::vector<float> x = random.normal(columns, 3.0F);
        if (columns > 20) x[3] = kNan;
        options.seed = seed;
        // The kernel computes with these float values.
        options.top_p = static_cast<float>(options.top_p);
        options.temperature = static_cast<float>(options.temperature);
        for (options.step = 0; options.step < 8; ++options.step) {
          const oracle::Drawn want = oracle::sample(x, options);
          ++compared;
          if (want.margin < 1e-5) {
            ++close;
            continue;
          }
          ASSERT_EQ(sample(kernels, x, options), want.token)
              << columns << " tokens, k " << options.top_k << ", p " << options.top_p << ", step "
              << options.step;
        }
      }
    }
  });
  EXPECT_LT(close, compared / 10);
}

TEST(SampleKernel, EqualLogitsAreCutInTokenOrder) {
  // 300 equal tokens, of which k, or a share of p, stay: the first ones.
  const std::vector<float> x(300, -2.5F);
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (std::uint64_t step = 0; step < 200; ++step) {
      EXPECT_LT(sample(kernels, x, {10, 1.0, 1.0, 42, step}), 10U);
      EXPECT_LT(sample(kernels, x, {0, 0.25, 1.0, 42, step}), 75U);
      EXPECT_LT(sample(kernels, x, {10, 0.5, 1.0, 42, step}), 5U);
    }
  });
}

TEST(SampleKernel, OnlyAsManyEqualsStayAsBetterTokensLeaveRoomFor) {
  // Tokens 100 to 104 are 3 times as likely as each of the others.
  std::vector<float> x(300, 1.0F);
  std::fill_n(x.begin() + 100, 5, 1.0F + std::log(3.0F));
  const auto is_better = [](std::uint32_t token) { return token >= 100 && token < 105; };
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (std::uint64_t step = 0; step < 200; ++step) {
      const std::uint32_t of_ten = sample(kernels, x, {10, 1.0, 1.0, 42, step});
      EXPECT_TRUE(is_better(of_ten) || of_ten < 5) << of_ten;
      // 15.5 of 310 parts of probability belong to the better ones and, rounded up, one other.
      const std::uint32_t of_nucleus = sample(kernels, x, {0, 0.05, 1.0, 42, step});
      EXPECT_TRUE(is_better(of_nucleus) || of_nucleus == 0) << of_nucleus;
    }
  });
}

TEST(SampleKernel, ZerosOfBothSignsAreEqual) {
  const std::vector<float> x = {-0.0F, 0.0F, -0.0F, -1.0F};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (std::uint64_t step = 0; step < 20; ++step)
      EXPECT_EQ(sample(kernels, x, {1, 1.0, 1.0, 1, step}), 0U);
  });
}

TEST(SampleKernel, FrequenciesFollowTheProbabilities) {
  const std::vector<float> x = {0.0F, 1.0F, -1.0F, 2.0F, kNan, 0.5F, -kInfinity};
  const oracle::Sample options{0, 1.0, 1.3, 7, 0};
  const std::vector<double> probabilities = oracle::sample_probabilities(x, options);
  constexpr int kDraws = 20000;
  std::vector<int> counts(x.size());
  const SimdKernels& simd = simd_kernels().front();
  for (std::uint64_t step = 0; step < kDraws; ++step) {
    ++counts[sample(simd.kernels, x, {0, 1.0, 1.3, 7, step})];
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    // Five standard deviations; the seed is fixed.
    const double deviation = std::sqrt(kDraws * probabilities[i] * (1 - probabilities[i]));
    EXPECT_NEAR(counts[i], kDraws * probabilities[i], 5 * deviation) << i;
  }
}

TEST(SampleKernel, RowsDrawFromSuccessiveSteps) {
  const std::vector<float> row(1000, 0.0F);
  std::vector<float> x;
  for (int i = 0; i < 3; ++i) x.insert(x.end(), row.begin(), row.end());
  const base::SampleParams size{3, 1000, 0, 1.0F, 1.0F, 5, 6, 10};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto tokens = run_kernel<std::uint32_t>(
        find_kernel(kernels, "sample"), {buffer_argument(x), {}, bytes_argument(size)}, 1, 3, 3);
    for (std::uint64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(tokens[i],
                sample(kernels, row, {0, 1.0, 1.0, (std::uint64_t{6} << 32) + 5, 10 + i}));
    }
  });
}

TEST(SampleKernel, ExtremeLogitsHaveADefinedResult) {
  for_each_simd([&](std::span<const KernelSource> kernels) {
    EXPECT_EQ(sample(kernels, {kNan, kNan, kNan}, {2, 0.5, 1.0, 1, 1}), 0U);
    EXPECT_EQ(sample(kernels, {0.0F, kInfinity, 5.0F}, {2, 0.9, 1.0, 1, 1}), 1U);
    EXPECT_EQ(sample(kernels, {-kInfinity, -3e38F, 3e38F}, {0, 0.9, 1e-3, 1, 1}), 2U);
    EXPECT_EQ(sample(kernels, {kNan, -kInfinity, kNan}, {0, 1.0, 1.0, 1, 1}), 1U);
  });
}

TEST(SampleKernel, ALargeVocabularyNeedsNoMemory) {
  RandomFloats random(3);
  const std::vector<float> x = random.normal(151936, 2.0F);
  const SimdKernels& simd = simd_kernels().front();
  for (std::uint64_t step = 0; step < 4; ++step) {
    const oracle::Sample options{50, 0.9F, 0.8F, 99, step};
    EXPECT_EQ(sample(simd.kernels, x, options), oracle::sample(x, options).token);
  }
}

}  // namespace
}  // namespace segue::test
