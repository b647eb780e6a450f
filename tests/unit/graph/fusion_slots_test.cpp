// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <array>
#include <cstring>

#include "unit/graph/fusion_program.hpp"

namespace segue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Nodes = std::span<const FusionNode>;

/// scale(x, y, factor), shift(x, y, amount) -> scale_shift(x, y, {factor, amount})
class FusionSlots : public FusionTest {
 protected:
  FusionSlots()
      : scale_kernel(program.add_kernel("scale", "rwb")),
        shift_kernel(program.add_kernel("shift", "rwb")),
        both_kernel(program.add_kernel("scale_shift", "rwb")) {
    program.kernel(both_kernel).signature.parameters[2].size_bytes = 8;
    carries.name = "scale and shift";
    carries.steps = {{OpKind::kElemMul}, {OpKind::kElemAdd}};
    carries.links = {{FusionFlow::kEliminated, {0, 1}, {1, 0}}};
    carries.fuse = [this](Nodes nodes) {
      const std::array both{*nodes[0].value<std::uint32_t>(2), *nodes[1].value<std::uint32_t>(2)};
      return FusedDispatch{
          both_kernel,
          OpKind::kOther,
          groups(1),
          {FusedArgument::take(0, 0), FusedArgument::take(1, 1),
           FusedArgument::bytes(both, {{.from = {0, 2}}, {.from = {1, 2}, .offset = 4}})}};
    };
  }
  std::uint32_t scale(View from, View to, std::uint32_t by, const Options& options = {}) {
    return program.dispatch(OpKind::kElemMul, scale_kernel, {from, to, by}, options);
  }
  std::uint32_t shift(View from, View to, std::uint32_t by, const Options& options = {}) {
    return program.dispatch(OpKind::kElemAdd, shift_kernel, {from, to, by}, options);
  }
  struct Use {
    std::string name;
    std::uint32_t command, argument, offset;
    friend bool operator==(const Use&, const Use&) = default;
  };
  static std::vector<Use> uses(const ir::CommandList& list) {
    std::vector<Use> all;
    for (const ir::SlotUse& use : list.slot_uses()) {
      all.push_back({std::string(list.name(list.slots()[use.slot].name)), use.command, use.argument,
                     use.offset});
    }
    return all;
  }

  Kernel scale_kernel, shift_kernel, both_kernel;
  FusionPattern carries;
};

TEST_F(FusionSlots, MoveWithTheBytesThatTheyFill) {  // row E7
  const std::uint32_t factor = program.add_slot("factor", ir::SlotKind::kBytes, 3);
  const std::uint32_t amount = program.add_slot("amount", ir::SlotKind::kBytes, 5);
  norm(y, spare);
  scale(x, temp, 3, {.slots = {{factor, 2}}});
  shift(temp, out, 5, {.slots = {{amount, 2}}});
  shift(out, z, 5, {.slots = {{amount, 2}}});
  const ir::CommandList list = fuse({carries}).list;
  ASSERT_THAT(kernels(list), ElementsAre("norm", "scale_shift", "shift"));
  EXPECT_THAT(uses(list),
              ElementsAre(Use{"factor", 1, 2, 0}, Use{"amount", 1, 2, 4}, Use{"amount", 2, 2, 0}));
  ASSERT_EQ(list.slots().size(), 2U);
  for (const ir::Slot& slot : list.slots()) {
    std::uint32_t value = 0;
    std::memcpy(&value, list.bytes(ir::Argument{nullptr, slot.bytes, 4}), 4);
    EXPECT_EQ(value, list.name(slot.name) == "factor" ? 3U : 5U);
  }
  EXPECT_EQ(FusionNode(list, 1).slot(2, 4), "amount");
  EXPECT_EQ((FusionNode(list, 1).value<std::array<std::uint32_t, 2>>(2)),
            (std::array<std::uint32_t, 2>{3, 5}));
}

TEST_F(FusionSlots, AreCarriedOnlyFromWhereTheyAre) {  // row E7
  const std::uint32_t amount = program.add_slot("amount", ir::SlotKind::kBytes, 5);
  scale(x, temp, 3);
  shift(temp, out, 5, {.slots = {{amount, 2}}});
  EXPECT_THAT(uses(fuse({carries}).list), ElementsAre(Use{"amount", 0, 2, 4}));
}

TEST_F(FusionSlots, OfTakenArgumentsStay) {  // row E7
  const std::uint32_t input = program.add_slot("input", ir::SlotKind::kView);
  program.kernel(both_kernel).signature.parameters[0].alignment = 16;
  scale(x, temp, 3, {.slots = {{input, 0}}});
  shift(temp, out, 5);
  const ir::CommandList list = fuse({carries}).list;
  EXPECT_THAT(uses(list), ElementsAre(Use{"input", 0, 0, 0}));
  EXPECT_EQ(list.slots()[0].alignment, 16U);
}

TEST_F(FusionSlots, MayNotBeLost) {  // row E7
  const std::uint32_t factor = program.add_slot("factor", ir::SlotKind::kBytes, 3);
  scale(x, temp, 3, {.slots = {{factor, 2}}});
  shift(temp, out, 5);
  carries.fuse = [fuse = carries.fuse](Nodes nodes) {
    auto fused = fuse(nodes);
    fused->arguments[2].slots.clear();
    return fused;
  };
  EXPECT_EQ(refusal(carries), "Slot \"factor\" of dispatch 0 \"scale\" would be lost.");
}

TEST_F(FusionSlots, KeepTheirSize) {  // row E7
  const std::uint32_t factor = program.add_slot("factor", ir::SlotKind::kBytes, 3);
  scale(x, temp, 3, {.slots = {{factor, 2}}});
  shift(temp, out, 5);
  carries.fuse = [fuse = carries.fuse](Nodes nodes) {
    auto fused = fuse(nodes);
    fused->arguments[2].slots[0].size_bytes = 2;
    return fused;
  };
  EXPECT_THAT(error(carries), HasSubstr("carries 2 bytes of slot \"factor\", which has 4 bytes."));
  carries.fuse = [fuse = carries.fuse](Nodes nodes) {
    auto fused = fuse(nodes);
    fused->arguments[2].slots[0] = {.from = {0, 2}, .offset = 6};
    return fused;
  };
  EXPECT_THAT(error(carries), HasSubstr("carries a slot to bytes 6 to 10, but it has 8 bytes."));
}

TEST_F(FusionSlots, OfAnEliminatedViewForbidFusion) {  // row E7
  const std::uint32_t between = program.add_slot("between", ir::SlotKind::kView);
  scale(x, temp, 3, {.slots = {{between, 1}}});
  shift(temp, out, 5, {.slots = {{between, 0}}});
  EXPECT_EQ(refusal(carries),
            "The view that dispatch 0 \"scale\" writes is slot \"between\", so it cannot "
            "disappear.");
}

TEST_F(FusionSlots, OfOneEndOfALinkOnlyForbidFusion) {  // row E7
  const std::uint32_t input = program.add_slot("input", ir::SlotKind::kView);
  product(weights, x, y, {.slots = {{input, 1}}});
  product(weights, x, out);
  EXPECT_EQ(refusal(shares),
            "A replay may give dispatches 0 \"product\" and 1 \"product\" different views where "
            "the pattern needs the same.");
}

TEST_F(FusionSlots, OfBothEndsOfASharedLinkStay) {  // row E7
  const std::uint32_t input = program.add_slot("input", ir::SlotKind::kView);
  product(weights, x, y, {.slots = {{input, 1}}});
  product(weights, x, out, {.slots = {{input, 1}}});
  EXPECT_THAT(uses(fuse({shares}).list), ElementsAre(Use{"input", 0, 2, 0}));
}

TEST_F(FusionSlots, OfAGridForbidFusion) {  // row E7
  const std::uint32_t rows = program.add_slot("rows", ir::SlotKind::kGrid);
  scale(x, temp, 3, {.slots = {{rows, 0}}});
  shift(temp, out, 5);
  EXPECT_EQ(refusal(carries),
            "The grid of dispatch 0 \"scale\" is slot \"rows\"; a fused dispatch has a fixed one.");
}

}  // namespace
}  // namespace segue::test
