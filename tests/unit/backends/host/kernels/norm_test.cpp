// SPDX-License-Identifier: Apache-2.0
#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

constexpr float kEpsilon = 1e-5F;
constexpr std::size_t kColumns[] = {1, 3, 15, 16, 17, 33, 64, 127, 192, 1000, 4099};

TEST(NormKernels, RmsNormDividesByTheRootMeanSquare) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : kColumns) {
      for (const std::uint32_t rows : {1U, 3U}) {
        const std::vector<float> x = random.normal(rows * columns, 3.0F);
        const base::RmsNormParams size{rows, static_cast<std::uint32_t>(columns), kEpsilon};
        const auto y =
            run_kernel<float>(find_kernel(kernels, "rms_norm"),
                              {buffer_argument(x), {}, bytes_argument(size)}, 1, x.size(), rows);
        expect_close(y, oracle::rms_norm(x, {}, rows, columns, kEpsilon), 1e-6, 0);
      }
    }
  });
}

TEST(NormKernels, WeightedRmsNormScalesEachColumn) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : kColumns) {
      for (const std::uint32_t rows : {1U, 3U}) {
        const std::vector<float> x = random.normal(rows * columns, 0.1F);
        const std::vector<float> weight = random.normal(columns);
        const base::RmsNormParams size{rows, static_cast<std::uint32_t>(columns), kEpsilon};
        const auto y = run_kernel<float>(
            find_kernel(kernels, "rms_norm_weighted"),
            {buffer_argument(x), buffer_argument(weight), {}, bytes_argument(size)}, 2, x.size(),
            rows);
        expect_close(y, oracle::rms_norm(x, weight, rows, columns, kEpsilon), 1e-6, 0);
      }
    }
  });
}

TEST(NormKernels, ARowOfZerosStaysZero) {
  const std::vector<float> x(40);
  const base::RmsNormParams size{1, 40, kEpsilon};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto y = run_kernel<float>(find_kernel(kernels, "rms_norm"),
                                     {buffer_argument(x), {}, bytes_argument(size)}, 1, 40, 1);
    EXPECT_EQ(y, x);
  });
}

TEST(NormKernels, RmsNormWorksInPlace) {
  RandomFloats random(test_seed());
  const std::vector<float> x = random.normal(2 * 77);
  const base::RmsNormParams size{2, 77, kEpsilon};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    std::vector<float> y = x;
    const host::KernelArgument both = buffer_argument(y);
    const host::KernelArgument arguments[] = {both, both, bytes_argument(size)};
    run_host_kernel(find_kernel(kernels, "rms_norm"), arguments, {2, 1, 1});
    expect_close(y, oracle::rms_norm(x, {}, 2, 77, kEpsilon), 1e-6, 0);
  });
}

}  // namespace
}  // namespace segue::test
