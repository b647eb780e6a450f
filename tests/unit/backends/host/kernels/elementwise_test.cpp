// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <functional>
#include <limits>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

struct Shape {
  std::uint32_t rows, columns;
};
constexpr Shape kShapes[] = {{1, 1},  {1, 15},  {1, 16},   {1, 192},  {1, 513},
                             {3, 17}, {7, 192}, {5, 1023}, {2, 1024}, {3, 1025}};

using Combine = std::function<double(double, double)>;

/// Checks a kernel of two operands, the second of the same shape and, where `repeats`, of one row.
void check_pairs(std::string_view name, const Combine& combine, bool repeats, double relative) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const Shape shape : kShapes) {
      for (const bool one_row : {false, true}) {
        if (one_row && !repeats) continue;
        const std::uint32_t count = shape.rows * shape.columns;
        const std::uint32_t period = one_row ? shape.columns : count;
        const std::vector<float> a = random.normal(count, 4.0F);
        const std::vector<float> b = random.normal(period);
        std::vector<double> want(count);
        for (std::uint32_t i = 0; i < count; ++i) want[i] = combine(a[i], b[i % period]);
        const base::ElementwiseParams size{count, period};
        const auto y = run_kernel<float>(
            find_kernel(kernels, name),
            {buffer_argument(a), buffer_argument(b), {}, bytes_argument(size)}, 2, count, count);
        expect_close(y, want, relative, 0);
      }
    }
  });
}

TEST(ElementwiseKernels, AddAddsAnArrayOrARepeatedRow) {
  check_pairs("add", [](double a, double b) { return a + b; }, true, 6e-8);
}

TEST(ElementwiseKernels, MulMultipliesByAnArrayOrARepeatedRow) {
  check_pairs("mul", [](double a, double b) { return a * b; }, true, 6e-8);
}

TEST(ElementwiseKernels, SiluMulGatesEachElement) {
  check_pairs(
      "silu_mul", [](double gate, double up) { return oracle::silu(gate) * up; }, false, 4e-7);
}

TEST(ElementwiseKernels, SiluIsAccurateOverItsWholeRange) {
  std::vector<float> x;
  for (float value = -87.0F; value < 100.0F; value += 0.0371F) x.push_back(value);
  for (const float value : {0.0F, -0.0F, 1e-30F, -1e-30F, 1e4F, 3e38F}) x.push_back(value);
  std::vector<double> want;
  for (const float value : x) want.push_back(oracle::silu(value));
  const auto count = static_cast<std::uint32_t>(x.size());
  const base::ElementwiseParams size{count, count};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto y =
        run_kernel<float>(find_kernel(kernels, "silu"),
                          {buffer_argument(x), {}, bytes_argument(size)}, 1, count, count);
    expect_close(y, want, 4e-7, 0);
  });
}

TEST(ElementwiseKernels, SiluVanishesFarBelowZeroAndKeepsNan) {
  const std::vector<float> x = {-90.0F, -1e4F, -3e38F, std::numeric_limits<float>::quiet_NaN()};
  const base::ElementwiseParams size{4, 4};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto y = run_kernel<float>(find_kernel(kernels, "silu"),
                                     {buffer_argument(x), {}, bytes_argument(size)}, 1, 4, 4);
    for (int i = 0; i < 3; ++i) EXPECT_LT(std::fabs(y[static_cast<std::size_t>(i)]), 1e-36F);
    EXPECT_TRUE(std::isnan(y[3]));
  });
}

TEST(ElementwiseKernels, AddWorksInPlace) {
  RandomFloats random(test_seed());
  const std::vector<float> a = random.normal(203);
  const std::vector<float> b = random.normal(203);
  const base::ElementwiseParams size{203, 203};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    std::vector<float> y = a;
    const host::KernelArgument both = buffer_argument(y);
    const host::KernelArgument arguments[] = {both, buffer_argument(b), both, bytes_argument(size)};
    run_host_kernel(find_kernel(kernels, "add"), arguments, {1, 1, 1});
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], a[i] + b[i]);
  });
}

}  // namespace
}  // namespace segue::test
