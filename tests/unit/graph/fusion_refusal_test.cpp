// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "unit/graph/fusion_program.hpp"

namespace segue::test {
namespace {

using ::testing::HasSubstr;
using Nodes = std::span<const FusionNode>;

class FusionRefusals : public FusionTest {};

TEST_F(FusionRefusals, NameTheFirstDispatchAndThePattern) {  // row E7
  norm(y, spare);
  silu(x, z);
  mul(z, weights, out);
  const auto result = fuse({keeps, eliminates});
  ASSERT_EQ(result.report.refusals.size(), 1U);
  EXPECT_EQ(result.report.refusals[0].pattern, "silu then mul");
  EXPECT_EQ(result.report.refusals[0].command, 1U);
}

TEST_F(FusionRefusals, AnIntermediateThatIsNotTransient) {  // row E7
  silu(x, z);
  mul(z, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "Buffer \"z\", which dispatch 0 \"silu\" writes, is not transient: its content may be "
            "read after the graph.");
}

TEST_F(FusionRefusals, ASecondReader) {  // row E7
  silu(x, temp);
  mul(temp, weights, out);
  norm(temp, spare);
  EXPECT_EQ(refusal(eliminates),
            "Command 2 \"norm\" reads what dispatch 0 \"silu\" writes, so that cannot disappear.");
}

TEST_F(FusionRefusals, ASecondReaderOfSomeOfTheBytes) {  // row E7
  silu(x, temp);
  mul(temp, weights, out);
  program.copy({temp.buffer, 60, 64}, {spare.buffer, 0, 4});
  EXPECT_THAT(refusal(eliminates), HasSubstr("Command 2 \"\" reads what dispatch 0"));
}

TEST_F(FusionRefusals, TheConsumerReadsTheValueTwice) {  // row E7
  silu(x, temp);
  mul(temp, temp, out);
  EXPECT_THAT(refusal(eliminates), HasSubstr("Command 1 \"mul\" reads what dispatch 0"));
}

TEST_F(FusionRefusals, AReaderOfAnotherValueInTheSameBytesIsNone) {  // row E7
  silu(x, temp);
  mul(temp, weights, temp);
  norm(temp, out);
  EXPECT_EQ(refusal(eliminates), "The pattern fires.");
}

TEST_F(FusionRefusals, OtherBytesThanTheProducerWrote) {  // row E7
  silu(x, temp);
  mul({temp.buffer, 4, 68}, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "Dispatch 1 \"mul\" reads bytes 4 to 68 but dispatch 0 \"silu\" writes bytes 0 to 64; "
            "a link needs the same bytes.");
}

TEST_F(FusionRefusals, FewerBytesThanTheProducerWrote) {  // row E7
  silu(x, temp);
  mul({temp.buffer, 0, 60}, weights, out);
  EXPECT_THAT(refusal(eliminates), HasSubstr("a link needs the same bytes."));
}

TEST_F(FusionRefusals, AThirdWriterOfSomeBytes) {  // row E7
  silu(x, temp);
  norm(y, {temp.buffer, 0, 4});
  mul(temp, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "Command 1 \"norm\" writes bytes between dispatches 0 \"silu\" and 2 \"mul\" that "
            "connect them.");
}

TEST_F(FusionRefusals, AThirdWriterBetweenSiblings) {  // row E7
  product(weights, x, y);
  norm(z, {x.buffer, 8, 16});
  product(weights, x, out);
  EXPECT_EQ(refusal(shares),
            "Command 1 \"norm\" writes bytes between dispatches 0 \"product\" and 2 \"product\" "
            "that connect them.");
}

TEST_F(FusionRefusals, APathThroughAnother) {  // row E7
  silu(x, temp);
  norm(spare, x);  // after silu has read x
  mul(temp, x, out);
  EXPECT_EQ(refusal(eliminates),
            "Command 1 \"norm\" must run after one of the dispatches from 0 \"silu\" on and "
            "before another of them.");
}

TEST_F(FusionRefusals, APathThroughSeveralOthers) {  // row E7
  product(weights, x, y);
  norm(y, z);
  silu(z, spare);
  product(spare, x, out);
  EXPECT_EQ(refusal(shares),
            "Command 2 \"silu\" must run after one of the dispatches from 0 \"product\" on and "
            "before another of them.");
}

TEST_F(FusionRefusals, APathOfReusedStorageOnly) {  // row E7
  add(x, y, z);
  silu(out, y);  // after add has read y
  norm(z, out);  // after silu has read out
  EXPECT_THAT(refusal(keeps), HasSubstr("Command 1 \"silu\" must run after"));
}

TEST_F(FusionRefusals, ABarrierBetween) {  // row E7
  silu(x, temp);
  program.barrier();
  mul(temp, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "A barrier was placed by hand between dispatches 0 \"silu\" and 2 \"mul\".");
}

TEST_F(FusionRefusals, AResultThatOverwritesAnEarlierInput) {  // row E7
  silu(x, temp);
  mul(temp, weights, {x.buffer, 60, 64});
  EXPECT_EQ(refusal(eliminates),
            "Dispatches 0 \"silu\" and 1 \"mul\" both use bytes 60 to 64, one of them to write, "
            "and no link of the pattern says so.");
}

TEST_F(FusionRefusals, ResultsThatOverlap) {  // row E7
  product(weights, x, y);
  product(spare, x, y);
  EXPECT_THAT(refusal(shares), HasSubstr("no link of the pattern says so."));
}

TEST_F(FusionRefusals, ASiblingThatReadsTheOther) {  // row E7
  product(weights, x, y);
  product(y, x, out);
  EXPECT_THAT(refusal(shares), HasSubstr("both use bytes 0 to 64"));
}

TEST_F(FusionRefusals, AKernelThatDoesNotReadAnInput) {  // rows E7, E8
  silu(x, temp);
  mul(temp, weights, out);
  eliminates.fuse = [kernel = program.add_kernel("forgets", "rw")](Nodes) {
    return FusedDispatch{
        kernel, OpKind::kOther, groups(1), {FusedArgument::take(0, 0), FusedArgument::take(1, 2)}};
  };
  EXPECT_EQ(refusal(eliminates),
            "Kernel \"forgets\" does not read bytes 0 to 64, which dispatch 1 \"mul\" does.");
}

TEST_F(FusionRefusals, AKernelThatDoesNotWriteAKeptValue) {  // rows E7, E8
  add(x, y, z);
  norm(z, out);
  keeps.fuse = [kernel = silu_mul_kernel](Nodes) {
    return FusedDispatch{
        kernel,
        OpKind::kOther,
        groups(1),
        {FusedArgument::take(0, 0), FusedArgument::take(0, 1), FusedArgument::take(1, 1)}};
  };
  EXPECT_THAT(refusal(keeps), HasSubstr("does not write bytes 0 to 64, which dispatch 0 \"add\""));
}

TEST_F(FusionRefusals, AKernelThatReadsAnEliminatedValue) {  // rows E7, E8
  silu(x, temp);
  mul(temp, weights, out);
  eliminates.fuse = [kernel = program.add_kernel("stale", "rrrw")](Nodes) {
    return FusedDispatch{kernel,
                         OpKind::kOther,
                         groups(1),
                         {FusedArgument::take(0, 0), FusedArgument::take(1, 0),
                          FusedArgument::take(1, 1), FusedArgument::take(1, 2)}};
  };
  EXPECT_EQ(refusal(eliminates),
            "Kernel \"stale\" reads bytes 0 to 64, which no dispatch does that it replaces, but "
            "for values that disappear.");
}

TEST_F(FusionRefusals, AKernelThatWritesAnInput) {  // rows E7, E8
  silu(x, temp);
  mul(temp, weights, out);
  const Kernel writes = program.add_kernel("writes", "xrw");
  eliminates.fuse = [writes, fuse = eliminates.fuse](Nodes nodes) {
    auto fused = fuse(nodes);
    fused->kernel = writes;
    return fused;
  };
  EXPECT_THAT(refusal(eliminates), HasSubstr("Kernel \"writes\" writes bytes 0 to 64"));
}

TEST_F(FusionRefusals, AViewThatIsNotAlignedForTheFusedKernel) {  // row E7
  silu(x, temp);
  mul(temp, {weights.buffer, 8, 64}, out);
  program.kernel(silu_mul_kernel).signature.parameters[1].alignment = 16;
  EXPECT_EQ(refusal(eliminates),
            "Argument 1 (p1) begins at byte 8 of buffer \"weights\"; kernel \"silu_then_mul\" "
            "needs an alignment of 16 bytes.");
}

TEST_F(FusionRefusals, WhatThePatternSays) {  // row E7
  silu(x, temp);
  mul(temp, weights, out);
  eliminates.fuse = [](Nodes) { return std::unexpected(std::string("The shapes differ.")); };
  EXPECT_EQ(refusal(eliminates), "The shapes differ.");
}

TEST_F(FusionRefusals, ExplicitRanges) {  // row E7
  silu(x, temp, {.reads = std::vector<View>{x}});
  mul(temp, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "Dispatch 0 \"silu\" has explicit ranges; fusion takes the footprint from the kernel's "
            "signature.");
}

TEST_F(FusionRefusals, AnIndirectDispatch) {  // row E7
  silu(x, temp, {.indirect = true});
  mul(temp, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "Dispatch 0 \"silu\" is indirect; a fused dispatch has a fixed grid.");
}

TEST_F(FusionRefusals, UnknownAccess) {  // row E7
  program.dispatch(OpKind::kSilu, program.add_kernel("guess", "?w"), {x, temp},
                   {.unannotated = true});
  mul(temp, weights, out);
  EXPECT_EQ(refusal(eliminates),
            "Dispatch 0 \"guess\" has an argument whose access its kernel does not state.");
}

TEST_F(FusionRefusals, AnAliasOfTheIntermediateThatIsNotTransient) {  // row E7
  const View alias{program.add_buffer("alias", false, 64, 1000U + temp.buffer)};
  silu(x, temp);
  mul(alias, weights, out);
  EXPECT_THAT(refusal(eliminates), HasSubstr("Buffer \"alias\""));
}

TEST_F(FusionRefusals, DoNotSpeakOfDispatchesThatAreNotLinked) {  // row E7
  silu(x, temp);
  norm(temp, spare);
  silu(y, temp);
  mul(weights, temp, out);  // the other argument
  EXPECT_EQ(refusal(eliminates), "0 refusals.");
}

}  // namespace
}  // namespace segue::test
