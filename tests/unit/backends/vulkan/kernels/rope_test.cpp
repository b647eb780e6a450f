// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/vulkan/kernels/kernel_runner.hpp"

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
    {1, 2, 7, 4, 5, 0.5F},         {1, 1, 96, 96, 1048575, 1e7F},   {1, 3, 5, 0, 3, 1e4F},
};

class VulkanRopeKernels : public VulkanKernelTest {};

TEST_F(VulkanRopeKernels, PairsTurnByTheirPosition) {
  for (const bool neox : {false, true}) {
    const std::string name = neox ? "rope_neox" : "rope_interleaved";
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(shape.head_size);
      const std::size_t heads = std::size_t{shape.tokens} * shape.heads;
      std::vector<float> x = normal(heads * shape.head_size);
      const base::RopeParams size{shape.tokens,  shape.heads,    shape.head_size,
                                  shape.rotated, shape.position, shape.base};
      std::vector<float> y(x.size());
      run(name, {read(x), write(y)}, size, heads);
      expect_close(y,
                   oracle::rope(x, {shape.tokens, shape.heads, shape.head_size, shape.rotated,
                                    shape.position, shape.base, neox}),
                   0, kTolerance);
      run(name, {read(x), write(x)}, size, heads);
      EXPECT_TRUE(same_bits(x, y)) << "in place";
    }
  }
}

TEST_F(VulkanRopeKernels, APositionBeyondThirtyTwoBitsTurnsOn) {
  // The last tokens are at 2^32 and 2^32 + 1; what counts is that nothing wraps to position 0.
  const std::vector<float> x(4 * 2, 1.0F);
  std::vector<float> y(x.size());
  run("rope_neox", {read(x), write(y)}, base::RopeParams{4, 1, 2, 2, UINT32_MAX - 1, 1.0F}, 4);
  const std::vector<double> want = oracle::rope(x, {4, 1, 2, 2, UINT32_MAX - 1, 1.0, true});
  expect_close(y, want, 0, 1e-4);
}

/// Checks rope_kv_append against rope and then kv_append, bit for bit, in a cache of a few more
/// rows.
template <class T>
void check_append(VulkanKernelTest& test, const std::string& pairing, const std::string& type) {
  for (const Shape& shape : kShapes) {
    const std::uint32_t columns = shape.heads * shape.head_size;
    const std::size_t heads = std::size_t{shape.tokens} * shape.heads;
    const std::vector<float> x = test.normal(heads * shape.head_size);
    constexpr std::uint32_t kPosition = 3;
    std::vector<float> turned(x.size());
    test.run("rope_" + pairing, {read(x), write(turned)},
             base::RopeParams{shape.tokens, shape.heads, shape.head_size, shape.rotated, kPosition,
                              shape.base},
             heads);
    std::vector<T> want(std::size_t{kPosition + shape.tokens + 2} * columns, T{7});
    std::vector<T> got = want;
    test.run("kv_append_" + type, {read(turned), write(want)},
             base::KvAppendParams{shape.tokens, columns, kPosition}, shape.tokens);
    test.run("rope_kv_append_" + pairing + "_" + type, {read(x), write(got)},
             base::RopeKvAppendParams{shape.tokens, shape.heads, shape.head_size, shape.rotated,
                                      kPosition, shape.base},
             heads);
    ASSERT_TRUE(same_bits(got, want)) << shape.heads << " heads of " << shape.head_size;
  }
}

TEST_F(VulkanRopeKernels, RopeKvAppendGivesTheBitsOfRopeAndThenKvAppend) {  // row E7
  for (const char* pairing : {"interleaved", "neox"}) {
    check_append<float>(*this, pairing, "f32");
    check_append<std::uint16_t>(*this, pairing, "f16");
  }
}

TEST_F(VulkanRopeKernels, RopeKvAppendWritesNoRowOutsideTheCache) {
  constexpr std::uint32_t kRows = 4;
  constexpr std::uint32_t kColumns = 2 * 6;
  const std::vector<float> x = normal(3 * kColumns);
  for (const std::uint32_t position : {2U, 3U, 4U, 5U, 1U << 20, UINT32_MAX - 1, UINT32_MAX}) {
    const base::RopeKvAppendParams size{3, 2, 6, 6, position, 1e4F};
    for (const char* pairing : {"interleaved", "neox"}) {
      std::vector<float> cache(std::size_t{kRows} * kColumns, 7.0F);
      run(std::string("rope_kv_append_") + pairing + "_f32", {read(x), write(cache)}, size, 6);
      for (std::size_t i = 0; i < cache.size(); ++i)
        EXPECT_EQ(cache[i] != 7.0F, i / kColumns >= position) << position << ", " << i;
    }
  }
}

}  // namespace
}  // namespace segue::test
