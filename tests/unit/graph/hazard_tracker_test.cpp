// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "segue/hazard.hpp"

namespace segue {
namespace {

constexpr MemoryId kBuffer{7};
constexpr MemoryId kOther{8};

constexpr AccessRange read(MemoryId memory, std::uint64_t begin, std::uint64_t end) {
  return {memory, begin, end, Access::kRead};
}
constexpr AccessRange write(MemoryId memory, std::uint64_t begin, std::uint64_t end) {
  return {memory, begin, end, Access::kWrite};
}
constexpr AccessRange update(MemoryId memory, std::uint64_t begin, std::uint64_t end) {
  return {memory, begin, end, Access::kReadWrite};
}

/// The tracker keeps few ranges and many ranges in different ways; every property holds for both.
/// The parameter is how many ranges of other memory stand in front.
class HazardTrackerTest : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override { fill(tracker_); }
  void fill(HazardTracker& tracker) const {
    for (std::uint32_t i = 0; i < GetParam(); ++i)
      tracker.add({update(MemoryId{1000 + i}, 0, 64), read(MemoryId{1000 + i}, 100, 164)});
  }
  HazardTracker tracker_;
};

TEST_P(HazardTrackerTest, AdjacentRangesNeverConflictInEitherOrder) {  // row C2
  tracker_.add({write(kBuffer, 64, 128)});
  EXPECT_FALSE(tracker_.check({update(kBuffer, 0, 64)}));
  EXPECT_FALSE(tracker_.check({update(kBuffer, 128, 192)}));
  EXPECT_TRUE(tracker_.check({update(kBuffer, 0, 65)}));
  EXPECT_TRUE(tracker_.check({update(kBuffer, 127, 192)}));
}

TEST_P(HazardTrackerTest, DisjointViewsOfOneBufferNeverConflict) {  // row C2
  tracker_.add({write(kBuffer, 0, 10), write(kBuffer, 20, 30), read(kBuffer, 40, 50)});
  EXPECT_FALSE(tracker_.check({write(kBuffer, 10, 20)}));
  EXPECT_FALSE(tracker_.check({write(kBuffer, 30, 40)}));
  EXPECT_FALSE(tracker_.check({write(kBuffer, 50, 1000)}));
  EXPECT_TRUE(tracker_.check({write(kBuffer, 29, 31)}));
}

TEST_P(HazardTrackerTest, JoiningRangesClaimsNoByteBetweenThem) {  // row C2
  tracker_.add({read(kBuffer, 0, 10), read(kBuffer, 11, 20), read(kBuffer, 21, 30)});
  tracker_.add({read(kBuffer, 20, 21), read(kBuffer, 40, 50), read(kBuffer, 51, 60)});
  EXPECT_FALSE(tracker_.check({write(kBuffer, 10, 11)}));
  EXPECT_FALSE(tracker_.check({write(kBuffer, 30, 40)}));
  EXPECT_FALSE(tracker_.check({write(kBuffer, 50, 51)}));
  EXPECT_TRUE(tracker_.check({write(kBuffer, 20, 21)}));
}

TEST_P(HazardTrackerTest, RangesWithinOlderOnesHideNothing) {  // row C2
  for (std::uint64_t first = 0; first < 30; ++first) {
    tracker_.reset();
    for (std::uint64_t i = 0; i < 100; ++i) tracker_.add({read(kBuffer, 100 * i, 100 * i + 90)});
    for (std::uint64_t i = first; i < first + 64; ++i)
      tracker_.add({read(kBuffer, 100 * i + 10, 100 * i + 20)});
    for (std::uint64_t i = 0; i < 100; ++i) {
      EXPECT_TRUE(tracker_.check({write(kBuffer, 100 * i + 50, 100 * i + 51)}))
          << first << " " << i;
      EXPECT_FALSE(tracker_.check({write(kBuffer, 100 * i + 90, 100 * i + 100)})) << i;
    }
  }
}

TEST_P(HazardTrackerTest, ReadsShareBytes) {  // row C2
  tracker_.add({read(kBuffer, 0, 64)});
  EXPECT_FALSE(tracker_.check({read(kBuffer, 0, 64)}));
  EXPECT_FALSE(tracker_.check({read(kBuffer, 32, 96)}));
}

TEST_P(HazardTrackerTest, EachKindOfHazardHasItsName) {  // rows C2, C10
  tracker_.add({read(kBuffer, 0, 10), write(kBuffer, 10, 20), update(kBuffer, 20, 30)});
  EXPECT_EQ(tracker_.check({write(kBuffer, 0, 1)})->hazard, HazardKind::kWriteAfterRead);
  EXPECT_EQ(tracker_.check({update(kBuffer, 0, 1)})->hazard, HazardKind::kWriteAfterRead);
  EXPECT_EQ(tracker_.check({read(kBuffer, 10, 11)})->hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(tracker_.check({write(kBuffer, 10, 11)})->hazard, HazardKind::kWriteAfterWrite);
  EXPECT_EQ(tracker_.check({update(kBuffer, 10, 11)})->hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(tracker_.check({read(kBuffer, 20, 21)})->hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(tracker_.check({write(kBuffer, 20, 21)})->hazard, HazardKind::kWriteAfterWrite);
}

TEST_P(HazardTrackerTest, AConflictNamesTheRangeAndTheBytes) {  // row C10
  tracker_.add({write(kBuffer, 100, 200)});
  const auto conflict = tracker_.check({read(kOther, 0, 500), read(kBuffer, 0, 100),
                                        read(kBuffer, 150, 300), read(kBuffer, 0, 500)});
  ASSERT_TRUE(conflict);
  EXPECT_EQ(conflict->range_index, 2U);
  EXPECT_EQ(conflict->range, read(kBuffer, 150, 200));
}

TEST_P(HazardTrackerTest, OtherMemoryNeverConflicts) {  // row C3
  tracker_.add({update(kBuffer, 0, UINT64_MAX)});
  EXPECT_FALSE(tracker_.check({update(kOther, 0, UINT64_MAX)}));
  EXPECT_FALSE(tracker_.check({update(MemoryId::kNone, 0, UINT64_MAX)}));
  EXPECT_TRUE(tracker_.check({read(kBuffer, UINT64_MAX - 1, UINT64_MAX)}));
}

TEST_P(HazardTrackerTest, EveryIdIsAnIdentity) {  // rows C3, C9
  const std::vector<std::uint64_t> ids{0, 1, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, 1ull << 32};
  for (const std::uint64_t id : ids) tracker_.add({write(MemoryId{id}, id % 8, id % 8 + 1)});
  for (const std::uint64_t id : ids) {
    EXPECT_TRUE(tracker_.check({read(MemoryId{id}, 0, 8)})) << id;
    EXPECT_FALSE(tracker_.check({update(MemoryId{id}, 100, 200)})) << id;
  }
  EXPECT_FALSE(tracker_.check({update(MemoryId{2}, 0, 100)}));
}

TEST_P(HazardTrackerTest, RangesOfOneDispatchDoNotConflict) {  // row C2
  EXPECT_FALSE(tracker_.check_and_add(
      {read(kBuffer, 0, 64), write(kBuffer, 0, 64), update(kBuffer, 32, 96)}));
}

TEST_P(HazardTrackerTest, EmptyRangesNeverConflict) {  // row C2
  tracker_.add({write(kBuffer, 0, 64), write(kOther, 5, 5)});
  EXPECT_FALSE(tracker_.check({write(kBuffer, 32, 32), write(kOther, 0, 64)}));
}

TEST_P(HazardTrackerTest, AConflictStartsTheNextGroupWithTheNewRanges) {  // row C4
  tracker_.add({write(kBuffer, 0, 64), write(kOther, 0, 64)});
  EXPECT_TRUE(tracker_.check_and_add({read(kBuffer, 0, 64), write(kBuffer, 64, 128)}));
  EXPECT_EQ(tracker_.live_range_count(), 2U);
  EXPECT_FALSE(tracker_.check({write(kOther, 0, 64)}));
  EXPECT_FALSE(tracker_.check({read(kBuffer, 0, 64)}));
  EXPECT_TRUE(tracker_.check({write(kBuffer, 0, 64)}));
  EXPECT_TRUE(tracker_.check({read(kBuffer, 64, 65)}));
}

TEST_P(HazardTrackerTest, WithoutConflictRangesJoinTheGroup) {  // row C4
  tracker_.reset();
  EXPECT_FALSE(tracker_.check_and_add({write(kBuffer, 0, 64)}));
  fill(tracker_);
  EXPECT_FALSE(tracker_.check_and_add({read(kBuffer, 64, 128)}));
  EXPECT_TRUE(tracker_.check({read(kBuffer, 0, 1)}));
  EXPECT_TRUE(tracker_.check({write(kBuffer, 127, 128)}));
}

TEST_P(HazardTrackerTest, LiveRangesAreCounted) {  // row C9
  const std::size_t before = tracker_.live_range_count();
  EXPECT_EQ(before, 2 * GetParam());
  tracker_.add({read(kBuffer, 0, 64), read(kBuffer, 0, 64), write(kBuffer, 9, 9)});
  EXPECT_EQ(tracker_.live_range_count(), before + 2);
  tracker_.reset();
  EXPECT_EQ(tracker_.live_range_count(), 0U);
}

TEST_P(HazardTrackerTest, ResetForgetsEverything) {  // row C5
  tracker_.add({update(kBuffer, 0, 64), update(kBuffer, 100, 164)});
  tracker_.reset();
  EXPECT_FALSE(tracker_.check({update(kBuffer, 0, 200), update(MemoryId{1000}, 0, 200)}));
  fill(tracker_);
  EXPECT_FALSE(tracker_.check({update(kBuffer, 0, 200)}));
}

TEST_P(HazardTrackerTest, ADispatchMayHaveManyRanges) {  // row C9
  std::vector<AccessRange> ranges;
  for (std::uint64_t i = 0; i < 500; ++i) ranges.push_back(write(kBuffer, 10 * i, 10 * i + 5));
  EXPECT_FALSE(tracker_.check_and_add(ranges));
  for (AccessRange& range : ranges) range = write(kBuffer, range.begin + 5, range.end + 5);
  EXPECT_FALSE(tracker_.check(ranges));
  ranges.back().end += 6;
  EXPECT_FALSE(tracker_.check(ranges));
  ranges[250].end += 1;
  EXPECT_EQ(tracker_.check(ranges)->range_index, 250U);
  EXPECT_TRUE(tracker_.check_and_add(ranges));
  EXPECT_EQ(tracker_.live_range_count(), 500U);
}

TEST_P(HazardTrackerTest, ACopyTracksOnItsOwn) {  // row C9
  tracker_.add({write(kBuffer, 0, 64)});
  HazardTracker copy = tracker_;
  copy.add({write(kOther, 0, 64)});
  EXPECT_TRUE(copy.check({read(kBuffer, 0, 1)}));
  EXPECT_FALSE(tracker_.check({read(kOther, 0, 1)}));
}

INSTANTIATE_TEST_SUITE_P(FewAndManyRanges, HazardTrackerTest, ::testing::Values(0, 7, 8, 9, 400));

TEST(HazardBetween, IsSymmetricInItsConflicts) {  // row C2
  for (const Access a : {Access::kRead, Access::kWrite, Access::kReadWrite}) {
    for (const Access b : {Access::kRead, Access::kWrite, Access::kReadWrite}) {
      for (std::uint64_t begin = 0; begin < 12; ++begin) {
        for (std::uint64_t end = begin; end < 12; ++end) {
          const AccessRange x{kBuffer, 4, 8, a}, y{kBuffer, begin, end, b};
          bool shared_byte = false;
          for (std::uint64_t byte = begin; byte < end; ++byte) shared_byte |= byte >= 4 && byte < 8;
          const bool expected = shared_byte && (a != Access::kRead || b != Access::kRead);
          EXPECT_EQ(hazard_between(x, y).has_value(), expected);
          EXPECT_EQ(hazard_between(y, x).has_value(), expected);
          EXPECT_EQ(shared_bytes(x, y).begin < shared_bytes(x, y).end, shared_byte);
        }
      }
    }
  }
}

}  // namespace
}  // namespace segue
