// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <array>
#include <limits>

#include "unit/graph/fusion_program.hpp"

namespace segue::test {
namespace {

using ::testing::HasSubstr;
using Nodes = std::span<const FusionNode>;

/// Wrong patterns: each is an error that names the pattern, and none is a crash.
class FusionPatterns : public FusionTest {
 protected:
  FusionPatterns() {
    silu(x, temp);
    mul(temp, weights, out);
  }
  /// The error if the pattern's fused dispatch is changed like this.
  std::string error_with(const std::function<void(FusedDispatch&)>& change) {
    FusionPattern changed = eliminates;
    changed.fuse = [this, change](Nodes nodes) {
      auto fused = eliminates.fuse(nodes);
      change(*fused);
      return fused;
    };
    return error(changed);
  }
};

TEST_F(FusionPatterns, NeedAName) {  // row E7
  eliminates.name.clear();
  EXPECT_EQ(error(eliminates), "Fusion pattern 0 has no name; each needs one.");
}

TEST_F(FusionPatterns, HaveTwoToEightDispatches) {  // row E7
  eliminates.steps.resize(1);
  EXPECT_EQ(error(eliminates),
            "Fusion pattern \"silu then mul\" has 1 dispatches; a pattern has 2 to 8.");
  eliminates.steps.resize(9);
  EXPECT_THAT(error(eliminates), HasSubstr("has 9 dispatches"));
}

TEST_F(FusionPatterns, NeedAFunction) {  // row E7
  eliminates.fuse = nullptr;
  EXPECT_EQ(error(eliminates),
            "Fusion pattern \"silu then mul\" has no function that makes the fused dispatch.");
}

TEST_F(FusionPatterns, HaveATolerance) {  // row E7
  eliminates.tolerance = -1;
  EXPECT_THAT(error(eliminates), HasSubstr("has the tolerance -1; it is 0 or more."));
  eliminates.tolerance = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error(eliminates), HasSubstr("it is 0 or more."));
}

TEST_F(FusionPatterns, LinkTheirOwnDispatches) {  // row E7
  eliminates.links[0].to.node = 2;
  EXPECT_EQ(error(eliminates),
            "Fusion pattern \"silu then mul\" links dispatch 2; it has dispatches 0 to 1.");
  eliminates.links[0].to.node = 0;
  EXPECT_THAT(error(eliminates), HasSubstr("links dispatch 0 to itself"));
  eliminates.links[0] = {FusionFlow::kEliminated, {1, 2}, {0, 0}};
  EXPECT_THAT(error(eliminates), HasSubstr("has a value flow from dispatch 1 to 0"));
}

TEST_F(FusionPatterns, LinkAllDispatches) {  // row E7
  eliminates.steps.push_back({OpKind::kRmsNorm});
  EXPECT_EQ(error(eliminates),
            "Fusion pattern \"silu then mul\" has no link from dispatch 0 to dispatch 2; links "
            "connect all of them.");
}

TEST_F(FusionPatterns, FitNothingWhereALinkHasNoArgument) {  // row E7
  eliminates.links[0].to.argument = 200;
  EXPECT_EQ(error(eliminates), "No error.");
  EXPECT_EQ(refusal(eliminates), "0 refusals.");
}

TEST_F(FusionPatterns, GiveAKernel) {  // row E7
  EXPECT_EQ(error_with([](FusedDispatch& fused) { fused.kernel = {}; }),
            "Fusion pattern \"silu then mul\", kernel \"\": The fused dispatch has no kernel.");
}

TEST_F(FusionPatterns, GiveAKernelOfTheSameDevice) {  // row E7
  program.kernel(silu_mul_kernel).compiled_by = nullptr;
  EXPECT_THAT(error(eliminates), HasSubstr("belongs to another device"));
}

TEST_F(FusionPatterns, GiveAsManyArgumentsAsTheKernelTakes) {  // row E7
  EXPECT_EQ(error_with([](FusedDispatch& fused) { fused.arguments.pop_back(); }),
            "Fusion pattern \"silu then mul\", kernel \"silu_then_mul\": The kernel takes 3 "
            "arguments but the fused dispatch gives 2.");
}

TEST_F(FusionPatterns, GiveViewsForBuffers) {  // row E7
  EXPECT_THAT(
      error_with([](FusedDispatch& fused) { fused.arguments[1] = FusedArgument::bytes(7); }),
      HasSubstr("Argument 1 (p1) is inline bytes, but the kernel takes a buffer view."));
}

TEST_F(FusionPatterns, GiveBytesForBytes) {  // row E7
  program.kernel(silu_mul_kernel).signature.parameters[1].kind = ParameterKind::kBytes;
  EXPECT_THAT(error(eliminates),
              HasSubstr("Argument 1 (p1) is a buffer view, but the kernel takes inline bytes."));
}

TEST_F(FusionPatterns, GiveAsManyBytesAsTheKernelTakes) {  // row E7
  program.kernel(silu_mul_kernel).signature.parameters[1].kind = ParameterKind::kBytes;
  program.kernel(silu_mul_kernel).signature.parameters[1].size_bytes = 8;
  EXPECT_THAT(
      error_with([](FusedDispatch& fused) { fused.arguments[1] = FusedArgument::bytes(7); }),
      HasSubstr("Argument 1 (p1) has 4 bytes, but the kernel takes 8."));
}

TEST_F(FusionPatterns, TakeArgumentsThatExist) {  // row E7
  EXPECT_THAT(
      error_with([](FusedDispatch& fused) { fused.arguments[1] = FusedArgument::take(1, 3); }),
      HasSubstr("Argument 1 is argument 3 of dispatch 1, which does not exist."));
  EXPECT_THAT(
      error_with([](FusedDispatch& fused) { fused.arguments[1] = FusedArgument::take(2, 0); }),
      HasSubstr("Argument 1 is argument 0 of dispatch 2, which does not exist."));
}

TEST_F(FusionPatterns, CarrySlotsFromBytesThatExist) {  // row E7
  program.kernel(silu_mul_kernel).signature.parameters[1].kind = ParameterKind::kBytes;
  const auto carry = [this](FusedArgument::CarriedSlot carried) {
    return error_with([carried](FusedDispatch& fused) {
      fused.arguments[1] = FusedArgument::bytes(std::array<int, 2>{}, {carried});
    });
  };
  EXPECT_THAT(carry({.from = {0, 9}}),
              HasSubstr("carries a slot of argument 9 of dispatch 0, where no bytes are."));
  EXPECT_THAT(carry({.from = {0, 0}}), HasSubstr("where no bytes are."));
}

TEST_F(FusionPatterns, GiveAGridThatFits) {  // row E7
  EXPECT_THAT(error_with([](FusedDispatch& fused) { fused.grid = groups(0); }),
              HasSubstr("A grid of 0x1x1 groups does not fit"));
  program.kernel(silu_mul_kernel).signature.group_size = {64, 1, 1};
  EXPECT_THAT(error_with([](FusedDispatch& fused) { fused.grid = threads(65); }),
              HasSubstr("A grid of 65x1x1 threads does not fit"));
  EXPECT_THAT(error_with([](FusedDispatch& fused) { fused.grid = groups(UINT32_MAX); }),
              HasSubstr("does not fit"));
  program.kernel(silu_mul_kernel).signature.guards_ragged_edges = true;
  eliminates.fuse = [fuse = eliminates.fuse](Nodes nodes) {
    auto fused = fuse(nodes);
    fused->grid = threads(65);
    return fused;
  };
  const auto result = fuse({eliminates});
  ASSERT_EQ(result.list.size(), 1U);
  EXPECT_EQ(result.list.commands()[0].group_count, (Extent3{2, 1, 1}));
  EXPECT_EQ(result.list.commands()[0].thread_count, (Extent3{65, 1, 1}));
}

TEST_F(FusionPatterns, GiveAKernelThatStatesItsAccess) {  // row E7
  program.kernel(silu_mul_kernel).signature.parameters[0].access_known = false;
  EXPECT_THAT(error(eliminates), HasSubstr("does not state the access of parameter \"p0\""));
}

TEST_F(FusionPatterns, CannotSizeSharedMemory) {  // row E7
  Signature& signature = program.kernel(silu_mul_kernel).signature;
  signature.parameters.push_back({.name = "tile",
                                  .kind = ParameterKind::kShared,
                                  .size_bytes = 256,
                                  .sizing = SharedSizing::kLaunch});
  EXPECT_THAT(error(eliminates), HasSubstr("Shared parameter \"tile\" is sized by the dispatch"));
  signature.parameters.back().sizing = SharedSizing::kFixed;
  const auto result = fuse({eliminates});
  ASSERT_EQ(result.list.size(), 1U);
  EXPECT_THAT(result.list.shared_sizes(result.list.commands()[0]), ::testing::ElementsAre(256));
}

TEST_F(FusionPatterns, SeeADispatchAsItWasRecorded) {  // row E7
  const Kernel scale = program.add_kernel("scale", "rwb");
  program.dispatch(OpKind::kOther, scale, {x, out, 42U});
  const FusionNode node(program.list(), 2);
  EXPECT_EQ(node.op(), OpKind::kOther);
  EXPECT_EQ(node.kernel_name(), "scale");
  EXPECT_TRUE(node.runs(scale));
  EXPECT_FALSE(node.runs(mul_kernel));
  EXPECT_FALSE(node.runs(Kernel()));
  EXPECT_EQ(node.grid(), groups(1));
  EXPECT_EQ(node.index(), 2U);
  ASSERT_EQ(node.argument_count(), 3U);
  EXPECT_TRUE(node.is_view(1));
  EXPECT_EQ(node.range(1), program.storage(out.buffer).range(0, 64, Access::kWrite));
  EXPECT_TRUE(node.bytes(1).empty());
  EXPECT_FALSE(node.is_view(2));
  EXPECT_EQ(node.value<std::uint32_t>(2), 42U);
  EXPECT_EQ(node.value<std::uint64_t>(2), std::nullopt);
  EXPECT_EQ(node.slot(2), "");
  EXPECT_FALSE(node.is_view(3));
  EXPECT_TRUE(node.bytes(3).empty());
}

}  // namespace
}  // namespace segue::test
