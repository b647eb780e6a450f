// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/vulkan/kernels/kernel_runner.hpp"

namespace segue::test {
namespace {

constexpr float kEpsilon = 1e-5F;
// Rows of whole quads and others, held in registers whole (up to 4,096) and in part.
constexpr std::uint32_t kColumns[] = {1,   3,    4,    15,   17,   64,   127,  192,
                                      255, 1000, 2048, 4096, 4099, 4100, 8192, 9001};

class VulkanNormKernels : public VulkanKernelTest {};

TEST_F(VulkanNormKernels, RowsAreDividedByTheirRootMeanSquare) {
  for (const std::uint32_t columns : kColumns) {
    for (const std::uint32_t rows : {1U, 3U}) {
      const std::vector<float> x = normal(std::size_t{rows} * columns, 3.0F);
      const std::vector<float> weight = normal(columns);
      const base::RmsNormParams size{rows, columns, kEpsilon};
      std::vector<float> y(x.size());
      run("rms_norm", {read(x), write(y)}, size, rows);
      expect_close(y, oracle::rms_norm(x, {}, rows, columns, kEpsilon), 1e-6, 0);
      run("rms_norm_weighted", {read(x), read(weight), write(y)}, size, rows);
      expect_close(y, oracle::rms_norm(x, weight, rows, columns, kEpsilon), 1e-6, 0);
    }
  }
}

TEST_F(VulkanNormKernels, AddRmsNormGivesTheBitsOfAddAndThenRmsNorm) {  // row E7
  for (const std::uint32_t columns : kColumns) {
    constexpr std::uint32_t kRows = 3;
    const std::size_t count = std::size_t{kRows} * columns;
    const std::vector<float> a = normal(count, 3.0F);
    const std::vector<float> b = normal(count, 3.0F);
    const std::vector<float> weight = normal(columns);
    const base::RmsNormParams size{kRows, columns, kEpsilon};
    const auto n = static_cast<std::uint32_t>(count);
    std::vector<float> want_sum(count);
    std::vector<float> want(count);
    run("add", {read(a), read(b), write(want_sum)}, base::ElementwiseParams{n, n}, n);
    run("rms_norm", {read(want_sum), write(want)}, size, kRows);
    std::vector<float> sum(count);
    std::vector<float> y(count);
    run("add_rms_norm", {read(a), read(b), write(sum), write(y)}, size, kRows);
    EXPECT_TRUE(same_bits(sum, want_sum)) << columns;
    EXPECT_TRUE(same_bits(y, want)) << columns;

    run("rms_norm_weighted", {read(want_sum), read(weight), write(want)}, size, kRows);
    run("add_rms_norm_weighted", {read(a), read(b), read(weight), write(sum), write(y)}, size,
        kRows);
    EXPECT_TRUE(same_bits(sum, want_sum)) << columns;
    EXPECT_TRUE(same_bits(y, want)) << columns;

    // The weights by themselves, as before fusion.
    std::vector<float> product(count);
    run("rms_norm", {read(want_sum), write(want)}, size, kRows);
    run("mul", {read(want), read(weight), write(product)}, base::ElementwiseParams{n, columns}, n);
    EXPECT_TRUE(same_bits(y, product)) << columns;
  }
}

TEST_F(VulkanNormKernels, NormsWorkInPlace) {
  for (const std::uint32_t columns : {77U, 80U, 5000U, 5001U}) {
    const std::size_t count = std::size_t{2} * columns;
    const std::vector<float> a = normal(count);
    const std::vector<float> b = normal(count);
    const base::RmsNormParams size{2, columns, kEpsilon};
    std::vector<float> want(count);
    run("rms_norm", {read(a), write(want)}, size, 2);
    std::vector<float> both = a;
    run("rms_norm", {read(both), write(both)}, size, 2);
    EXPECT_TRUE(same_bits(both, want)) << columns;

    std::vector<float> want_sum(count);
    run("add_rms_norm", {read(a), read(b), write(want_sum), write(want)}, size, 2);
    for (const bool into_a : {true, false}) {
      both = into_a ? a : b;
      std::vector<float> y(count);
      run("add_rms_norm", {read(into_a ? both : a), read(into_a ? b : both), write(both), write(y)},
          size, 2);
      EXPECT_TRUE(same_bits(both, want_sum)) << columns;
      EXPECT_TRUE(same_bits(y, want)) << columns;
    }
  }
}

TEST_F(VulkanNormKernels, ARowOfZerosStaysZero) {
  const std::vector<float> x(40);
  std::vector<float> y(40, 1.0F);
  run("rms_norm", {read(x), write(y)}, base::RmsNormParams{1, 40, kEpsilon}, 1);
  EXPECT_EQ(y, x);
}

class VulkanSoftmaxKernel : public VulkanKernelTest {
 protected:
  std::vector<float> softmax(const std::vector<float>& x, std::uint32_t rows) {
    std::vector<float> y(x.size());
    const auto columns = static_cast<std::uint32_t>(x.size() / rows);
    run("softmax", {read(x), write(y)}, base::SoftmaxParams{rows, columns}, rows);
    return y;
  }
};

TEST_F(VulkanSoftmaxKernel, RowsBecomeProbabilities) {
  for (const std::uint32_t columns : {1U, 2U, 15U, 16U, 17U, 100U, 512U, 2048U, 5003U, 40000U}) {
    for (const std::uint32_t rows : {1U, 3U}) {
      const std::vector<float> x = normal(std::size_t{rows} * columns, 5.0F);
      // x - largest is rounded where its magnitude is up to 64, which moves the power by 2^-19.
      const std::vector<double> want = oracle::softmax(x, rows, columns);
      expect_close(softmax(x, rows), want, 1.5e-6 + 0x1p-19, 1e-37);
      std::vector<float> both = x;
      run("softmax", {read(both), write(both)}, base::SoftmaxParams{rows, columns}, rows);
      expect_close(both, want, 1.5e-6 + 0x1p-19, 1e-37);
    }
  }
}

TEST_F(VulkanSoftmaxKernel, LargeAndInfinitelySmallValuesAreNoTrouble) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(softmax({3e38F, 3e38F, kNever, -3e38F, kNever}, 1),
            (std::vector<float>{0.5F, 0.5F, 0, 0, 0}));
  EXPECT_EQ(softmax({3e38F, 3e38F, kNever, -3e38F}, 1), (std::vector<float>{0.5F, 0.5F, 0, 0}));
}

TEST_F(VulkanSoftmaxKernel, PowersAreAccurate) {
  // With a column that outweighs the others, the result is exp(x) itself: relative errors of exp
  // show.
  std::vector<float> x = {0.0F};
  for (float value = -87.0F; value < -17.0F; value += 0.0137F) x.push_back(value);
  expect_close(softmax(x, 1), oracle::softmax(x, 1, x.size()), 6e-7, 0);
}

}  // namespace
}  // namespace segue::test
