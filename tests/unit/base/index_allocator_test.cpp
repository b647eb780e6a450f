// SPDX-License-Identifier: Apache-2.0
#include "base/index_allocator.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <thread>
#include <vector>

namespace segue {
namespace {

TEST(IndexAllocator, HandsOutNumbersThatAreUniqueAmongTheLiving) {
  base::IndexAllocator indices;
  EXPECT_EQ(indices.take(), 0u);
  EXPECT_EQ(indices.take(), 1u);
  EXPECT_EQ(indices.take(), 2u);
  indices.give_back(1);
  EXPECT_EQ(indices.take(), 1u);
  EXPECT_EQ(indices.take(), 3u);
}

TEST(IndexAllocator, WorksOnSeveralThreads) {  // row K5
  base::IndexAllocator indices;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&indices] {
        std::vector<std::uint32_t> mine;
        for (int i = 0; i < 1000; ++i) {
          mine.push_back(indices.take());
          if (i % 3 == 0) {
            indices.give_back(mine.back());
            mine.pop_back();
          }
        }
        ASSERT_EQ(std::set<std::uint32_t>(mine.begin(), mine.end()).size(), mine.size());
        for (const std::uint32_t index : mine) indices.give_back(index);
      });
    }
  }
  EXPECT_LT(indices.take(), 4000u);
}

}  // namespace
}  // namespace segue
