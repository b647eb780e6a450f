// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <string>

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

/// Elements of a cache of floats or halves, all `value`.
template <class T>
std::vector<T> filled(std::size_t count, T value) {
  return std::vector<T>(count, value);
}

/// Checks rope_kv_append against rope and then kv_append, bit for bit, in a cache of a few more
/// rows.
template <class T>
void check_append(std::string_view pairing, std::string_view type) {
  RandomFloats random(test_seed());
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const Shape& shape : kShapes) {
      const std::uint32_t columns = shape.heads * shape.head_size;
      const std::size_t heads = std::size_t{shape.tokens} * shape.heads;
      const std::vector<float> x = random.normal(heads * shape.head_size);
      constexpr std::uint32_t kPosition = 3;
      constexpr T kOld{7};
      const std::size_t count = std::size_t{kPosition + shape.tokens + 2} * columns;
      const std::vector<T> old = filled<T>(count, kOld);

      const base::RopeParams rope{shape.tokens,  shape.heads, shape.head_size,
                                  shape.rotated, kPosition,   shape.base};
      const auto turned =
          run_kernel<float>(find_kernel(kernels, "rope_" + std::string(pairing)),
                            {buffer_argument(x), {}, bytes_argument(rope)}, 1, x.size(), heads);
      const base::KvAppendParams append{shape.tokens, columns, kPosition};
      const auto want = run_kernel<T>(find_kernel(kernels, "kv_append_" + std::string(type)),
                                      {buffer_argument(turned), {}, bytes_argument(append)}, 1,
                                      count, shape.tokens, std::span<const T>(old));

      const base::RopeKvAppendParams both{shape.tokens,  shape.heads, shape.head_size,
                                          shape.rotated, kPosition,   shape.base};
      const auto got = run_kernel<T>(
          find_kernel(kernels, "rope_kv_append_" + std::string(pairing) + "_" + std::string(type)),
          {buffer_argument(x), {}, bytes_argument(both)}, 1, count, heads, std::span<const T>(old));
      ASSERT_EQ(std::memcmp(got.data(), want.data(), count * sizeof(T)), 0)
          << shape.heads << " heads of " << shape.head_size;
    }
  });
}

TEST(RopeKernels, RopeKvAppendGivesTheBitsOfRopeAndThenKvAppend) {  // row E7
  for (const std::string_view pairing : {"interleaved", "neox"}) {
    check_append<float>(pairing, "f32");
    check_append<std::uint16_t>(pairing, "f16");
  }
}

TEST(RopeKernels, RopeKvAppendPutsRotatedRowsAtTheirPosition) {  // row E7
  RandomFloats random(test_seed());
  const std::vector<float> x = random.normal(2 * 3 * 10);
  const std::vector<double> want = oracle::rope(x, {2, 3, 10, 10, 4, 1e4, false});
  const base::RopeKvAppendParams size{2, 3, 10, 10, 4, 1e4F};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto cache =
        run_kernel<float>(find_kernel(kernels, "rope_kv_append_interleaved_f32"),
                          {buffer_argument(x), {}, bytes_argument(size)}, 1, 7 * 30, 6);
    expect_close(std::span(cache).subspan(4 * 30, 2 * 30), want, 0, kTolerance);
  });
}

TEST(RopeKernels, RopeKvAppendWritesNoRowOutsideTheCache) {
  RandomFloats random(test_seed());
  constexpr std::uint32_t kRows = 4;
  constexpr std::uint32_t kColumns = 2 * 6;
  const std::vector<float> x = random.normal(3 * kColumns);
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const std::uint32_t position : {2U, 3U, 4U, 5U, 1U << 20, UINT32_MAX - 1, UINT32_MAX}) {
      const base::RopeKvAppendParams size{3, 2, 6, 6, position, 1e4F};
      const std::vector<float> old = filled(std::size_t{kRows} * kColumns, 7.0F);
      for (const std::string_view pairing : {"interleaved", "neox"}) {
        const auto cache = run_kernel<float>(
            find_kernel(kernels, "rope_kv_append_" + std::string(pairing) + "_f32"),
            {buffer_argument(x), {}, bytes_argument(size)}, 1, old.size(), 6,
            std::span<const float>(old));
        for (std::size_t i = 0; i < cache.size(); ++i)
          EXPECT_EQ(cache[i] != 7.0F, i / kColumns >= position) << position << ", " << i;
      }
    }
  });
}

}  // namespace
}  // namespace segue::test
