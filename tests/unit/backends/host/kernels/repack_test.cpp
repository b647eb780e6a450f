// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/repack.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "segue/tensor.hpp"
#include "support/run_host_kernel.hpp"
#include "support/test_seed.hpp"
#include "support/weights.hpp"

namespace segue::test {
namespace {

struct Repack {
  std::string kernel;
  DType type;
};

const std::array kRepacks = {Repack{"repack_q8_0_tile16", DType::kQ8_0},
                             Repack{"repack_q4_0_tile16", DType::kQ4_0}};

std::vector<KernelSource> kernels() {
  std::vector<KernelSource> all;
  host::append_repack_kernels(all);
  return all;
}

void repack(const KernelSource& kernel, const Weights& weights, std::span<std::byte> destination,
            std::uint64_t begin, std::uint64_t end) {
  const base::RepackParams size{weights.rows, weights.columns};
  const std::array arguments = {buffer_argument(weights.bytes), buffer_argument(destination),
                                bytes_argument(size)};
  run_host_groups(kernel, arguments, groups_for(kernel, weights.rows), begin, end);
}

TEST(RepackKernels, MakeTilesOfSixteenRowsOfAnyMatrix) {
  std::mt19937_64 random(test_seed());
  const auto all = kernels();
  for (const Repack& which : kRepacks) {
    for (const std::uint32_t rows : {1U, 15U, 16U, 17U, 50U}) {
      for (const std::uint32_t columns : {32U, 96U, 192U}) {
        const Weights weights = random_weights(which.type, rows, columns, random);
        std::vector<std::byte> tiles(
            weight_bytes(which.type, WeightLayout::kRowTile16, rows, columns), std::byte{0x5A});
        const KernelSource& kernel = find_kernel(all, which.kernel);
        repack(kernel, weights, tiles, 0, groups_for(kernel, rows).x);
        EXPECT_EQ(tiles, in_tiles(weights))
            << which.kernel << " [" << rows << ", " << columns << "]";
      }
    }
  }
}

TEST(RepackKernels, WriteOnlyTheTilesOfTheirGroups) {
  std::mt19937_64 random(test_seed());
  const auto all = kernels();
  for (const Repack& which : kRepacks) {
    const Weights weights = random_weights(which.type, 40, 64, random);
    const std::vector<std::byte> expected = in_tiles(weights);
    std::vector<std::byte> tiles(expected.size(), std::byte{0x5A});
    const KernelSource& kernel = find_kernel(all, which.kernel);
    repack(kernel, weights, tiles, 1, 2);
    const std::size_t tile_bytes = expected.size() / 3;
    for (std::size_t i = 0; i < tiles.size(); ++i) {
      ASSERT_EQ(tiles[i], i / tile_bytes == 1 ? expected[i] : std::byte{0x5A}) << "byte " << i;
    }
  }
}

}  // namespace
}  // namespace segue::test
