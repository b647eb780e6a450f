// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <vector>

#include "base/op_params.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

/// A state and a ring that advance() moves on by one token.
struct Loop {
  std::array<std::uint32_t, 2> state{};
  std::vector<std::uint32_t> memory;
  std::size_t view_slots;  ///< Of the memory, from its start.

  void advance(std::span<const KernelSource> kernels, std::uint32_t token,
               std::uint32_t ring_size) {
    const base::AdvanceParams size{ring_size};
    const std::array arguments = {buffer_argument(std::span<const std::uint32_t>(&token, 1)),
                                  buffer_argument(std::span<std::uint32_t>(state)),
                                  buffer_argument(std::span(memory).first(view_slots)),
                                  bytes_argument(size)};
    run_host_kernel(find_kernel(kernels, "advance"), arguments, {1, 1, 1});
  }
};

TEST(AdvanceKernel, MovesTheStateOnAndKeepsTheLastTokens) {
  for_each_simd([&](std::span<const KernelSource> kernels) {
    Loop loop{{5, 99}, {0, 0, 0, 0}, 4};
    for (std::uint32_t token = 10; token < 16; ++token) loop.advance(kernels, token, 4);
    EXPECT_EQ(loop.state, (std::array<std::uint32_t, 2>{11, 15}));
    EXPECT_EQ(loop.memory, (std::vector<std::uint32_t>{13, 14, 15, 12}));  // from slot 1 on
  });
}

TEST(AdvanceKernel, StaysInsideItsRing) {
  for_each_simd([&](std::span<const KernelSource> kernels) {
    Loop loop{{UINT32_MAX, 0}, std::vector<std::uint32_t>(16, 7), 2};
    loop.advance(kernels, 3, 0);  // A ring of no slots takes nothing.
    EXPECT_EQ(loop.state, (std::array<std::uint32_t, 2>{0, 3}));
    loop.state[0] = 8;
    loop.advance(kernels, 4, 16);  // Slot 8 of 16, of which the view has two.
    EXPECT_EQ(loop.state, (std::array<std::uint32_t, 2>{9, 4}));
    EXPECT_EQ(loop.memory, std::vector<std::uint32_t>(16, 7));
  });
}

TEST(AdvanceKernel, DeclaresWhatItReadsAndWrites) {  // row I1
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto& parameters = find_kernel(kernels, "advance").signature.parameters;
    ASSERT_EQ(parameters.size(), 4U);
    EXPECT_EQ(parameters[0].access, Access::kRead);
    EXPECT_EQ(parameters[1].access, Access::kReadWrite);
    EXPECT_EQ(parameters[2].access, Access::kWrite);
    EXPECT_EQ(parameters[3].size_bytes, sizeof(base::AdvanceParams));
  });
}

}  // namespace
}  // namespace segue::test
