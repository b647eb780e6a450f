// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "graph/direct_planner.hpp"
#include "support/test_seed.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using test::check_plan;
using test::fewest_barriers;
using test::must_keep_order;
using test::random_program;

/// Few bytes and few storages, many of both, and one large memory.
std::vector<test::ProgramShape> shapes(std::uint32_t commands) {
  return {{.commands = commands},
          {.commands = commands, .storages = 10, .memories = 5, .bytes = 40, .write_chance = 0.1},
          {.commands = commands, .storages = 3, .memories = 1, .bytes = 1000, .uses = 2},
          {.commands = commands, .fence_chance = 0.0, .write_chance = 0.6}};
}

TEST(DirectPlannerOracle, RandomProgramsGetEveryOrderAndNoNeedlessBarrier) {  // rows C2, C4, C5, L1
  std::mt19937_64 random(test::test_seed());
  for (const auto& shape : shapes(60)) {
    for (int i = 0; i < 1000; ++i) {
      const test::Program program = random_program(random, shape);
      const ir::Plan plan = plan_recorded_order(program.list());
      const auto findings = check_plan(program.oracle(), plan.order, plan.group_ends);
      ASSERT_TRUE(findings.clean()) << findings.describe();
    }
  }
}

TEST(DirectPlannerOracle, LongGroupsOverManyMemoriesAreRight) {  // rows C4, C9
  std::mt19937_64 random(test::test_seed());
  const test::ProgramShape shape{.commands = 400,
                                 .storages = 60,
                                 .memories = 40,
                                 .bytes = 3000,
                                 .uses = 4,
                                 .fence_chance = 0.0,
                                 .write_chance = 0.01};
  for (int i = 0; i < 40; ++i) {
    const test::Program program = random_program(random, shape);
    const ir::Plan plan = plan_recorded_order(program.list());
    const auto findings = check_plan(program.oracle(), plan.order, plan.group_ends);
    ASSERT_TRUE(findings.clean()) << findings.describe();
  }
}

TEST(DirectPlannerOracle, NoPlacementInRecordedOrderNeedsFewerBarriers) {  // row C4
  std::mt19937_64 random(test::test_seed());
  std::size_t barriers = 0;
  for (const auto& shape : shapes(10)) {
    for (int i = 0; i < 1000; ++i) {
      const test::Program program = random_program(random, shape);
      const ir::Plan plan = plan_recorded_order(program.list());
      ASSERT_EQ(plan.barriers.size(), fewest_barriers(program.oracle()));
      barriers += plan.barriers.size();
    }
  }
  EXPECT_GT(barriers, 1000U);
}

TEST(DirectPlannerOracle, DeletingAnyBarrierIsFound) {  // rows C4, L1
  std::mt19937_64 random(test::test_seed());
  std::size_t deleted = 0;
  for (const auto& shape : shapes(30)) {
    for (int i = 0; i < 100; ++i) {
      const test::Program program = random_program(random, shape);
      const ir::Plan plan = plan_recorded_order(program.list());
      for (std::size_t g = 0; g < plan.barriers.size(); ++g, ++deleted) {
        auto group_ends = plan.group_ends;
        group_ends.erase(group_ends.begin() + static_cast<std::ptrdiff_t>(g));
        ASSERT_FALSE(check_plan(program.oracle(), plan.order, group_ends).missing.empty());
      }
    }
  }
  EXPECT_GT(deleted, 1000U);
}

TEST(DirectPlannerOracle, AddingABarrierIsFound) {  // row L1
  std::mt19937_64 random(test::test_seed());
  std::size_t added = 0;
  for (int i = 0; i < 200; ++i) {
    const test::Program program = random_program(random, {.commands = 30, .write_chance = 0.1});
    const ir::Plan plan = plan_recorded_order(program.list());
    for (std::uint32_t at = 1; at < plan.order.size(); ++at) {
      auto group_ends = plan.group_ends;
      const auto place = std::ranges::lower_bound(group_ends, at);
      if (*place == at) continue;
      group_ends.insert(place, at);
      const auto findings = check_plan(program.oracle(), plan.order, group_ends);
      ASSERT_TRUE(findings.missing.empty());
      // In two halves of one group nothing conflicts, so the barrier between them is needless.
      ASSERT_FALSE(findings.needless.empty());
      ++added;
    }
  }
  EXPECT_GT(added, 500U);
}

TEST(DirectPlannerOracle, EveryReasonIsARealConflictAcrossTheBarrier) {  // row C10
  std::mt19937_64 random(test::test_seed());
  for (const auto& shape : shapes(40)) {
    for (int i = 0; i < 200; ++i) {
      const test::Program program = random_program(random, shape);
      const ir::Plan plan = plan_recorded_order(program.list());
      for (std::size_t g = 0; g < plan.barriers.size(); ++g) {
        const ir::PlannedBarrier& barrier = plan.barriers[g];
        const auto before = plan.group(g);
        ASSERT_EQ(barrier.later, plan.group(g + 1).front());
        ASSERT_NE(std::ranges::find(before, barrier.earlier), before.end());
        if (barrier.reason == ir::BarrierReason::kRequested) continue;
        // The earlier command alone, cut down to the bytes named, still conflicts.
        test::OracleCommand earlier = program.oracle()[barrier.earlier];
        bool writes = false;
        for (test::OracleAccess& access : earlier.accesses) {
          if (static_cast<MemoryId>(access.memory) != barrier.range.memory)
            access.end = access.begin;
          access.begin = std::max(access.begin, barrier.range.begin);
          access.end = std::max(access.begin, std::min(access.end, barrier.range.end));
          writes |= access.writes && access.begin < access.end;
        }
        ASSERT_TRUE(must_keep_order(earlier, program.oracle()[barrier.later]));
        ASSERT_TRUE(writes || barrier.hazard == HazardKind::kWriteAfterRead);
      }
    }
  }
}

TEST(PlanOracle, FindsWhatIsPlanted) {  // row L1
  const test::OracleCommand writer{false, {{1, 0, 8, false, true}}};
  const test::OracleCommand reader{false, {{1, 7, 9, true, false}}};
  const test::OracleCommand beside{false, {{1, 8, 16, true, true}}};
  EXPECT_TRUE(must_keep_order(writer, reader));
  EXPECT_TRUE(must_keep_order(reader, writer));
  EXPECT_TRUE(must_keep_order(writer, writer));
  EXPECT_FALSE(must_keep_order(reader, reader));
  EXPECT_FALSE(must_keep_order(writer, beside));
  EXPECT_FALSE(must_keep_order(beside, writer));
  const std::vector<std::uint32_t> order{0, 1}, together{2}, apart{1, 2}, empty_group{0, 2};
  EXPECT_EQ(check_plan({writer, reader}, order, together).missing.size(), 1U);
  EXPECT_TRUE(check_plan({writer, reader}, order, apart).clean());
  EXPECT_EQ(check_plan({writer, beside}, order, apart).needless.size(), 1U);
  EXPECT_FALSE(check_plan({writer, beside}, order, empty_group).malformed.empty());
  EXPECT_FALSE(check_plan({writer, beside, reader}, order, apart).malformed.empty());
  EXPECT_EQ(check_plan({writer, reader}, std::vector<std::uint32_t>{1, 0}, apart).missing.size(),
            1U);
  EXPECT_EQ(check_plan({writer, {true, {}}, beside}, std::vector<std::uint32_t>{0, 2}, together)
                .missing.size(),
            1U);
  EXPECT_EQ(fewest_barriers({writer, reader, beside, writer}), 2U);
}

}  // namespace
}  // namespace segue::graph
