// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "unit/backends/host/kernels/kernel_check.hpp"

namespace segue::test {
namespace {

using oracle::Format;

struct Table {
  Format format;
  std::string_view kernel;
  std::size_t block_columns, block_bytes;
};
constexpr Table kTables[] = {{Format::kF32, "embedding_f32", 1, 4},
                             {Format::kF16, "embedding_f16", 1, 2},
                             {Format::kBF16, "embedding_bf16", 1, 2},
                             {Format::kQ8_0, "embedding_q8_0", 32, 34},
                             {Format::kQ4_0, "embedding_q4_0", 32, 18}};

/// Bytes of any content, but scales and 16-bit numbers of moderate size, so that no value is NaN.
std::vector<std::byte> random_table(const Table& table, std::size_t blocks, RandomFloats& random) {
  std::vector<std::byte> bytes(blocks * table.block_bytes);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  for (std::size_t block = 0; block < bytes.size(); block += table.block_bytes) {
    const std::size_t high_byte = block + (table.format == Format::kF32 ? 3 : 1);
    bytes[high_byte] &= std::byte{0xBF};  // An exponent below that of infinity.
  }
  return bytes;
}

TEST(EmbeddingKernels, RowsAreGatheredExactly) {
  RandomFloats random(test_seed());
  constexpr std::uint32_t kVocabulary = 11;
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const Table& table : kTables) {
      for (const std::uint32_t columns : {1U, 15U, 17U, 32U, 96U, 192U, 250U}) {
        if (columns % table.block_columns != 0) continue;
        const auto bytes = random_table(table, kVocabulary * columns / table.block_columns, random);
        const std::vector<double> values =
            oracle::decode(table.format, bytes, std::size_t{kVocabulary} * columns);
        const std::vector<std::uint32_t> tokens = {3, 0, kVocabulary - 1, 3, 7};
        const base::EmbeddingParams size{5, kVocabulary, columns};
        const auto y = run_kernel<float>(
            find_kernel(kernels, table.kernel),
            {buffer_argument(tokens), buffer_argument(bytes), {}, bytes_argument(size)}, 2,
            tokens.size() * columns, tokens.size());
        for (std::size_t i = 0; i < y.size(); ++i) {
          ASSERT_EQ(y[i], static_cast<float>(
                              values[std::size_t{tokens[i / columns]} * columns + i % columns]))
              << table.kernel << " " << columns;
        }
      }
    }
  });
}

TEST(EmbeddingKernels, ATokenOutsideTheTableGivesNan) {
  const std::vector<float> table(4 * 20, 1.0F);
  const std::vector<std::uint32_t> tokens = {3, 4, UINT32_MAX};
  const base::EmbeddingParams size{3, 4, 20};
  for_each_simd([&](std::span<const KernelSource> kernels) {
    const auto y = run_kernel<float>(
        find_kernel(kernels, "embedding_f32"),
        {buffer_argument(tokens), buffer_argument(table), {}, bytes_argument(size)}, 2, 3 * 20, 3);
    EXPECT_TRUE(std::all_of(y.begin(), y.begin() + 20, [](float value) { return value == 1.0F; }));
    EXPECT_TRUE(
        std::all_of(y.begin() + 20, y.end(), [](float value) { return std::isnan(value); }));
  });
}

TEST(EmbeddingKernels, EmbeddingTokenGivesTheRowOfTheTokenInItsParameters) {
  RandomFloats random(test_seed());
  constexpr std::uint32_t kVocabulary = 5;
  for_each_simd([&](std::span<const KernelSource> kernels) {
    for (const Table& table : kTables) {
      for (const std::uint32_t columns : {1U, 17U, 32U, 96U, 250U}) {
        if (columns % table.block_columns != 0) continue;
        const auto bytes = random_table(table, kVocabulary * columns / table.block_columns, random);
        const std::vector<double> values =
            oracle::decode(table.format, bytes, std::size_t{kVocabulary} * columns);
        const std::string name =
            "embedding_token_" + std::string(table.kernel.substr(std::string("embedding_").size()));
        for (const std::uint32_t token : {0U, 3U, kVocabulary - 1, kVocabulary, UINT32_MAX}) {
          const base::EmbeddingTokenParams size{token, kVocabulary, columns};
          const auto y =
              run_kernel<float>(find_kernel(kernels, name),
                                {buffer_argument(bytes), {}, bytes_argument(size)}, 1, columns, 1);
          for (std::size_t c = 0; c < columns; ++c) {
            if (token >= kVocabulary) {
              ASSERT_TRUE(std::isnan(y[c])) << name << " " << token;
            } else {
              ASSERT_EQ(y[c], static_cast<float>(values[std::size_t{token} * columns + c])) << name;
            }
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace segue::test
