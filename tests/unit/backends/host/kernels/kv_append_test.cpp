// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

struct Shape {
  std::uint32_t tokens, columns, position, context;
};
constexpr Shape kShapes[] = {{1, 64, 0, 8}, {1, 64, 7, 8}, {5, 64, 2, 8},
                             {3, 7, 1, 5},  {2, 33, 0, 2}, {1, 1, 3, 4}};

/// Checks that the rows of x arrive at their place, as `convert` says, and that other rows stay.
template <class T, class Convert>
void check(std::string_view name, Convert&& convert) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const Shape& shape : kShapes) {
      const std::vector<float> x = random.normal(std::size_t{shape.tokens} * shape.columns);
      std::vector<T> before(std::size_t{shape.context} * shape.columns);
      for (T& value : before) value = convert(random.normal(1)[0]);
      std::vector<T> want = before;
      for (std::size_t i = 0; i < x.size(); ++i)
        want[std::size_t{shape.position} * shape.columns + i] = convert(x[i]);
      const base::KvAppendParams size{shape.tokens, shape.columns, shape.position};
      const auto cache =
          run_kernel<T>(find_kernel(kernels, name), {buffer_argument(x), {}, bytes_argument(size)},
                        1, before.size(), shape.tokens, std::span<const T>(before));
      EXPECT_EQ(cache, want);
    }
  });
}

TEST(KvAppendKernels, F32RowsArriveUnchanged) {
  check<float>("kv_append_f32", [](float value) { return value; });
}

TEST(KvAppendKernels, F16RowsAreRoundedToTheNearestHalf) {
  check<std::uint16_t>("kv_append_f16", [](float value) { return oracle::half_bits(value); });
}

TEST(KvAppendKernels, TheWholeRangeOfF16IsRoundedRight) {
  std::vector<float> x;
  for (std::uint32_t bits = 0; bits < 0x7C00;
       bits += 7) {  // Halves, and points just off and on the middle.
    const double half = oracle::half_value(static_cast<std::uint16_t>(bits));
    const double next = oracle::half_value(static_cast<std::uint16_t>(bits + 1));
    for (const double part : {0.0, 0.25, 0.5, 0.75}) {
      if (bits + 1 < 0x7C00) x.push_back(static_cast<float>(half + part * (next - half)));
    }
  }
  for (const float value : {65504.0F, 65519.9F, 1e-9F, 5.9e-8F, 0.0F}) x.push_back(value);
  const std::size_t positive = x.size();
  for (std::size_t i = 0; i < positive; ++i) x.push_back(-x[i]);
  const base::KvAppendParams size{1, static_cast<std::uint32_t>(x.size()), 0};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto cache =
        run_kernel<std::uint16_t>(find_kernel(kernels, "kv_append_f16"),
                                  {buffer_argument(x), {}, bytes_argument(size)}, 1, x.size(), 1);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(cache[i], oracle::half_bits(x[i])) << x[i];
  });
}

TEST(KvAppendKernels, RowsOutsideTheCacheAreNotWritten) {
  constexpr std::uint32_t kRows = 4;
  constexpr std::uint32_t kColumns = 9;
  const std::vector<float> x(std::size_t{3} * kColumns, 2.0F);
  const std::vector<float> old(std::size_t{kRows} * kColumns, 7.0F);
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::uint32_t position : {2U, 3U, 4U, 5U, 1U << 20, UINT32_MAX - 1, UINT32_MAX}) {
      const base::KvAppendParams size{3, kColumns, position};
      const auto cache = run_kernel<float>(find_kernel(kernels, "kv_append_f32"),
                                           {buffer_argument(x), {}, bytes_argument(size)}, 1,
                                           old.size(), 3, std::span<const float>(old));
      for (std::size_t i = 0; i < cache.size(); ++i)
        EXPECT_EQ(cache[i], i / kColumns >= position ? 2.0F : 7.0F) << position << ", " << i;
    }
  });
}

}  // namespace
}  // namespace segue::test
