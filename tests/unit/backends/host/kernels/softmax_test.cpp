// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

std::vector<float> softmax(std::span<const KernelSource> kernels, const std::vector<float>& x,
                           std::uint32_t rows) {
  const base::SoftmaxParams size{rows, static_cast<std::uint32_t>(x.size() / rows)};
  return run_kernel<float>(find_kernel(kernels, "softmax"),
                           {buffer_argument(x), {}, bytes_argument(size)}, 1, x.size(), rows);
}

TEST(SoftmaxKernel, RowsBecomeProbabilities) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : {1U, 2U, 15U, 16U, 17U, 100U, 512U, 2048U, 5003U}) {
      for (const std::uint32_t rows : {1U, 4U}) {
        const std::vector<float> x = random.normal(rows * columns, 5.0F);
        // x - largest is rounded where its magnitude is up to 64, which moves the power by 2^-19.
        expect_close(softmax(kernels, x, rows), oracle::softmax(x, rows, columns), 1.5e-6 + 0x1p-19,
                     1e-37);
      }
    }
  });
}

TEST(SoftmaxKernel, LargeAndInfinitelySmallValuesAreNoTrouble) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const std::vector<float> x = {3e38F, 3e38F, kNever, -3e38F, kNever};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    EXPECT_EQ(softmax(kernels, x, 1), (std::vector<float>{0.5F, 0.5F, 0, 0, 0}));
  });
}

TEST(SoftmaxKernel, PowersAreAccurate) {
  // With a column that outweighs the others, the result is exp(x) itself: relative errors of exp
  // show.
  std::vector<float> x = {0.0F};
  for (float value = -87.0F; value < -17.0F; value += 0.0137F) x.push_back(value);
  for_each_simd([&](std::span<const KernelSource> kernels) {
    expect_close(softmax(kernels, x, 1), oracle::softmax(x, 1, x.size()), 4e-7, 0);
  });
}

}  // namespace
}  // namespace segue::test
