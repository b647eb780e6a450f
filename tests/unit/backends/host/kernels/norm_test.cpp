// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <string>

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

/// The arguments of add_rms_norm or, with a weight, of add_rms_norm_weighted.
std::vector<host::KernelArgument> add_norm_arguments(std::span<const float> a,
                                                     std::span<const float> b,
                                                     std::span<const float> weight,
                                                     std::span<float> sum, std::span<float> y,
                                                     const base::RmsNormParams& size) {
  std::vector<host::KernelArgument> arguments = {buffer_argument(a), buffer_argument(b)};
  if (!weight.empty()) arguments.push_back(buffer_argument(weight));
  arguments.insert(arguments.end(),
                   {buffer_argument(sum), buffer_argument(y), bytes_argument(size)});
  return arguments;
}

TEST(NormKernels, AddRmsNormGivesTheBitsOfAddAndThenRmsNorm) {  // row E7
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::size_t columns : kColumns) {
      constexpr std::uint32_t kRows = 3;
      const std::size_t count = kRows * columns;
      const std::vector<float> a = random.normal(count, 3.0F);
      const std::vector<float> b = random.normal(count, 3.0F);
      const std::vector<float> weight = random.normal(columns);
      const base::RmsNormParams size{kRows, static_cast<std::uint32_t>(columns), kEpsilon};
      const auto n = static_cast<std::uint32_t>(count);
      const base::ElementwiseParams all{n, n};
      const auto want_sum = run_kernel<float>(
          find_kernel(kernels, "add"),
          {buffer_argument(a), buffer_argument(b), {}, bytes_argument(all)}, 2, count, count);
      for (const bool weighted : {false, true}) {
        const std::string name = weighted ? "rms_norm_weighted" : "rms_norm";
        std::vector<host::KernelArgument> of_norm = {buffer_argument(want_sum)};
        if (weighted) of_norm.push_back(buffer_argument(weight));
        const std::size_t y_index = of_norm.size();
        of_norm.insert(of_norm.end(), {{}, bytes_argument(size)});
        const auto want =
            run_kernel<float>(find_kernel(kernels, name), of_norm, y_index, count, kRows);

        const KernelSource& fused = find_kernel(kernels, "add_" + name);
        std::vector<float> sum(count, NAN);
        const auto y = run_kernel<float>(
            fused,
            add_norm_arguments(a, b, weighted ? std::span(weight) : std::span<const float>(), sum,
                               {}, size),
            weighted ? 4 : 3, count, kRows);
        EXPECT_EQ(std::memcmp(sum.data(), want_sum.data(), count * sizeof(float)), 0);
        EXPECT_EQ(std::memcmp(y.data(), want.data(), count * sizeof(float)), 0);
        expect_close(y,
                     oracle::rms_norm(sum, weighted ? std::span(weight) : std::span<const float>(),
                                      kRows, columns, kEpsilon),
                     1e-6, 0);
      }
    }
  });
}

TEST(NormKernels, AddRmsNormMaySumInPlace) {  // row E7
  RandomFloats random(test_seed());
  const std::vector<float> a = random.normal(2 * 77);
  const std::vector<float> b = random.normal(2 * 77);
  const base::RmsNormParams size{2, 77, kEpsilon};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const KernelSource& kernel = find_kernel(kernels, "add_rms_norm");
    std::vector<float> sum(a.size());
    std::vector<float> want(a.size());
    run_host_kernel(kernel, add_norm_arguments(a, b, {}, sum, want, size), {2, 1, 1});
    for (const bool into_a : {true, false}) {
      std::vector<float> both = into_a ? a : b;
      std::vector<float> y(a.size());
      const std::span<const float> first = into_a ? both : a;
      const std::span<const float> second = into_a ? b : both;
      run_host_kernel(kernel, add_norm_arguments(first, second, {}, both, y, size), {2, 1, 1});
      EXPECT_EQ(both, sum);
      EXPECT_EQ(y, want);
    }
  });
}

TEST(NormKernels, AddRmsNormDeclaresBothResults) {  // rows E8, I1
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const bool weighted : {false, true}) {
      const auto& parameters =
          find_kernel(kernels, weighted ? "add_rms_norm_weighted" : "add_rms_norm")
              .signature.parameters;
      const std::size_t reads = weighted ? 3 : 2;
      ASSERT_EQ(parameters.size(), reads + 3);
      for (std::size_t i = 0; i < reads + 2; ++i)
        EXPECT_EQ(parameters[i].access, i < reads ? Access::kRead : Access::kWrite) << i;
    }
  });
}

}  // namespace
}  // namespace segue::test
