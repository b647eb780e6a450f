// SPDX-License-Identifier: Apache-2.0
#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

/// Rotations hold to a few units in the last place of the larger of the two values.
constexpr double kTolerance = 1.5e-6;

struct Shape {
  std::uint32_t tokens, heads, head_size, rotated, position;
  float base;
};
constexpr Shape kShapes[] = {
    {1, 6, 32, 32, 0, 1e4F},       {1, 6, 32, 32, 37, 1e4F},        {5, 2, 32, 32, 500, 1e4F},
    {1, 1, 2, 2, 9, 1e4F},         {3, 5, 6, 6, 11, 1e4F},          {2, 3, 10, 4, 100, 1e4F},
    {2, 2, 80, 32, 1000, 1e4F},    {1, 4, 64, 64, 8191, 5e5F},      {2, 2, 128, 128, 131071, 5e5F},
    {2, 3, 256, 256, 70000, 1e6F}, {1, 2, 300, 298, 1000000, 1e4F}, {1, 2, 34, 34, 123, 1.0F},
};

void check(std::string_view name, bool neox) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const Shape& shape : kShapes) {
      const std::size_t heads = std::size_t{shape.tokens} * shape.heads;
      std::vector<float> x = random.normal(heads * shape.head_size);
      const base::RopeParams size{shape.tokens,  shape.heads,    shape.head_size,
                                  shape.rotated, shape.position, shape.base};
      const std::vector<double> want =
          oracle::rope(x, {shape.tokens, shape.heads, shape.head_size, shape.rotated,
                           shape.position, shape.base, neox});
      const KernelSource& kernel = find_kernel(kernels, name);
      const auto y = run_kernel<float>(kernel, {buffer_argument(x), {}, bytes_argument(size)}, 1,
                                       x.size(), heads);
      SCOPED_TRACE(shape.head_size);
      expect_close(y, want, 0, kTolerance);

      const host::KernelArgument both = buffer_argument(x);
      const host::KernelArgument in_place[] = {both, both, bytes_argument(size)};
      run_host_kernel(kernel, in_place, groups_for(kernel, heads));
      EXPECT_EQ(x, y) << "in place";
    }
  });
}

TEST(RopeKernels, InterleavedTurnsNeighbours) { check("rope_interleaved", false); }

TEST(RopeKernels, NeoxTurnsValuesHalfAHeadApart) { check("rope_neox", true); }

}  // namespace
}  // namespace segue::test
