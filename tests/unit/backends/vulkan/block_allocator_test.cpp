// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/block_allocator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "support/test_seed.hpp"

namespace segue::vulkan {
namespace {

constexpr std::uint64_t kGranule = 256;

TEST(BlockAllocator, RangesBeginAtGranulesAndTakeWholeOnes) {
  BlockAllocator ranges(4 * kGranule, kGranule);
  EXPECT_EQ(ranges.take(1), 0u);
  EXPECT_EQ(ranges.take(kGranule), kGranule);
  EXPECT_EQ(ranges.take(kGranule + 1), 2 * kGranule);
  EXPECT_EQ(ranges.take(1), std::nullopt);
  EXPECT_EQ(ranges.used_bytes(), 4 * kGranule);
}

TEST(BlockAllocator, EmptyRangesHavePlacesOfTheirOwn) {
  BlockAllocator ranges(2 * kGranule, kGranule);
  EXPECT_EQ(ranges.take(0), 0u);
  EXPECT_EQ(ranges.take(0), kGranule);
  EXPECT_EQ(ranges.take(0), std::nullopt);
  ranges.give_back(0, 0);
  ranges.give_back(kGranule, 0);
  EXPECT_TRUE(ranges.empty());
}

TEST(BlockAllocator, TakesTheSmallestRangeThatFits) {
  BlockAllocator ranges(16 * kGranule, kGranule);
  const std::uint64_t wide = ranges.take(4 * kGranule).value();
  const std::uint64_t first_wall = ranges.take(1).value();
  const std::uint64_t narrow = ranges.take(2 * kGranule).value();
  const std::uint64_t second_wall = ranges.take(1).value();
  ranges.give_back(wide, 4 * kGranule);
  ranges.give_back(narrow, 2 * kGranule);
  EXPECT_EQ(ranges.take(2 * kGranule), narrow);
  EXPECT_EQ(ranges.take(3 * kGranule), wide);
  EXPECT_NE(first_wall, second_wall);
}

TEST(BlockAllocator, MergesNeighboursOnBothSides) {
  BlockAllocator ranges(3 * kGranule, kGranule);
  const std::uint64_t low = ranges.take(1).value();
  const std::uint64_t middle = ranges.take(1).value();
  const std::uint64_t high = ranges.take(1).value();
  ranges.give_back(low, 1);
  ranges.give_back(high, 1);
  EXPECT_EQ(ranges.free_ranges(), 2u);
  EXPECT_EQ(ranges.largest_free(), kGranule);
  ranges.give_back(middle, 1);
  EXPECT_EQ(ranges.free_ranges(), 1u);
  EXPECT_EQ(ranges.largest_free(), 3 * kGranule);
}

TEST(BlockAllocator, RefusesSizesThatOverflowWhenRounded) {
  BlockAllocator ranges(4 * kGranule, kGranule);
  EXPECT_EQ(ranges.take(UINT64_MAX), std::nullopt);
  EXPECT_EQ(ranges.take(UINT64_MAX - kGranule), std::nullopt);
  EXPECT_TRUE(ranges.empty());
}

TEST(BlockAllocator, ASizeBelowAGranuleHoldsNothing) {
  BlockAllocator ranges(kGranule - 1, kGranule);
  EXPECT_EQ(ranges.take(1), std::nullopt);
}

/// One flag per granule: the plainest way to say what is taken.
class GranuleFlags {
 public:
  explicit GranuleFlags(std::size_t count) : taken_(count, false) {}

  static std::size_t granules(std::uint64_t size) {
    std::size_t count = 1;
    while (count * kGranule < size) ++count;
    return count;
  }
  [[nodiscard]] bool is_free(std::uint64_t offset, std::uint64_t size) const {
    const std::size_t first = offset / kGranule;
    const std::size_t last = first + granules(size);
    if (last > taken_.size()) return false;
    return std::none_of(taken_.begin() + static_cast<std::ptrdiff_t>(first),
                        taken_.begin() + static_cast<std::ptrdiff_t>(last),
                        [](bool taken) { return taken; });
  }
  void set(std::uint64_t offset, std::uint64_t size, bool taken) {
    for (std::size_t i = 0; i < granules(size); ++i) taken_[offset / kGranule + i] = taken;
  }
  /// Lengths of the runs of free granules.
  [[nodiscard]] std::vector<std::size_t> free_runs() const {
    std::vector<std::size_t> runs;
    std::size_t run = 0;
    for (const bool taken : taken_) {
      if (!taken) {
        ++run;
      } else if (run != 0) {
        runs.push_back(run);
        run = 0;
      }
    }
    if (run != 0) runs.push_back(run);
    return runs;
  }

 private:
  std::vector<bool> taken_;
};

TEST(BlockAllocator, AgreesWithFlagsOfGranulesWhateverIsDone) {
  std::mt19937_64 random(test::test_seed());
  constexpr std::size_t kGranules = 96;
  // What sticks out behind the last granule is never given away.
  BlockAllocator ranges(kGranules * kGranule + 100, kGranule);
  GranuleFlags flags(kGranules);
  struct Taken {
    std::uint64_t offset, size;
  };
  std::vector<Taken> taken;
  for (int step = 0; step < 20'000; ++step) {
    const bool full_phase = step / 1000 % 2 == 0;
    if (taken.empty() || random() % 100 < (full_phase ? 60U : 40U)) {
      const std::uint64_t size = random() % (random() % 8 == 0 ? 40 * kGranule : 5 * kGranule);
      const std::vector<std::size_t> runs = flags.free_runs();
      const std::size_t wanted = GranuleFlags::granules(size);
      std::size_t best = SIZE_MAX;
      for (const std::size_t run : runs)
        if (run >= wanted) best = std::min(best, run);
      const auto offset = ranges.take(size);
      ASSERT_EQ(offset.has_value(), best != SIZE_MAX) << "step " << step;
      if (!offset) continue;
      ASSERT_EQ(*offset % kGranule, 0u);
      ASSERT_TRUE(flags.is_free(*offset, size)) << "step " << step;
      flags.set(*offset, size, true);
      taken.push_back({*offset, size});
      // Best fit: a shortest run that was long enough is what got shorter.
      const std::vector<std::size_t> after = flags.free_runs();
      ASSERT_EQ(std::ranges::count(after, best) + 1, std::ranges::count(runs, best))
          << "step " << step;
    } else {
      const std::size_t victim = random() % taken.size();
      ranges.give_back(taken[victim].offset, taken[victim].size);
      flags.set(taken[victim].offset, taken[victim].size, false);
      taken[victim] = taken.back();
      taken.pop_back();
    }
    const std::vector<std::size_t> runs = flags.free_runs();
    const std::size_t longest = runs.empty() ? 0 : std::ranges::max(runs);
    ASSERT_EQ(ranges.largest_free(), longest * kGranule) << "step " << step;
    ASSERT_EQ(ranges.free_ranges(), runs.size()) << "step " << step;
    ASSERT_EQ(ranges.empty(), taken.empty());
  }
}

}  // namespace
}  // namespace segue::vulkan
