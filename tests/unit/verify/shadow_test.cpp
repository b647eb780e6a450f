// SPDX-License-Identifier: Apache-2.0
#include "verify/shadow.hpp"

#include <gtest/gtest.h>

#include <random>

#include "support/test_seed.hpp"

namespace segue::verify {
namespace {

TEST(Shadow, OverlapsOfEveryKindAgreeWithAPlainArray) {
  std::mt19937_64 random(test::test_seed());
  constexpr std::size_t kSize = 96;
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  for (int round = 0; round < 200; ++round) {
    Shadow shadow;
    std::vector<std::byte> plain(kSize, std::byte{0xEE});
    for (int step = 0; step < 20; ++step) {
      const std::size_t begin = below(kSize);
      const std::size_t size = below(kSize - begin + 1);
      std::vector<std::byte> bytes(size, static_cast<std::byte>(random()));
      shadow.write(MemoryId{7}, begin, bytes);
      std::ranges::copy(bytes, plain.begin() + static_cast<std::ptrdiff_t>(begin));
      const std::size_t from = below(kSize);
      std::vector<std::byte> seen(below(kSize - from + 1), std::byte{0xEE});
      shadow.overlay(MemoryId{7}, from, seen);
      const auto expected = plain.begin() + static_cast<std::ptrdiff_t>(from);
      ASSERT_TRUE(std::equal(seen.begin(), seen.end(), expected)) << round << ", " << step;
    }
  }
}

TEST(Shadow, MemoriesAreApart) {
  Shadow shadow;
  const std::vector<std::byte> one(4, std::byte{1});
  shadow.write(MemoryId{1}, 0, one);
  std::vector<std::byte> seen(4, std::byte{0});
  shadow.overlay(MemoryId{2}, 0, seen);
  EXPECT_EQ(seen, std::vector<std::byte>(4, std::byte{0}));
}

}  // namespace
}  // namespace segue::verify
