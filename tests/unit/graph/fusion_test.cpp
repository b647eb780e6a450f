// SPDX-License-Identifier: Apache-2.0
#include "graph/fusion.hpp"

#include <gmock/gmock.h>

#include "unit/graph/fusion_program.hpp"

namespace segue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Fusion : public FusionTest {
 protected:
  static std::vector<AccessRange> footprint(const ir::CommandList& list, std::size_t command) {
    std::vector<AccessRange> ranges;
    list.for_each_range(list.commands()[command],
                        [&ranges](const AccessRange& range) { ranges.push_back(range); });
    return ranges;
  }
  AccessRange range(View view, Access access) {
    return program.storage(view.buffer).range(view.begin, view.end - view.begin, access);
  }
};

TEST_F(Fusion, LeavesAListAloneThatNothingMatches) {  // row E7
  silu(x, temp);
  norm(temp, out);
  const auto result = fuse({eliminates, keeps, shares});
  EXPECT_THAT(kernels(result.list), ElementsAre("silu", "norm"));
  EXPECT_THAT(result.report.refusals, IsEmpty());
  EXPECT_EQ(result.report.dispatches_after, 2U);
}

TEST_F(Fusion, ReplacesDispatchesByOneThatTouchesAllButTheEliminatedValue) {  // rows E7, E8
  silu(x, temp);
  mul(temp, weights, out);
  const auto result = fuse({eliminates});
  ASSERT_THAT(kernels(result.list), ElementsAre("silu_then_mul"));
  EXPECT_EQ(result.list.commands()[0].op, OpKind::kSiluMul);
  EXPECT_THAT(footprint(result.list, 0),
              ElementsAre(range(x, Access::kRead), range(weights, Access::kRead),
                          range(out, Access::kWrite)));
  for (const ir::ResourceUse& use : result.list.resources())
    EXPECT_NE(use.storage, &program.storage(temp.buffer));
  EXPECT_EQ(result.report.dispatches_before, 2U);
  EXPECT_EQ(result.report.dispatches_after, 1U);
}

TEST_F(Fusion, KeepsAValueThatOthersRead) {  // rows E7, E8
  add(x, y, z);
  norm(z, out);
  silu(z, spare);
  const auto result = fuse({keeps});
  ASSERT_THAT(kernels(result.list), ElementsAre("add_norm", "silu"));
  EXPECT_THAT(footprint(result.list, 0),
              ElementsAre(range(x, Access::kRead), range(y, Access::kRead),
                          range(z, Access::kWrite), range(out, Access::kWrite)));
}

TEST_F(Fusion, KeepsAValueThatIsWrittenInPlace) {  // row E7
  add(x, y, x);
  norm(x, out);
  EXPECT_THAT(kernels(fuse({keeps}).list), ElementsAre("add_norm"));
}

TEST_F(Fusion, JoinsSiblingsInRecordedOrder) {  // row E7
  product(weights, x, y);
  product(spare, x, z);
  const auto result = fuse({shares});
  ASSERT_THAT(kernels(result.list), ElementsAre("product2"));
  EXPECT_THAT(
      footprint(result.list, 0),
      ElementsAre(range(weights, Access::kRead), range(spare, Access::kRead),
                  range(x, Access::kRead), range(y, Access::kWrite), range(z, Access::kWrite)));
}

TEST_F(Fusion, JoinsSiblingsThatReadAWrittenValue) {  // row E7
  silu(z, x);
  product(weights, x, y);
  product(spare, x, out);
  silu(y, x);  // another value in the same bytes
  product(weights, x, other_temp);
  EXPECT_THAT(kernels(fuse({shares}).list), ElementsAre("silu", "product2", "silu", "product"));
}

TEST_F(Fusion, MatchesAcrossDispatchesThatDoNotMatter) {  // row E7
  silu(x, temp);
  norm(y, spare);
  mul(temp, weights, out);
  EXPECT_THAT(kernels(fuse({eliminates}).list), ElementsAre("silu_then_mul", "norm"));
}

TEST_F(Fusion, RunsAfterEverythingThatAnyOfItsDispatchesNeeds) {  // row E7
  silu(x, temp);
  norm(y, weights);  // mul needs it, silu does not
  mul(temp, weights, out);
  EXPECT_THAT(kernels(fuse({eliminates}).list), ElementsAre("norm", "silu_then_mul"));
}

TEST_F(Fusion, FiresAsOftenAsThePatternMatches) {  // row E7
  for (int i = 0; i < 3; ++i) {
    silu(x, temp);
    mul(temp, weights, out);
    norm(out, x);
  }
  const auto result = fuse({shares, eliminates});
  EXPECT_THAT(kernels(result.list), ElementsAre("silu_then_mul", "norm", "silu_then_mul", "norm",
                                                "silu_then_mul", "norm"));
  ASSERT_EQ(result.report.fired.size(), 2U);
  EXPECT_EQ(result.report.fired[0].pattern, "two products");
  EXPECT_EQ(result.report.fired[0].count, 0U);
  EXPECT_EQ(result.report.fired[1].pattern, "silu then mul");
  EXPECT_EQ(result.report.fired[1].count, 3U);
}

TEST_F(Fusion, LaterPatternsMatchWhatEarlierOnesMade) {  // row E7
  silu(x, temp);
  mul(temp, weights, z);
  norm(z, out);
  FusionPattern second = keeps;
  second.steps[0].op = OpKind::kSiluMul;
  EXPECT_THAT(kernels(fuse({eliminates, second}).list), ElementsAre("add_norm"));
  EXPECT_THAT(kernels(fuse({second, eliminates}).list), ElementsAre("silu_then_mul", "norm"));
}

TEST_F(Fusion, EachDispatchIsReplacedOnce) {  // row E7
  for (const View w : {weights, spare, z}) product(w, x, View{y.buffer, w.buffer, w.buffer + 1U});
  EXPECT_THAT(kernels(fuse({shares}).list), ElementsAre("product2", "product"));
}

TEST_F(Fusion, TriesTheNextReaderWhenOneDoesNotFit) {  // row E7
  add(x, y, z);
  norm(z, {spare.buffer, 0, 32});
  norm(z, out);
  keeps.steps[1].accepts = [](const FusionNode& node) { return node.range(1).end == 64; };
  const auto result = fuse({keeps});
  EXPECT_THAT(kernels(result.list), ElementsAre("add_norm", "norm"));
  EXPECT_THAT(footprint(result.list, 1),
              ElementsAre(range(z, Access::kRead), range({spare.buffer, 0, 32}, Access::kWrite)));
}

TEST_F(Fusion, TriesTheNextReaderWhenOneIsRefused) {  // row E7
  add(x, y, z);
  norm(z, y);  // overwrites what add reads
  norm(z, out);
  const auto result = fuse({keeps});
  EXPECT_THAT(kernels(result.list), ElementsAre("add_norm", "norm"));
  EXPECT_THAT(result.report.refusals, IsEmpty());
}

TEST_F(Fusion, BarriersStayWhereTheyWerePlaced) {  // row E7
  program.barrier();
  silu(x, temp);
  mul(temp, weights, out);
  program.barrier();
  program.barrier();
  norm(y, spare);
  EXPECT_THAT(kernels(fuse({eliminates}).list),
              ElementsAre("|", "silu_then_mul", "|", "|", "norm"));
}

TEST_F(Fusion, KeepsScopesAndNamesThePattern) {  // row E7
  silu(x, temp, {.label = "gate", .scope = "layer 0"});
  mul(temp, weights, out, {.label = "scale", .scope = "layer 1"});
  norm(out, y, {.label = "last", .scope = "layer 2"});
  const auto result = fuse({eliminates});
  EXPECT_EQ(result.list.label_path(result.list.commands()[0]), "layer 0/silu then mul");
  EXPECT_EQ(result.list.label_path(result.list.commands()[1]), "layer 2/last");
}

TEST_F(Fusion, OtherCommandsAreCopiedWhole) {  // row E7
  silu(x, temp);
  program.copy(y, spare);
  mul(temp, weights, out, {.reads = std::vector<View>{}});
  norm(y, z, {.reads = std::vector<View>{x}});
  silu(out, temp);
  mul(temp, weights, x);
  const auto result = fuse({eliminates});
  ASSERT_THAT(kernels(result.list), ElementsAre("silu", "Copy", "mul", "norm", "silu_then_mul"));
  EXPECT_THAT(footprint(result.list, 1),
              ElementsAre(range(y, Access::kRead), range(spare, Access::kWrite)));
  EXPECT_THAT(footprint(result.list, 2), ElementsAre(range(out, Access::kWrite)));
  EXPECT_THAT(footprint(result.list, 3),
              ElementsAre(range(z, Access::kWrite), range(x, Access::kRead)));
}

TEST_F(Fusion, TwoMatchesThatWouldWaitForEachOtherDoNotBothFire) {  // row E7
  // a0 -> b1 and b0 -> a1: each pair may be drawn together, but not both.
  product(weights, x, y);     // a0
  product(weights, z, out);   // b0
  product(out, x, temp);      // a1 reads what b0 writes
  product(y, z, other_temp);  // b1 reads what a0 writes
  const auto result = fuse({shares});
  EXPECT_EQ(result.report.fired[0].count, 1U);
  EXPECT_THAT(kernels(result.list), ElementsAre("product", "product2", "product"));
  ASSERT_EQ(result.report.refusals.size(), 1U);
  EXPECT_EQ(result.report.refusals[0].command, 1U);
  EXPECT_THAT(result.report.refusals[0].reason, ::testing::HasSubstr("must run after"));
}

TEST_F(Fusion, AMatchInsideTheSpanOfAnotherDoesNotWaitForIt) {  // row E7
  product(weights, x, y);                                       // a0
  product(weights, z, out);                                     // b0
  product(y, z, other_temp);                                    // b1 reads what a0 writes
  product(out, x, temp);                                        // a1 reads what b0 writes
  const auto result = fuse({shares});
  EXPECT_EQ(result.report.fired[0].count, 1U);
  ASSERT_EQ(result.report.refusals.size(), 1U);
  EXPECT_EQ(result.report.refusals[0].command, 1U);
}

TEST_F(Fusion, StepsAreInRecordedOrder) {  // row E7
  FusionPattern three = eliminates;
  three.steps = {{OpKind::kSilu}, {OpKind::kRmsNorm}, {OpKind::kElemMul}};
  three.links = {{FusionFlow::kEliminated, {0, 1}, {2, 0}},
                 {FusionFlow::kEliminated, {1, 1}, {2, 1}}};
  three.fuse = [kernel = silu_mul_kernel](std::span<const FusionNode>) {
    return FusedDispatch{
        kernel,
        OpKind::kOther,
        groups(1),
        {FusedArgument::take(0, 0), FusedArgument::take(1, 0), FusedArgument::take(2, 2)}};
  };
  norm(y, other_temp);
  silu(x, temp);
  mul(temp, other_temp, out);
  const auto result = fuse({three});
  EXPECT_EQ(result.report.fired[0].count, 0U);
  EXPECT_THAT(result.report.refusals, IsEmpty());
  program.barrier();
  silu(x, temp);
  norm(y, other_temp);
  mul(temp, other_temp, out);
  EXPECT_THAT(kernels(fuse({three}).list),
              ElementsAre("norm", "silu", "mul", "|", "silu_then_mul"));
}

TEST_F(Fusion, EachStepIsAnotherDispatch) {  // row E7
  FusionPattern three = shares;
  three.steps.push_back(three.steps.front());
  three.links = {{FusionFlow::kShared, {0, 1}, {2, 1}}, {FusionFlow::kShared, {0, 1}, {1, 1}}};
  three.fuse = [](std::span<const FusionNode>) {
    return std::unexpected(std::string("Three are found."));
  };
  product(weights, x, y);
  product(weights, x, z);
  EXPECT_THAT(fuse({three}).report.refusals, IsEmpty());
  product(weights, x, out);
  EXPECT_EQ(fuse({three}).report.refusals.size(), 1U);
}

TEST_F(Fusion, AReaderOfTheProducersOtherResultDoesNotReadTheEliminatedOne) {  // row E7
  const Kernel split = program.add_kernel("split", "rww");
  program.dispatch(OpKind::kSilu, split, {x, temp, spare});
  mul(temp, weights, out);
  norm(y, temp);
  mul(temp, spare, z);  // temp is the norm's by now, spare is the split's
  eliminates.fuse = [kernel =
                         program.add_kernel("split_mul", "rrww")](std::span<const FusionNode>) {
    return FusedDispatch{kernel,
                         OpKind::kOther,
                         groups(1),
                         {FusedArgument::take(0, 0), FusedArgument::take(1, 1),
                          FusedArgument::take(1, 2), FusedArgument::take(0, 2)}};
  };
  EXPECT_THAT(kernels(fuse({eliminates}).list), ElementsAre("split_mul", "norm", "mul"));
}

TEST_F(Fusion, TakesTheFootprintFromTheFusedKernel) {  // row E8
  add(x, y, x);
  norm(x, out);
  keeps.fuse = [kernel = program.add_kernel("accumulates", "xrw")](std::span<const FusionNode>) {
    return FusedDispatch{
        kernel,
        OpKind::kOther,
        groups(1),
        {FusedArgument::take(0, 0), FusedArgument::take(0, 1), FusedArgument::take(1, 1)}};
  };
  const auto result = fuse({keeps});
  ASSERT_THAT(kernels(result.list), ElementsAre("accumulates"));
  EXPECT_THAT(footprint(result.list, 0),
              ElementsAre(range(x, Access::kReadWrite), range(y, Access::kRead),
                          range(out, Access::kWrite)));
}

/// A pattern of eight siblings among two thousand.
class FusionOfMany : public FusionTest {
 protected:
  FusionOfMany() {
    for (int i = 0; i < 2000; ++i) silu(x, out);
    eight.name = "eight siblings";
    eight.steps.assign(8, {OpKind::kSilu});
    for (std::uint8_t step = 1; step < 8; ++step)
      eight.links.push_back({FusionFlow::kShared, {0, 0}, {step, 0}});
    eight.fuse = shares.fuse;
  }
  FusionPattern eight;
};

TEST_F(FusionOfMany, GivesUpAfterSomeMatchesThatAreRefused) {  // row E7
  EXPECT_EQ(fuse({eight}).report.fired[0].count, 0U);          // all write the same bytes
}

TEST_F(FusionOfMany, GivesUpAfterSomeAttemptsThatDoNotMatch) {  // row E7
  eight.steps[7].accepts = [](const FusionNode&) { return false; };
  EXPECT_EQ(fuse({eight}).report.fired[0].count, 0U);
}

}  // namespace
}  // namespace segue::test
