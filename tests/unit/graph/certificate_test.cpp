// SPDX-License-Identifier: Apache-2.0
#include "graph/certificate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/direct_planner.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Access kRead = Access::kRead, kWrite = Access::kWrite, kReadWrite = Access::kReadWrite;

class CertificateTest : public ::testing::Test {
 protected:
  ir::Plan plan(std::vector<std::uint32_t> order, std::vector<std::uint32_t> group_ends) {
    ir::Plan plan;
    plan.list = &program_.list();
    plan.order = std::move(order);
    plan.group_ends = std::move(group_ends);
    return plan;
  }
  Certificate certify(std::vector<std::uint32_t> order, std::vector<std::uint32_t> group_ends) {
    return graph::certify(plan(std::move(order), std::move(group_ends)));
  }
  void label(std::uint32_t command, std::string_view scope, std::string_view name) {
    ir::CommandList& list = program_.list();
    list.mutable_commands()[command].scope = list.add_name(scope);
    list.mutable_commands()[command].label = list.add_name(name);
  }
  /// The clash of a first and a second access of storage `a_`, run in one group.
  MissingOrder clash(Access first, Access second) {
    program_.clear();
    program_.dispatch({{a_, 0, 64, first}});
    program_.dispatch({{a_, 32, 96, second}});
    const Certificate certificate = certify({0, 1}, {2});
    return certificate.missing.empty() ? MissingOrder{} : certificate.missing[0];
  }

  test::Program program_;
  std::uint32_t a_ = program_.add_storage(1, 0, 1024);
  std::uint32_t b_ = program_.add_storage(2, 0, 1024);
};

TEST_F(CertificateTest, ACorrectPlanHasNothingMissingAndNothingNeedless) {  // row L1
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{b_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kRead}, {b_, 0, 64, kRead}});
  const Certificate certificate = certify({1, 0, 2}, {2, 3});
  EXPECT_TRUE(certificate.valid());
  EXPECT_TRUE(certificate.minimal());
  EXPECT_THAT(certificate.needless, IsEmpty());
  EXPECT_EQ(certificate.barriers, 1U);
  EXPECT_EQ(certificate.critical_path, 2U);
  EXPECT_EQ(certificate.to_string(),
            "0 missing, 0 needless; 1 barriers, 0 of them requested; critical path 2.\n");
}

TEST_F(CertificateTest, NothingToDoIsAPlan) {  // row L1
  EXPECT_TRUE(certify({}, {}).valid());
  EXPECT_TRUE(certify({}, {}).minimal());
  program_.fence();
  EXPECT_TRUE(certify({}, {}).valid());
  EXPECT_EQ(certify({}, {}).critical_path, 0U);
}

TEST_F(CertificateTest, AMissingOrderNamesThePairTheBytesAndTheHazard) {  // rows L1, C10
  program_.storage(a_).label = "hidden";
  program_.dispatch({{b_, 0, 64, kRead}});
  program_.dispatch({{a_, 0, 64, kWrite}, {b_, 0, 64, kRead}});
  program_.dispatch({{b_, 0, 64, kRead}, {a_, 48, 80, kRead}});
  label(1, "layer 0", "rope");
  const Certificate certificate = certify({2, 0, 1}, {1, 3});
  EXPECT_FALSE(certificate.valid());
  ASSERT_THAT(certificate.missing, SizeIs(1));
  const MissingOrder& missing = certificate.missing[0];
  EXPECT_EQ(missing.earlier, 1U);
  EXPECT_EQ(missing.later, 2U);
  EXPECT_EQ(missing.earlier_group, 1U);
  EXPECT_EQ(missing.later_group, 0U);
  EXPECT_EQ(missing.hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(missing.range, (AccessRange{MemoryId{1}, 48, 64, kRead}));
  EXPECT_EQ(missing.fence, MissingOrder::kNoFence);
  EXPECT_THAT(certificate.to_string(),
              HasSubstr("Missing: command 1 (layer 0/rope) must finish before command 2 (Dispatch) "
                        "starts, but they run in groups 1 and 0: ReadAfterWrite of bytes 48 to 64 "
                        "of \"hidden\".\n"));
}

TEST_F(CertificateTest, EachKindOfHazardHasItsName) {  // rows L1, C2
  EXPECT_EQ(clash(kWrite, kRead).hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(clash(kWrite, kReadWrite).hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(clash(kReadWrite, kWrite).hazard, HazardKind::kWriteAfterWrite);
  EXPECT_EQ(clash(kWrite, kWrite).hazard, HazardKind::kWriteAfterWrite);
  EXPECT_EQ(clash(kRead, kWrite).hazard, HazardKind::kWriteAfterRead);
  EXPECT_EQ(clash(kRead, kReadWrite).hazard, HazardKind::kWriteAfterRead);
  EXPECT_EQ(clash(kRead, kRead).hazard, std::nullopt);
}

TEST_F(CertificateTest, OfSeveralClashesTheOneThatCarriesDataIsNamed) {  // row L1
  program_.dispatch({{a_, 0, 8, kRead}, {a_, 64, 72, kWrite}, {b_, 8, 24, kWrite}});
  program_.dispatch({{a_, 0, 8, kWrite}, {a_, 64, 72, kWrite}, {b_, 16, 24, kRead}});
  const Certificate certificate = certify({0, 1}, {2});
  ASSERT_THAT(certificate.missing, SizeIs(1)) << "One for each pair of commands.";
  EXPECT_EQ(certificate.missing[0].range, (AccessRange{MemoryId{2}, 16, 24, kRead}));
}

TEST_F(CertificateTest, AdjacentAndEmptyRangesOrderNothing) {  // rows L1, C2
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 64, 128, kWrite}});
  program_.dispatch({{a_, 32, 32, kWrite}});
  EXPECT_TRUE(certify({2, 1, 0}, {3}).valid());
  EXPECT_EQ(certify({2, 1, 0}, {3}).critical_path, 1U);
}

TEST_F(CertificateTest, StoragesThatShareMemoryMeetInIt) {  // rows L1, C3
  const std::uint32_t alias = program_.add_storage(1, 32, 64);
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{alias, 0, 8, kRead}});
  program_.dispatch({{alias, 32, 40, kRead}});
  const Certificate certificate = certify({0, 1, 2}, {3});
  ASSERT_THAT(certificate.missing, SizeIs(1));
  EXPECT_EQ(certificate.missing[0].range, (AccessRange{MemoryId{1}, 32, 40, kRead}));
}

TEST_F(CertificateTest, ExplicitRangesReplaceTheArguments) {  // row L1
  ir::CommandList& list = program_.list();
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kReadWrite}});
  list.add_explicit_range(program_.storage(b_), 0, 8, kRead);
  list.add_explicit_range(program_.storage(b_), 8, 16, kWrite);
  list.set_explicit_ranges(1, 1, 1);
  list.mutable_commands()[1].explicit_reads = list.mutable_commands()[1].explicit_writes = true;
  program_.dispatch({{b_, 8, 16, kRead}});
  EXPECT_TRUE(certify({0, 1, 2}, {2, 3}).valid());
  EXPECT_EQ(certify({0, 1, 2}, {3}).missing.size(), 1U);
}

TEST_F(CertificateTest, AFenceOrdersWhatDoesNotConflict) {  // rows L1, C5
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.fence();
  program_.fence();
  program_.dispatch({});
  const Certificate together = certify({0, 3}, {2});
  ASSERT_THAT(together.missing, SizeIs(1));
  EXPECT_EQ(together.missing[0].hazard, std::nullopt);
  EXPECT_EQ(together.missing[0].fence, 2U);
  EXPECT_THAT(together.to_string(),
              HasSubstr("groups 0 and 0: command 2 is a fence between them."));
  const Certificate apart = certify({0, 3}, {1, 2});
  EXPECT_TRUE(apart.valid());
  EXPECT_THAT(apart.needless, IsEmpty());
  EXPECT_EQ(apart.requested, 1U);
  EXPECT_EQ(apart.critical_path, 2U);
}

TEST_F(CertificateTest, AFenceCountsAlsoWhereAConflictNeedsTheBarrier) {  // rows L1, C5
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kRead}});
  program_.fence();
  program_.dispatch({{a_, 0, 64, kWrite}});
  const Certificate certificate = certify({0, 1, 3}, {1, 2, 3});
  EXPECT_EQ(certificate.requested, 1U);
  EXPECT_EQ(certificate.barriers, 2U);
  EXPECT_THAT(certify({0, 1, 3}, {3}).to_string(),
              HasSubstr("WriteAfterRead of bytes 0 to 64 of memory 1, and command 2 is a fence"));
}

TEST_F(CertificateTest, AFenceAtAnEndAsksForNothing) {  // rows L1, C5
  program_.fence();
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{b_, 0, 64, kWrite}});
  program_.fence();
  EXPECT_TRUE(certify({1, 2}, {2}).valid());
  EXPECT_EQ(certify({1, 2}, {2}).critical_path, 1U);
  EXPECT_THAT(certify({1, 2}, {1, 2}).needless, ElementsAre(0));
  EXPECT_EQ(certify({1, 2}, {1, 2}).requested, 0U);
}

TEST_F(CertificateTest, ABarrierThatNoPairNeedsIsNeedless) {  // row L1
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{b_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kRead}});
  const Certificate certificate = certify({0, 1, 2}, {1, 2, 3});
  EXPECT_TRUE(certificate.valid()) << "Correct, only slow.";
  EXPECT_FALSE(certificate.minimal());
  EXPECT_THAT(certificate.needless, ElementsAre(0, 1)) << "Either can go, though not both.";
  EXPECT_THAT(certificate.to_string(),
              HasSubstr("Nothing needs the barrier between groups 1 and 2.\n"
                        "0 missing, 2 needless; 2 barriers"));
}

TEST_F(CertificateTest, EveryBarrierCanBeNeededWhereAnotherOrderNeedsFewer) {  // rows L1, E5
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 0, 64, kRead}});
  program_.dispatch({{b_, 0, 64, kWrite}});
  program_.dispatch({{b_, 0, 64, kRead}});
  const Certificate recorded = certify({0, 1, 2, 3}, {1, 3, 4});
  EXPECT_TRUE(recorded.valid());
  EXPECT_THAT(recorded.needless, IsEmpty());
  EXPECT_FALSE(recorded.minimal());
  const Certificate levels = certify({0, 2, 1, 3}, {2, 4});
  EXPECT_TRUE(levels.valid());
  EXPECT_TRUE(levels.minimal());
}

TEST_F(CertificateTest, TheCriticalPathIsTheLongestChain) {  // rows L1, E5
  program_.dispatch({{a_, 0, 8, kWrite}});
  program_.dispatch({{a_, 0, 8, kRead}, {a_, 8, 16, kWrite}});
  program_.dispatch({{b_, 0, 8, kWrite}});
  program_.dispatch({{a_, 8, 16, kRead}, {b_, 0, 8, kRead}, {b_, 8, 16, kWrite}});
  EXPECT_EQ(certify({0, 1, 2, 3}, {4}).critical_path, 3U);
  program_.fence();
  program_.dispatch({});
  EXPECT_EQ(certify({0, 1, 2, 3, 5}, {5}).critical_path, 4U);
}

TEST_F(CertificateTest, AMalformedPlanIsNotJudged) {  // row L1
  EXPECT_THAT(graph::certify(ir::Plan{}).to_string(), HasSubstr("The plan has no command list."));
  program_.dispatch({{a_, 0, 8, kWrite}});
  program_.fence();
  program_.dispatch({{a_, 0, 8, kWrite}});
  const auto faults = [this](std::vector<std::uint32_t> order, std::vector<std::uint32_t> ends) {
    const Certificate certificate = certify(std::move(order), std::move(ends));
    EXPECT_FALSE(certificate.valid());
    EXPECT_THAT(certificate.missing, IsEmpty());
    EXPECT_EQ(certificate.critical_path, 2U) << "Follows from the list alone.";
    return certificate.malformed;
  };
  EXPECT_THAT(faults({0}, {1}), ElementsAre("The plan never runs command 2."));
  EXPECT_THAT(faults({0, 2, 0}, {3}), ElementsAre("The plan runs command 0 more than once."));
  EXPECT_THAT(faults({0, 1, 2}, {3}), ElementsAre("The plan runs command 1, which is a fence."));
  EXPECT_THAT(faults({0, 2, 3}, {3}), ElementsAre("The plan runs command 3 but the list has 3."));
  EXPECT_THAT(faults({0, 2}, {1, 1, 2}),
              ElementsAre("Group 1 ends at position 1 of the order but must end between 2 and 2."));
  EXPECT_THAT(faults({0, 2}, {0, 2}),
              ElementsAre("Group 0 ends at position 0 of the order but must end between 1 and 2."));
  EXPECT_THAT(faults({0, 2}, {1, 3}),
              ElementsAre("Group 1 ends at position 3 of the order but must end between 2 and 2."));
  EXPECT_THAT(faults({0, 2}, {1}),
              ElementsAre("The last group ends at position 1 of the order but must end at 2.",
                          "The plan never runs command 2."));
}

TEST_F(CertificateTest, OfManyFindingsTheFirstAreWritten) {  // row L1
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < 8; ++i) {
    program_.dispatch({{a_, 0, 8, kWrite}});
    order.push_back(i);
  }
  const Certificate certificate = certify(order, {8});
  EXPECT_THAT(certificate.missing, SizeIs(28));
  EXPECT_THAT(certificate.to_string(), HasSubstr("And 8 more missing orders.\n28 missing, 0"));
}

TEST_F(CertificateTest, WithoutABarrierTwoGroupsAreOne) {  // row L1
  program_.dispatch({{a_, 0, 8, kWrite}});
  program_.dispatch({{a_, 0, 8, kRead}});
  program_.dispatch({{a_, 0, 8, kWrite}});
  const ir::Plan whole = plan_recorded_order(program_.list());
  const ir::Plan merged = without_barrier(whole, 0);
  EXPECT_THAT(merged.group_ends, ElementsAre(2, 3));
  ASSERT_THAT(merged.barriers, SizeIs(1));
  EXPECT_EQ(merged.barriers[0].later, 2U);
  EXPECT_THAT(graph::certify(merged).missing, SizeIs(1));
}

TEST_F(CertificateTest, AnUntrueReasonIsFound) {  // rows L1, C10
  program_.dispatch({{a_, 0, 64, kWrite}});
  program_.dispatch({{a_, 32, 96, kRead}});
  program_.fence();
  program_.dispatch({{b_, 0, 64, kWrite}});
  program_.dispatch({{b_, 0, 64, kRead}});
  const ir::Plan honest = plan_recorded_order(program_.list());
  EXPECT_THAT(untrue_reasons(honest), IsEmpty());
  const auto changed = [&honest](std::size_t barrier, const auto& change) {
    ir::Plan plan = honest;
    change(plan.barriers[barrier]);
    return untrue_reasons(plan);
  };
  using Barrier = ir::PlannedBarrier;
  const auto says = [](const std::string& what) { return ElementsAre(HasSubstr(what)); };
  EXPECT_THAT(
      changed(0, [](Barrier& b) { b.hazard = HazardKind::kWriteAfterRead; }),
      ElementsAre("The barrier between groups 0 and 1 names commands 0 and 1, which have no "
                  "WriteAfterRead of bytes 32 to 64 of memory 1."));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.range.end = 65; }), says("bytes 32 to 65"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.range.begin = 31; }), says("bytes 31 to 64"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.range.begin = 64; }), says("bytes 64 to 64"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.range.memory = MemoryId{2}; }), says("of memory 2"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.later = 3; }), says("commands 0 and 3, which have no"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.later = 0; }), says("no earlier and no later command"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.later = 2; }), says("no earlier and no later command"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.later = 5; }), says("no earlier and no later command"));
  EXPECT_THAT(changed(0, [](Barrier& b) { b.reason = ir::BarrierReason::kRequested; }),
              says("with no fence between them"));
  EXPECT_THAT(changed(1, [](Barrier& b) { b.later = 1, b.earlier = 0; }),
              says("which run in groups 0 and 1"));
  EXPECT_THAT(changed(1, [](Barrier& b) { b.reason = ir::BarrierReason::kHazard; }),
              says("which have no"));
  EXPECT_THAT(changed(1, [](Barrier& b) { b.earlier = 3, b.later = 4; }),
              says("which run in groups 2 and 3"));
  EXPECT_THAT(changed(2, [](Barrier& b) { b.reason = ir::BarrierReason::kRequested; }),
              says("with no fence between them"));
  ir::Plan silent = honest;
  silent.barriers.pop_back();
  EXPECT_THAT(untrue_reasons(silent), ElementsAre("The plan gives 2 reasons for 3 barriers."));
}

}  // namespace
}  // namespace segue::graph
