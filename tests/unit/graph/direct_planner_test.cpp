// SPDX-License-Identifier: Apache-2.0
#include "graph/direct_planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/allocation_counter.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Access kRead = Access::kRead, kWrite = Access::kWrite, kReadWrite = Access::kReadWrite;

class DirectPlannerTest : public ::testing::Test {
 protected:
  /// Plans what `program_` holds and checks what must hold for every plan.
  ir::Plan plan(BarrierMode mode = BarrierMode::kAutomatic) {
    planner_.begin(plan_, mode);
    for (std::uint32_t i = 0; i < program_.list().size(); ++i) append(i);
    return finish();
  }
  void append(std::uint32_t index) { planner_.append(program_.list(), index, plan_); }
  ir::Plan finish() {
    planner_.finish(program_.list(), plan_);
    EXPECT_EQ(plan_.group_ends.empty(), plan_.order.empty());
    EXPECT_EQ(plan_.barriers.size() + 1, std::max<std::size_t>(plan_.group_count(), 1));
    EXPECT_EQ(plan_.order.empty() ? 0 : plan_.group_ends.back(), plan_.order.size());
    EXPECT_EQ(plan_.list, &program_.list());
    return plan_;
  }

  test::Program program_;
  std::uint32_t a_ = program_.add_storage(1, 0, 1024);
  std::uint32_t b_ = program_.add_storage(2, 0, 1024);
  DirectPlanner planner_;
  ir::Plan plan_;
};

TEST_F(DirectPlannerTest, NothingBecomesAnEmptyPlan) {  // row C4
  EXPECT_EQ(plan().group_count(), 0U);
  program_.fence();
  program_.fence();
  EXPECT_EQ(plan().group_count(), 0U);
  EXPECT_EQ(planner_.counts().requested, 0U);
}

TEST_F(DirectPlannerTest, AConflictEndsTheGroupAndTheNewRangesStartTheNext) {  // row C4
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{b_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kRead}, {a_, 64, 128, kWrite}});
  program_.dispatch({{b_, 0, 64, kRead}});  // Ordered by the barrier that is there already.
  program_.dispatch({{a_, 64, 128, kRead}});
  EXPECT_THAT(plan().order, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(plan_.group_ends, ElementsAre(2, 4, 5));
  EXPECT_EQ(planner_.counts().inferred, 2U);
  EXPECT_EQ(planner_.counts().concurrent, 3U);
  EXPECT_EQ(planner_.counts().requested, 0U);
}

TEST_F(DirectPlannerTest, EveryKindOfWorkIsTracked) {  // rows B7, C1
  const auto append_view = [this](ir::CommandKind kind, Access access) {
    ir::Command command;
    command.kind = kind;
    command.first_argument = program_.list().argument_total();
    command.argument_count = 1;
    program_.list().add_view(program_.storage(a_), 0, 64, access);
    program_.list().append(command);
  };
  append_view(ir::CommandKind::kFill, kWrite);
  append_view(ir::CommandKind::kUpload, kWrite);
  append_view(ir::CommandKind::kCopy, kRead);
  append_view(ir::CommandKind::kDispatchIndirect, kRead);
  append_view(ir::CommandKind::kNative, kWrite);
  EXPECT_THAT(plan().group_ends, ElementsAre(1, 2, 4, 5));
}

TEST_F(DirectPlannerTest, AFenceStandsOnlyBehindWork) {  // row C5
  program_.fence();
  program_.dispatch({{a_, 0, 64, kRead}});
  program_.fence();
  program_.fence();
  program_.dispatch({{b_, 0, 64, kRead}});
  program_.fence();
  EXPECT_THAT(plan().group_ends, ElementsAre(1, 2));
  ASSERT_EQ(plan_.barriers.size(), 1U);
  EXPECT_EQ(plan_.barriers[0].reason, ir::BarrierReason::kRequested);
  EXPECT_EQ(plan_.barriers[0].earlier, 1U);
  EXPECT_EQ(plan_.barriers[0].later, 4U);
  EXPECT_EQ(planner_.counts().requested, 2U) << "The last one orders what comes after the plan.";
}

TEST_F(DirectPlannerTest, AFenceResetsTheTracker) {  // row C5
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.fence();
  program_.dispatch({{a_, 0, 64, kRead}});
  EXPECT_THAT(plan().group_ends, ElementsAre(1, 2));
  EXPECT_EQ(planner_.counts().inferred, 0U);
  EXPECT_EQ(planner_.counts().concurrent, 2U);
}

TEST_F(DirectPlannerTest, AFenceCountsAsWorkEvenBehindADispatchThatTouchesNothing) {  // row C5
  program_.dispatch({});
  program_.fence();
  program_.dispatch({});
  EXPECT_THAT(plan().group_ends, ElementsAre(1, 2));
}

TEST_F(DirectPlannerTest, ManualModePlacesOnlyWhatWasAskedFor) {  // row C6
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.fence();
  program_.dispatch({{a_, 0, 64, kWrite}});
  EXPECT_THAT(plan(BarrierMode::kManual).group_ends, ElementsAre(2, 3));
  EXPECT_EQ(planner_.counts().inferred, 0U);
  EXPECT_EQ(planner_.counts().requested, 1U);
  EXPECT_EQ(planner_.counts().concurrent, 0U) << "Nothing is tracked.";
}

TEST_F(DirectPlannerTest, ABarrierNamesThePairTheBytesAndTheHazard) {  // row C10
  program_.dispatch({{a_, 0, 100, kWrite}});
  program_.dispatch({{b_, 0, 64, kRead}, {a_, 100, 200, kWrite}});
  program_.dispatch({{a_, 300, 400, kWrite}});
  program_.dispatch({{b_, 0, 64, kWrite}, {a_, 50, 300, kRead}});
  plan();
  ASSERT_EQ(plan_.barriers.size(), 1U);
  const ir::PlannedBarrier barrier = explain(plan_, 0);
  EXPECT_EQ(barrier.reason, ir::BarrierReason::kHazard);
  EXPECT_EQ(barrier.earlier, 1U) << "The last one in conflict.";
  EXPECT_EQ(barrier.later, 3U);
  EXPECT_EQ(barrier.hazard, HazardKind::kReadAfterWrite) << "Flowing data explains the most.";
  EXPECT_EQ(barrier.range, (AccessRange{MemoryId{1}, 100, 200, kRead}));
}

TEST_F(DirectPlannerTest, AnExplanationNeedsNoFinishedPlan) {  // row C10
  program_.dispatch({{a_, 0, 100, kWrite}});
  planner_.begin(plan_, BarrierMode::kAutomatic);
  plan_.list = &program_.list();
  append(0);
  const AccessRange range{MemoryId{1}, 50, 60, kWrite};
  EXPECT_TRUE(planner_.barrier_between(program_.list(), {&range, 1}, plan_));
  const ir::PlannedBarrier barrier = explain(plan_, 0);
  EXPECT_EQ(barrier.earlier, 0U);
  EXPECT_EQ(barrier.later, 1U) << "The command that is still to come.";
  EXPECT_EQ(barrier.hazard, HazardKind::kWriteAfterWrite);
  EXPECT_EQ(barrier.range, range);
}

TEST_F(DirectPlannerTest, BarrierBetweenPlacesABarrierOnlyOnConflict) {  // row C11
  program_.dispatch({{a_, 0, 64, kWrite}, {b_, 0, 64, kRead}});
  program_.dispatch({{a_, 0, 64, kRead}});
  planner_.begin(plan_, BarrierMode::kAutomatic);
  append(0);
  const AccessRange apart{MemoryId{1}, 64, 128, kWrite};
  const AccessRange shared{MemoryId{2}, 0, 64, kRead};
  const AccessRange meets{MemoryId{1}, 0, 64, kRead};
  EXPECT_FALSE(planner_.barrier_between(program_.list(), {&apart, 1}, plan_));
  EXPECT_FALSE(planner_.barrier_between(program_.list(), {&shared, 1}, plan_));
  EXPECT_EQ(planner_.live_range_count(), 2U) << "It adds nothing.";
  EXPECT_TRUE(planner_.barrier_between(program_.list(), {&meets, 1}, plan_));
  EXPECT_FALSE(planner_.barrier_between(program_.list(), {&meets, 1}, plan_));
  EXPECT_EQ(planner_.live_range_count(), 0U);
  append(1);
  EXPECT_THAT(finish().group_ends, ElementsAre(1, 2));
  EXPECT_EQ(plan_.barriers[0].later, 1U);
  EXPECT_EQ(planner_.counts().inferred, 1U);
  EXPECT_EQ(planner_.counts().concurrent, 1U) << "The second dispatch needed the barrier.";
}

TEST_F(DirectPlannerTest, BarrierBetweenWorksInManualMode) {  // rows C6, C11
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.fence();
  program_.dispatch({{a_, 64, 128, kWrite}});
  program_.dispatch({{b_, 0, 64, kWrite}});
  planner_.begin(plan_, BarrierMode::kManual);
  for (std::uint32_t i = 0; i < 3; ++i) append(i);
  const AccessRange fenced{MemoryId{1}, 0, 64, kWrite};
  const AccessRange meets{MemoryId{1}, 100, 101, kRead};
  EXPECT_FALSE(planner_.barrier_between(program_.list(), {&fenced, 1}, plan_));
  EXPECT_TRUE(planner_.barrier_between(program_.list(), {&meets, 1}, plan_));
  append(3);
  EXPECT_THAT(finish().group_ends, ElementsAre(1, 2, 3));
  EXPECT_EQ(explain(plan_, 1).earlier, 2U);
}

TEST_F(DirectPlannerTest, TwoStoragesOverOneMemoryMeetInItsCoordinates) {  // row C3
  const std::uint32_t whole = program_.add_storage(3, 0, 1024);
  const std::uint32_t tail = program_.add_storage(3, 512, 512);
  program_.dispatch({{whole, 0, 512, kWrite}});
  program_.dispatch({{tail, 0, 512, kWrite}});
  program_.dispatch({{whole, 600, 601, kRead}});
  EXPECT_THAT(plan().group_ends, ElementsAre(2, 3));
  EXPECT_EQ(explain(plan_, 0).range, (AccessRange{MemoryId{3}, 600, 601, kRead}));
}

TEST_F(DirectPlannerTest, ARecycledStorageIsNotTakenForTheOldOne) {  // row C3
  program_.dispatch({{a_, 0, 64, kWrite}});
  ir::Storage& storage = program_.storage(b_);
  storage.index = program_.storage(a_).index;  // As after the old one went away.
  storage.memory = MemoryId{99};
  program_.dispatch({{b_, 0, 64, kRead}});
  EXPECT_THAT(plan().group_ends, ElementsAre(2));
}

TEST_F(DirectPlannerTest, UnknownAccessIsReadAndWritten) {  // row C1
  const auto dispatch_unknown = [this](std::uint64_t begin) {
    ir::Command command;
    command.first_argument = program_.list().argument_total();
    command.argument_count = 1;
    program_.list().add_view(program_.storage(a_), begin, 64, kReadWrite, false);
    program_.list().append(command);
  };
  program_.dispatch({{a_, 0, 64, kRead}});
  dispatch_unknown(0);
  program_.dispatch({{a_, 0, 64, kRead}});
  dispatch_unknown(64);
  EXPECT_THAT(plan().group_ends, ElementsAre(1, 2, 4));
}

TEST_F(DirectPlannerTest, ExplicitRangesComeBeforeTheSignature) {  // row C1
  ir::CommandList& list = program_.list();
  const auto dispatch = [&](bool explicit_reads, bool explicit_writes) {
    ir::Command command;
    command.first_argument = list.argument_total();
    command.first_range = list.range_total();
    command.argument_count = 1;
    command.explicit_reads = explicit_reads;
    command.explicit_writes = explicit_writes;
    list.add_view(program_.storage(a_), 0, 1024, kReadWrite);
    if (explicit_reads) list.add_explicit_range(program_.storage(a_), 0, 64, kRead);
    if (explicit_writes) list.add_explicit_range(program_.storage(b_), 0, 64, kWrite);
    command.read_count = explicit_reads ? 1 : 0;
    command.write_count = explicit_writes ? 1 : 0;
    list.append(command);
  };
  dispatch(true, true);                        // 0: narrowed to the first 64 bytes, adds b
  program_.dispatch({{a_, 64, 128, kWrite}});  // 1: joins
  program_.dispatch({{b_, 0, 64, kRead}});     // 2: meets the added range
  dispatch(true, false);                       // 3: still writes all of a, joins (2 reads b)
  program_.dispatch({{a_, 64, 65, kRead}});    // 4: meets the write of 3
  dispatch(false, true);                       // 5: reads all of a, writes b: joins 4
  program_.dispatch({{a_, 64, 65, kRead}});    // 6: joins
  program_.dispatch({{a_, 64, 65, kWrite}});   // 7: meets the read of 5
  EXPECT_THAT(plan().group_ends, ElementsAre(2, 4, 7, 8));
}

TEST_F(DirectPlannerTest, AWholeListIsPlannedWithReasons) {  // rows C4, C10
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kRead}});
  program_.fence();
  program_.dispatch({{a_, 0, 64, kRead}});
  const ir::Plan automatic = plan_recorded_order(program_.list());
  EXPECT_THAT(automatic.group_ends, ElementsAre(1, 2, 3));
  EXPECT_EQ(automatic.barriers[0].earlier, 0U);
  EXPECT_EQ(automatic.barriers[1].reason, ir::BarrierReason::kRequested);
  const ir::Plan manual = plan_recorded_order(program_.list(), BarrierMode::kManual);
  EXPECT_THAT(manual.group_ends, ElementsAre(2, 3));
}

TEST_F(DirectPlannerTest, PlanningAgainAllocatesNothing) {  // row C9
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  for (int i = 0; i < 200; ++i) {
    const auto at = static_cast<std::uint64_t>(i % 13) * 64;
    program_.dispatch({{a_, at, at + 64, kRead}, {b_, at, at + 64, i % 3 == 0 ? kWrite : kRead}});
  }
  const auto plan_once = [this] {
    planner_.begin(plan_, BarrierMode::kAutomatic);
    for (std::uint32_t i = 0; i < program_.list().size(); ++i) append(i);
    planner_.finish(program_.list(), plan_);
  };
  plan_once();
  const auto group_ends = plan_.group_ends;
  EXPECT_GT(group_ends.size(), 2U);
  const std::uint64_t before = test::allocation_count();
  plan_once();
  EXPECT_EQ(test::allocation_count(), before);
  EXPECT_EQ(plan_.group_ends, group_ends) << "Nothing is left of the plan before.";
}

}  // namespace
}  // namespace segue::graph
