// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "segue/hazard.hpp"
#include "support/allocation_counter.hpp"
#include "support/test_seed.hpp"

namespace segue {
namespace {

/// What a tracker must answer: bytes marked one by one.
class ByteMap {
 public:
  ByteMap(std::size_t memories, std::size_t bytes)
      : marks_(memories, std::vector<std::uint8_t>(bytes, 0)) {}

  [[nodiscard]] bool meets(const AccessRange& range) const {
    const bool writing = range.access != Access::kRead;
    for (std::uint64_t byte = range.begin; byte < range.end; ++byte) {
      const std::uint8_t mark = marks_[static_cast<std::size_t>(range.memory)][byte];
      if ((mark & kWritten) != 0 || (writing && mark != 0)) return true;
    }
    return false;
  }
  void mark(const AccessRange& range) {
    for (std::uint64_t byte = range.begin; byte < range.end; ++byte)
      marks_[static_cast<std::size_t>(range.memory)][byte] |=
          range.access == Access::kRead ? kRead : kWritten;
  }
  void clear() {
    for (auto& memory : marks_) std::fill(memory.begin(), memory.end(), std::uint8_t{0});
  }

 private:
  static constexpr std::uint8_t kRead = 1, kWritten = 2;
  std::vector<std::vector<std::uint8_t>> marks_;
};

struct Shape {
  std::uint64_t memories, bytes, longest, ranges;
  double write_chance;
};

AccessRange random_range(std::mt19937_64& random, const Shape& shape) {
  const std::uint64_t begin = random() % shape.bytes;
  const std::uint64_t end = std::min(shape.bytes, begin + random() % (shape.longest + 1));
  const bool writing = std::uniform_real_distribution<>(0, 1)(random) < shape.write_chance;
  const Access access = !writing            ? Access::kRead
                        : random() % 2 == 0 ? Access::kWrite
                                            : Access::kReadWrite;
  return {MemoryId{random() % shape.memories}, begin, end, access};
}

TEST(HazardTrackerRandom, AgreesWithAMapOfBytes) {  // rows C2, C4, C9
  std::mt19937_64 random(test::test_seed());
  const std::vector<Shape> shapes{
      {3, 64, 8, 4, 0.3},         // groups of few dispatches
      {40, 4096, 16, 4, 0.1},     // groups of many, over many memories
      {1, 1 << 14, 6, 4, 0.002},  // one memory with hundreds of intervals, mostly read
      {2, 1 << 16, 3, 20, 0.5},   // and written, by dispatches with many ranges
      {200, 256, 256, 3, 0.05},
  };
  for (const Shape& shape : shapes) {
    HazardTracker tracker;
    ByteMap bytes(shape.memories, shape.bytes);
    std::size_t live = 0;
    for (int step = 0; step < 4000; ++step) {
      std::vector<AccessRange> ranges(random() % (shape.ranges + 1));
      for (AccessRange& range : ranges) range = random_range(random, shape);
      const auto first =
          std::ranges::find_if(ranges, [&](const auto& r) { return bytes.meets(r); });
      const auto checked = tracker.check(ranges);
      ASSERT_EQ(checked.has_value(), first != ranges.end()) << "step " << step;
      if (checked) {
        ASSERT_EQ(checked->range_index, first - ranges.begin());
        ASSERT_GE(checked->range.begin, first->begin);
        ASSERT_LE(checked->range.end, first->end);
        ASSERT_LT(checked->range.begin, checked->range.end);
        for (std::uint64_t byte = checked->range.begin; byte < checked->range.end; ++byte)
          ASSERT_TRUE(bytes.meets({first->memory, byte, byte + 1, first->access}));
      }
      for (int i = 0; i < 4; ++i) {
        const AccessRange probe = random_range(random, {shape.memories, shape.bytes, 3, 1, 0.7});
        ASSERT_EQ(tracker.check({probe}).has_value(), bytes.meets(probe)) << "step " << step;
      }
      // Adding in spite of a conflict is what manual mode does.
      const bool keep = random() % 4 == 0;
      if (keep) {
        tracker.add(ranges);
      } else {
        const auto conflict = tracker.check_and_add(ranges);
        ASSERT_EQ(conflict.has_value(), checked.has_value());
        if (conflict) {
          ASSERT_EQ(conflict->range, checked->range);
          ASSERT_EQ(conflict->hazard, checked->hazard);
          bytes.clear();
          live = 0;
        }
      }
      for (const AccessRange& range : ranges) {
        bytes.mark(range);
        live += range.begin < range.end ? 1 : 0;
      }
      ASSERT_EQ(tracker.live_range_count(), live);
      if (random() % 997 == 0) {
        tracker.reset();
        bytes.clear();
        live = 0;
      }
    }
  }
}

TEST(HazardTrackerRandom, ARepeatedSequenceAllocatesNothing) {  // row C9
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  std::mt19937_64 random(test::test_seed());
  const Shape shape{60, 1 << 14, 8, 4, 0.05};
  std::vector<std::vector<AccessRange>> sequence(2000);
  for (auto& ranges : sequence) {
    ranges.resize(1 + random() % shape.ranges);
    for (AccessRange& range : ranges) range = random_range(random, shape);
  }
  HazardTracker tracker;
  const auto run = [&] {
    tracker.reset();
    std::size_t barriers = 0;
    for (const auto& ranges : sequence) barriers += tracker.check_and_add(ranges) ? 1 : 0;
    return barriers;
  };
  const std::uint64_t before = test::allocation_count();
  const std::size_t barriers = run();
  const std::uint64_t warm = test::allocation_count();
  EXPECT_GT(warm, before);
  EXPECT_EQ(run(), barriers);
  EXPECT_EQ(run(), barriers);
  EXPECT_EQ(test::allocation_count(), warm);
}

TEST(HazardTrackerRandom, ManyMemoriesAllocateByNumberNotById) {  // row C9
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  HazardTracker tracker;
  const std::uint64_t before = test::allocation_count();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const MemoryId memory{UINT64_MAX - i * 0x0001'0101'0101'0101};
    EXPECT_FALSE(tracker.check_and_add({{memory, 0, 64, Access::kWrite}}));
  }
  EXPECT_EQ(tracker.live_range_count(), 1000U);
  EXPECT_LE(test::allocation_count() - before, 8U);
}

}  // namespace
}  // namespace segue
