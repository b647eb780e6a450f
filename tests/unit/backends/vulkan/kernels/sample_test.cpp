// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/vulkan/kernels/kernel_runner.hpp"

namespace segue::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class VulkanSampleKernels : public VulkanKernelTest {
 protected:
  std::vector<std::uint32_t> argmax(const std::vector<float>& x, std::uint32_t rows = 1) {
    std::vector<std::uint32_t> tokens(rows, 0xABABABAB);
    run("argmax", {read(x), write(tokens)},
        base::ArgmaxParams{rows, static_cast<std::uint32_t>(x.size() / rows)}, rows);
    return tokens;
  }

  /// Row r draws number `options.step` + r.
  std::vector<std::uint32_t> sample_rows(const std::vector<float>& x, const oracle::Sample& options,
                                         std::uint32_t rows) {
    const base::SampleParams size{rows,
                                  static_cast<std::uint32_t>(x.size() / rows),
                                  static_cast<std::uint32_t>(options.top_k),
                                  static_cast<float>(options.top_p),
                                  static_cast<float>(options.temperature),
                                  static_cast<std::uint32_t>(options.seed),
                                  static_cast<std::uint32_t>(options.seed >> 32),
                                  static_cast<std::uint32_t>(options.step)};
    std::vector<std::uint32_t> tokens(rows, 0xABABABAB);
    run("sample", {read(x), write(tokens)}, size, rows);
    return tokens;
  }
  std::uint32_t sample(const std::vector<float>& x, const oracle::Sample& options) {
    return sample_rows(x, options, 1)[0];
  }

  /// Draws from `rows` copies of a row at once, and compares with the oracle; returns how many
  /// draws were too close to call.
  int check_draws(const std::vector<float>& row, oracle::Sample options, std::uint32_t rows) {
    // The kernel computes with these float values.
    options.top_p = static_cast<float>(options.top_p);
    options.temperature = static_cast<float>(options.temperature);
    std::vector<float> x;
    for (std::uint32_t r = 0; r < rows; ++r) x.insert(x.end(), row.begin(), row.end());
    const std::vector<std::uint32_t> tokens = sample_rows(x, options, rows);
    int close = 0;
    for (std::uint32_t r = 0; r < rows; ++r, ++options.step) {
      const oracle::Drawn want = oracle::sample(row, options);
      if (want.margin < 1e-5) {
        ++close;
        continue;
      }
      EXPECT_EQ(tokens[r], want.token)
          << row.size() << " tokens, k " << options.top_k << ", p " << options.top_p
          << ", temperature " << options.temperature << ", step " << options.step;
    }
    return close;
  }
};

TEST_F(VulkanSampleKernels, ArgmaxFindsTheLargestOfEachRow) {
  for (const std::uint32_t columns :
       {1U, 2U, 3U, 5U, 15U, 16U, 17U, 63U, 65U, 1000U, 2048U, 5001U, 32001U, 128256U}) {
    const std::vector<float> x = normal(std::size_t{3} * columns);
    const auto tokens = argmax(x, 3);
    for (std::size_t row = 0; row < 3; ++row) {
      EXPECT_EQ(tokens[row], oracle::argmax(std::span(x).subspan(row * columns, columns)))
          << columns;
    }
  }
}

TEST_F(VulkanSampleKernels, TheLowestOfEqualsWinsAndNanLoses) {
  for (const std::uint32_t columns : {5U, 40U, 200U, 9000U}) {
    std::vector<float> x(columns, 1.0F);
    EXPECT_EQ(argmax(x)[0], 0U);
    x[columns - 1] = x[columns - 2] = 2.0F;
    EXPECT_EQ(argmax(x)[0], columns - 2);
    x[0] = kNan;
    x[columns - 2] = kNan;
    EXPECT_EQ(argmax(x)[0], columns - 1);
    x.assign(columns, kNan);
    EXPECT_EQ(argmax(x)[0], 0U);
    x[3] = -kInfinity;
    EXPECT_EQ(argmax(x)[0], 3U);
    x[4] = kInfinity;
    EXPECT_EQ(argmax(x)[0], 4U);
  }
  EXPECT_EQ(argmax({-1.0F, -0.0F, 0.0F, -0.0F})[0], 1U);
}

TEST_F(VulkanSampleKernels, SampleDrawsWhatSortingTheRowWouldDraw) {
  constexpr oracle::Sample kOptions[] = {
      {0, 1.0, 1.0, 0, 0},       {1, 1.0, 1.0, 0, 0},  {5, 1.0, 0.7, 0, 0},
      {40, 1.0, 1.5, 0, 0},      {0, 0.9, 0.8, 0, 0},  {0, 0.05, 1.0, 0, 0},
      {40, 0.95, 0.8, 0, 0},     {3, 0.5, 2.0, 0, 0},  {0, 0.0, 1.0, 0, 0},
      {100000, 0.99, 1.0, 0, 0}, {7, 0.3, 0.0, 0, 0},  {300, 1.0, 1.0, 0, 0},
      {700, 0.9, 2.0, 0, 0},     {0, 0.999, 3.0, 0, 0}};
  int compared = 0;
  int close = 0;
  for (const std::uint32_t columns : {1U, 7U, 64U, 65U, 1000U, 2048U, 6001U}) {
    for (oracle::Sample options : kOptions) {
      std::vector<float> row = normal(columns, 3.0F);
      if (columns > 20) row[3] = kNan;
      options.seed = below(UINT64_MAX);
      close += check_draws(row, options, 8);
      compared += 8;
    }
  }
  EXPECT_LT(close, compared / 5);
}

TEST_F(VulkanSampleKernels, EqualLogitsAreCutInTokenOrder) {
  // Equal tokens, of which k, or a share of p, stay: the first ones.
  for (const std::uint32_t count : {300U, 3000U}) {
    const std::vector<float> x(std::size_t{count} * 50, -2.5F);
    const std::uint32_t nucleus = count / 4;
    for (const std::uint32_t token : sample_rows(x, {10, 1.0, 1.0, 42, 0}, 50))
      EXPECT_LT(token, 10U);
    for (const std::uint32_t token : sample_rows(x, {0, 0.25, 1.0, 42, 0}, 50))
      EXPECT_LT(token, nucleus);
    for (const std::uint32_t token : sample_rows(x, {10, 0.5, 1.0, 42, 0}, 50))
      EXPECT_LT(token, 5U);
    for (const std::uint32_t token : sample_rows(x, {290, 0.5, 1.0, 42, 0}, 50))
      EXPECT_LT(token, 145U);
  }
}

TEST_F(VulkanSampleKernels, OnlyAsManyEqualsStayAsBetterTokensLeaveRoomFor) {
  // Tokens 100 to 104 are 3 times as likely as each of the others.
  std::vector<float> row(300, 1.0F);
  std::fill_n(row.begin() + 100, 5, 1.0F + std::log(3.0F));
  std::vector<float> x;
  for (int r = 0; r < 100; ++r) x.insert(x.end(), row.begin(), row.end());
  const auto is_better = [](std::uint32_t token) { return token >= 100 && token < 105; };
  for (const std::uint32_t of_ten : sample_rows(x, {10, 1.0, 1.0, 42, 0}, 100))
    EXPECT_TRUE(is_better(of_ten) || of_ten < 5) << of_ten;
  // 15.5 of 310 parts of probability belong to the better ones and, rounded up, one other.
  for (const std::uint32_t of_nucleus : sample_rows(x, {0, 0.05, 1.0, 42, 0}, 100))
    EXPECT_TRUE(is_better(of_nucleus) || of_nucleus == 0) << of_nucleus;
}

TEST_F(VulkanSampleKernels, ZerosOfBothSignsAreEqual) {
  const std::vector<float> x = {-0.0F, 0.0F, -0.0F, -1.0F};
  for (std::uint64_t step = 0; step < 10; ++step) EXPECT_EQ(sample(x, {1, 1.0, 1.0, 1, step}), 0U);
}

TEST_F(VulkanSampleKernels, FrequenciesFollowTheProbabilities) {
  const std::vector<float> row = {0.0F, 1.0F, -1.0F, 2.0F, kNan, 0.5F, -kInfinity};
  const oracle::Sample options{0, 1.0, 1.3, 7, 0};
  const std::vector<double> probabilities = oracle::sample_probabilities(row, options);
  constexpr std::uint32_t kDraws = 4000;
  std::vector<float> x;
  for (std::uint32_t r = 0; r < kDraws; ++r) x.insert(x.end(), row.begin(), row.end());
  std::vector<int> counts(row.size());
  for (const std::uint32_t token : sample_rows(x, options, kDraws)) ++counts[token];
  for (std::size_t i = 0; i < row.size(); ++i) {
    // Five standard deviations; the seed is fixed.
    const double deviation = std::sqrt(kDraws * probabilities[i] * (1 - probabilities[i]));
    EXPECT_NEAR(counts[i], kDraws * probabilities[i], 5 * deviation) << i;
  }
}

TEST_F(VulkanSampleKernels, StepsGoOnBeyondThirtyTwoBits) {
  // Number n of a seed is number 0 of the seed that is n of the generator's steps further on.
  constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15;
  constexpr std::uint32_t kRows = 6;
  constexpr std::uint64_t kFirst = UINT32_MAX - 2;
  const std::vector<float> row(1000);
  std::vector<float> x(kRows * row.size());
  const std::vector<std::uint32_t> tokens = sample_rows(x, {0, 1.0, 1.0, 5, kFirst}, kRows);
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const oracle::Drawn want = oracle::sample(row, {0, 1.0, 1.0, 5 + (kFirst + r) * kStep, 0});
    if (want.margin > 1e-5) {
      EXPECT_EQ(tokens[r], want.token) << r;
    }
  }
}

TEST_F(VulkanSampleKernels, ExtremeLogitsHaveADefinedResult) {
  EXPECT_EQ(sample({kNan, kNan, kNan}, {2, 0.5, 1.0, 1, 1}), 0U);
  EXPECT_EQ(sample({kNan, kNan, kNan}, {0, 0.5, 1.0, 1, 1}), 0U);
  EXPECT_EQ(sample({kNan, kNan, kNan}, {0, 1.0, 1.0, 1, 1}), 0U);
  EXPECT_EQ(sample({0.0F, kInfinity, 5.0F}, {2, 0.9, 1.0, 1, 1}), 1U);
  EXPECT_EQ(sample({-kInfinity, -3e38F, 3e38F}, {0, 0.9, 1e-3, 1, 1}), 2U);
  EXPECT_EQ(sample({kNan, -kInfinity, kNan}, {0, 1.0, 1.0, 1, 1}), 1U);
  EXPECT_EQ(sample({kNan, -kInfinity, kNan}, {0, 0.5, 1.0, 1, 1}), 1U);
  EXPECT_EQ(sample({kNan, -kInfinity, kNan}, {1, 1.0, 1.0, 1, 1}), 1U);
  EXPECT_EQ(sample({kInfinity, kNan, 3e38F}, {0, 1.0, 1.0, 1, 1}), 0U);
  std::vector<float> one_number(2000, kNan);
  one_number[1234] = -5.0F;
  for (const std::size_t top_k : {0U, 3U, 700U})
    EXPECT_EQ(sample(one_number, {top_k, 0.75, 1.0, 1, 1}), 1234U);
}

TEST_F(VulkanSampleKernels, ALargeVocabularyIsDrawnFromByEveryPath) {
  const std::vector<float> row = normal(128256, 2.0F);
  for (const std::uint32_t threads : {64U, 1024U}) {
    set_constants({{0, threads}});
    // The best tokens; a nucleus that they hold, and one that they do not; k beyond them; all.
    int close = 0;
    close += check_draws(row, {20, 0.9, 0.8, 99, 0}, 2);
    close += check_draws(row, {0, 0.1, 0.3, 99, 0}, 2);
    close += check_draws(row, {0, 0.7, 0.8, 99, 0}, 2);
    close += check_draws(row, {5000, 0.9, 0.8, 99, 0}, 2);
    close += check_draws(row, {0, 1.0, 0.5, 99, 0}, 2);
    EXPECT_LT(close, 10);
  }
}

}  // namespace
}  // namespace segue::test
