// SPDX-License-Identifier: Apache-2.0
#include "graph/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <vector>

#include "graph/certificate.hpp"
#include "support/test_seed.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using test::Program;
using test::random_program;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::array kSchedules{Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath,
                                Schedule::kRandom};

class ScheduleTest : public ::testing::Test {
 protected:
  /// Byte `n` of the one memory.
  void write(std::uint64_t n) { program.dispatch({{0, n, n + 1, Access::kWrite}}); }
  void read(std::uint64_t n) { program.dispatch({{0, n, n + 1, Access::kRead}}); }
  void set_op(std::uint32_t command, OpKind op) {
    program.list().mutable_commands()[command].op = op;
  }
  [[nodiscard]] ir::Plan plan(Schedule schedule, std::uint64_t seed = 0) const {
    return plan_schedule(program.list(), Dependencies(program.list()), schedule, seed);
  }
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> groups(Schedule schedule) const {
    const ir::Plan made = plan(schedule);
    std::vector<std::vector<std::uint32_t>> all;
    for (std::size_t g = 0; g < made.group_count(); ++g)
      all.emplace_back(made.group(g).begin(), made.group(g).end());
    return all;
  }
  ScheduleTest() { program.add_storage(1, 0, 1000); }
  Program program;
};

TEST_F(ScheduleTest, OfNothingIsEmpty) {
  for (const Schedule schedule : kSchedules) {
    const ir::Plan made = plan(schedule);
    EXPECT_THAT(made.order, IsEmpty());
    EXPECT_EQ(made.group_count(), 0U);
    EXPECT_TRUE(certify(made).minimal());
  }
  program.fence();
  for (const Schedule schedule : kSchedules) EXPECT_EQ(plan(schedule).group_count(), 0U);
  EXPECT_EQ(
      report(plan(Schedule::kRecorded), Dependencies(program.list()), Schedule::kRecorded).elided,
      0U);
}

TEST_F(ScheduleTest, RecordedKeepsTheOrder) {  // row E5
  write(0), read(0), write(1), read(1);
  EXPECT_THAT(groups(Schedule::kRecorded),
              ElementsAre(ElementsAre(0), ElementsAre(1, 2), ElementsAre(3)));
}

TEST_F(ScheduleTest, CriticalPathGroupsByLevel) {  // row E5
  write(0), read(0), write(1), read(1);
  EXPECT_THAT(groups(Schedule::kCriticalPath), ElementsAre(ElementsAre(0, 2), ElementsAre(1, 3)));
}

TEST_F(ScheduleTest, LookaheadTakesWhatFitsBeforeTheBarrier) {  // row E4
  write(0), read(0), write(1), read(1);
  EXPECT_THAT(groups(Schedule::kLookahead), ElementsAre(ElementsAre(0, 2), ElementsAre(1, 3)));
}

TEST_F(ScheduleTest, LookaheadTakesNothingThatFollowsWhatIsLeftBehind) {  // row E4
  write(0);
  program.dispatch({{0, 0, 1, Access::kRead}, {0, 1, 2, Access::kWrite}});
  read(1);  // follows the command that waits
  write(2);
  program.dispatch({{0, 2, 3, Access::kRead}});  // follows one that joined
  EXPECT_THAT(groups(Schedule::kLookahead),
              ElementsAre(ElementsAre(0, 3), ElementsAre(1, 4), ElementsAre(2)));
}

TEST_F(ScheduleTest, LookaheadSearches64Commands) {  // row E4
  for (const std::uint32_t between : {63U, 64U}) {
    program.clear();
    write(0);
    read(0);  // waits
    for (std::uint32_t i = 0; i < between; ++i) read(0);
    write(1);
    const bool found = groups(Schedule::kLookahead)[0].size() == 2;
    EXPECT_EQ(found, between == 63) << between;
  }
}

TEST_F(ScheduleTest, LookaheadStopsAtKindsThatNothingMovesPast) {  // rows B8, E4
  for (const OpKind op : {OpKind::kSdpa, OpKind::kSoftmax, OpKind::kMatMul}) {
    program.clear();
    write(0), read(0), read(0), write(1);
    set_op(2, op);
    EXPECT_EQ(groups(Schedule::kLookahead)[0].size(), is_reorderable(op) ? 2U : 1U);
  }
}

TEST_F(ScheduleTest, LookaheadMovesNothingPastAWaitingCommandOfSuchAKind) {  // rows B8, E4
  for (const OpKind op : {OpKind::kSdpa, OpKind::kSoftmax, OpKind::kMatMul}) {
    program.clear();
    write(0), read(0), write(1);
    set_op(1, op);
    EXPECT_EQ(groups(Schedule::kLookahead)[0].size(), is_reorderable(op) ? 2U : 1U);
  }
}

TEST_F(ScheduleTest, NoScheduleCrossesAFence) {  // rows C5, E4
  write(0), read(0);
  program.fence();
  write(1), read(1);
  for (const Schedule schedule : kSchedules) {
    EXPECT_THAT(groups(schedule),
                ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(3), ElementsAre(4)))
        << to_string(schedule);
  }
  const ir::Plan made = plan(Schedule::kCriticalPath);
  ASSERT_EQ(made.barriers.size(), 3U);
  EXPECT_EQ(made.barriers[0].reason, ir::BarrierReason::kHazard);
  EXPECT_EQ(made.barriers[1].reason, ir::BarrierReason::kRequested);
  EXPECT_EQ(made.barriers[1].earlier, 1U);
  EXPECT_EQ(made.barriers[1].later, 3U);
  EXPECT_EQ(made.barriers[2].reason, ir::BarrierReason::kHazard);
}

TEST_F(ScheduleTest, SeedsRepeatAndDiffer) {  // row E5
  for (std::uint64_t i = 0; i < 20; ++i) write(i);
  EXPECT_EQ(plan(Schedule::kRandom, 1).order, plan(Schedule::kRandom, 1).order);
  EXPECT_NE(plan(Schedule::kRandom, 1).order, plan(Schedule::kRandom, 2).order);
}

TEST_F(ScheduleTest, ReasonIsTheBytesInConflict) {  // row C10
  program.dispatch({{0, 0, 8, Access::kRead}, {0, 20, 28, Access::kWrite}});
  program.dispatch({{0, 4, 12, Access::kWrite}, {0, 24, 30, Access::kRead}});
  const ir::Plan made = plan(Schedule::kCriticalPath);
  ASSERT_EQ(made.barriers.size(), 1U);
  EXPECT_EQ(made.barriers[0].hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(made.barriers[0].earlier, 0U);
  EXPECT_EQ(made.barriers[0].later, 1U);
  EXPECT_EQ(made.barriers[0].range, (AccessRange{MemoryId{1}, 24, 28, Access::kRead}));
}

TEST_F(ScheduleTest, ReasonIsDataThatFlowsIfThereIsSome) {  // row C10
  read(0), write(1), read(2);
  program.dispatch(
      {{0, 0, 1, Access::kWrite}, {0, 1, 2, Access::kRead}, {0, 2, 3, Access::kWrite}});
  const ir::Plan made = plan(Schedule::kRecorded);
  ASSERT_EQ(made.barriers.size(), 1U);
  EXPECT_EQ(made.barriers[0].hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(made.barriers[0].earlier, 1U);
}

TEST_F(ScheduleTest, ReportCountsTheBoundAndWhatIsAchieved) {  // rows E1, E5
  write(0), read(0), write(1), read(1), write(2);
  const Dependencies dependencies(program.list());
  const ScheduleReport recorded =
      report(plan(Schedule::kRecorded), dependencies, Schedule::kRecorded);
  EXPECT_EQ(recorded.schedule, Schedule::kRecorded);
  EXPECT_EQ(recorded.dispatches, 5U);
  EXPECT_EQ(recorded.barriers, 2U);
  EXPECT_EQ(recorded.critical_path, 2U);
  EXPECT_EQ(recorded.bound, 1U);
  EXPECT_EQ(recorded.elided, 2U);
  const ScheduleReport best =
      report(plan(Schedule::kCriticalPath), dependencies, Schedule::kCriticalPath);
  EXPECT_EQ(best.barriers, best.bound);
  EXPECT_EQ(best.elided, 3U);
}

TEST_F(ScheduleTest, ViolationNamesTheTwoCommands) {  // row E2
  write(0), read(0), read(1);
  program.fence();
  write(5);
  const Dependencies dependencies(program.list());
  const auto violation = [&](std::vector<std::uint32_t> order) {
    return find_violation(dependencies, order);
  };
  EXPECT_FALSE(violation({0, 1, 2, 4}).has_value());
  EXPECT_FALSE(violation({2, 0, 1, 4}).has_value());
  const auto swapped = violation({1, 0, 2, 4});
  ASSERT_TRUE(swapped.has_value());
  EXPECT_EQ(swapped->earlier, 0U);
  EXPECT_EQ(swapped->later, 1U);
  ASSERT_TRUE(swapped->dependency.has_value());
  EXPECT_EQ(swapped->dependency->hazard, HazardKind::kReadAfterWrite);
  const auto fenced = violation({0, 1, 4, 2});
  ASSERT_TRUE(fenced.has_value());
  EXPECT_EQ(fenced->earlier, 2U);
  EXPECT_EQ(fenced->later, 4U);
  EXPECT_FALSE(fenced->dependency.has_value());
}

TEST(ScheduleNames, AreTheOnesOfTheEnumerators) {
  EXPECT_EQ(to_string(Schedule::kRecorded), "recorded");
  EXPECT_EQ(to_string(Schedule::kLookahead), "lookahead");
  EXPECT_EQ(to_string(Schedule::kCriticalPath), "critical_path");
  EXPECT_EQ(to_string(Schedule::kRandom), "random");
}

// -- Random programs

constexpr std::array kShapes{
    test::ProgramShape{.commands = 40},
    test::ProgramShape{
        .commands = 60, .storages = 10, .memories = 5, .bytes = 40, .write_chance = 0.1},
    test::ProgramShape{.commands = 60, .storages = 3, .memories = 1, .bytes = 1000, .uses = 2},
    test::ProgramShape{.commands = 40, .fence_chance = 0.0, .write_chance = 0.6},
    test::ProgramShape{.commands = 40, .fence_chance = 0.4, .write_chance = 0.1},
    test::ProgramShape{.commands = 200, .storages = 20, .memories = 20, .fence_chance = 0.02}};

TEST(ScheduleOracle, EveryScheduleIsLegalWithoutANeedlessBarrierAndItsReasonsAreTrue) {
  // rows C10, E4, E5, L1
  std::mt19937_64 random(test::test_seed());
  std::uint64_t barriers = 0, moved = 0;
  for (const test::ProgramShape& shape : kShapes) {
    for (int i = 0; i < 150; ++i) {
      Program program = random_program(random, shape);
      for (ir::Command& command : program.list().mutable_commands()) {
        if (command.kind != ir::CommandKind::kBarrier && random() % 8 == 0)
          command.op = OpKind::kSdpa;
      }
      const Dependencies dependencies(program.list());
      for (const Schedule schedule : kSchedules) {
        SCOPED_TRACE(to_string(schedule));
        const ir::Plan plan = plan_schedule(program.list(), dependencies, schedule, random());
        const Certificate certificate = certify(plan);
        ASSERT_TRUE(certificate.valid()) << certificate.to_string();
        ASSERT_THAT(certificate.needless, IsEmpty()) << certificate.to_string();
        ASSERT_THAT(untrue_reasons(plan), IsEmpty());
        if (schedule == Schedule::kCriticalPath) {
          ASSERT_TRUE(certificate.minimal()) << certificate.to_string();
        }
        ASSERT_FALSE(find_violation(dependencies, plan.order).has_value());
        const ScheduleReport numbers = report(plan, dependencies, schedule);
        ASSERT_EQ(numbers.barriers, certificate.barriers);
        ASSERT_EQ(numbers.critical_path, certificate.critical_path);
        barriers += certificate.barriers;
        moved += std::ranges::is_sorted(plan.order) ? 0 : 1;
      }
    }
  }
  EXPECT_GT(barriers, 0U);
  EXPECT_GT(moved, 0U);
}

TEST(ScheduleOracle, ViolationsAreFoundExactlyWhereTheOracleFindsSome) {  // row E2
  std::mt19937_64 random(test::test_seed());
  int legal = 0, broken = 0;
  for (const test::ProgramShape& shape : kShapes) {
    for (int i = 0; i < 150; ++i) {
      const Program program = random_program(random, shape);
      const Dependencies dependencies(program.list());
      std::vector<std::uint32_t> order =
          order_commands(program.list(), dependencies, Schedule::kRandom, random());
      if (order.size() < 2) continue;
      std::swap(order[random() % order.size()], order[random() % order.size()]);
      // A group for each command: what is missing then is order alone.
      std::vector<std::uint32_t> ends(order.size());
      std::iota(ends.begin(), ends.end(), 1U);
      const bool fine = test::check_plan(program.oracle(), order, ends).missing.empty();
      ASSERT_EQ(!find_violation(dependencies, order).has_value(), fine);
      (fine ? legal : broken) += 1;
    }
  }
  EXPECT_GT(legal, 0);
  EXPECT_GT(broken, 0);
}

}  // namespace
}  // namespace segue::graph
