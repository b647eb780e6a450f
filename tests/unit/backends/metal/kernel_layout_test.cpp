// SPDX-License-Identifier: Apache-2.0
//
// From what Metal reflects to a signature.
#include "backends/metal/kernel_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ReflectedBuffer reflected(std::string name, std::uint32_t index, Access access,
                          std::uint32_t size = 4) {
  return {std::move(name), index, access, false, size, std::min(size, 16U)};
}

ReflectedBuffer reflected_struct(std::string name, std::uint32_t index, std::uint32_t size,
                                 Access access = Access::kRead) {
  return {std::move(name), index, access, true, size, 4};
}

MslReflection reflection_of(std::vector<ReflectedBuffer> buffers,
                            std::vector<ReflectedThreadgroup> threadgroups = {}) {
  return {std::move(buffers), std::move(threadgroups), 32};
}

Signature declare(std::vector<Parameter> parameters) {
  Signature signature;
  signature.parameters = std::move(parameters);
  return signature;
}

/// What declaring this of that function comes to.
Result<Signature> reconciled(const Signature& declared, const MslReflection& reflection) {
  SEGUE_TRY_ASSIGN(KernelLayout layout, layout_of(reflection));
  SEGUE_TRY(reconcile(declared, reflection, layout));
  return layout.signature;
}

std::string refusal_of(const Signature& declared, const MslReflection& reflection) {
  const Result<Signature> result = reconciled(declared, reflection);
  EXPECT_FALSE(result.has_value());
  if (result) return "";
  EXPECT_EQ(result.error().code, ErrorCode::kCompileFailed);
  return result.error().message;
}

const ReflectedBuffer kX = reflected("x", 0, Access::kRead);
const ReflectedBuffer kY = reflected("y", 1, Access::kReadWrite);

TEST(MetalKernelLayout, MakesParametersOfArgumentsInOrder) {  // row I1
  const KernelLayout layout = layout_of(reflection_of({reflected_struct("params", 2, 12), kY,
                                                       reflected("x", 0, Access::kRead, 16)}))
                                  .value();
  const Signature& signature = layout.signature;
  ASSERT_EQ(signature.parameters.size(), 3U);
  EXPECT_EQ(signature.parameters[0].name, "x");
  EXPECT_EQ(signature.parameters[0].kind, ParameterKind::kBuffer);
  EXPECT_EQ(signature.parameters[0].access, Access::kRead);
  EXPECT_EQ(signature.parameters[0].alignment, 16U);
  EXPECT_EQ(signature.parameters[1].access, Access::kReadWrite);
  EXPECT_EQ(signature.parameters[2].name, "params");
  EXPECT_EQ(signature.parameters[2].kind, ParameterKind::kBytes);
  EXPECT_EQ(signature.parameters[2].size_bytes, 12U);
  EXPECT_EQ(signature.group_size, (Extent3{32, 1, 1}));
  EXPECT_FALSE(signature.guards_ragged_edges);
  EXPECT_EQ(layout.grid_index, -1);
  EXPECT_EQ(layout.view_sizes_index, -1);
}

TEST(MetalKernelLayout, TakesStructsThatAreWrittenAsBuffers) {  // row I1
  const KernelLayout layout =
      layout_of(reflection_of({reflected_struct("state", 0, 64, Access::kReadWrite)})).value();
  EXPECT_EQ(layout.signature.parameters[0].kind, ParameterKind::kBuffer);
  EXPECT_EQ(layout.signature.parameters[0].access, Access::kReadWrite);
}

TEST(MetalKernelLayout, HidesTheGridAndTheSizesOfViews) {  // rows B1, I5
  const KernelLayout layout =
      layout_of(reflection_of({kX, kY, reflected("segue_view_sizes", 3, Access::kRead),
                               reflected("segue_grid", 2, Access::kRead, 12)}))
          .value();
  EXPECT_EQ(layout.signature.parameters.size(), 2U);
  EXPECT_EQ(layout.grid_index, 2);
  EXPECT_EQ(layout.view_sizes_index, 3);
  EXPECT_EQ(layout.view_sizes_count, 2U);
  EXPECT_TRUE(layout.signature.guards_ragged_edges);
}

TEST(MetalKernelLayout, PutsSharedMemoryLastByItsIndex) {  // rows B2, I1
  const KernelLayout layout = layout_of(reflection_of({kX}, {{"b", 1}, {"a", 0}})).value();
  ASSERT_EQ(layout.signature.parameters.size(), 3U);
  EXPECT_EQ(layout.signature.parameters[1].name, "a");
  EXPECT_EQ(layout.signature.parameters[2].name, "b");
  EXPECT_EQ(layout.signature.parameters[2].kind, ParameterKind::kShared);
  EXPECT_EQ(layout.signature.parameters[2].sizing, SharedSizing::kLaunch);
  EXPECT_THAT(layout.threadgroup_indices, ElementsAre(0U, 1U));
}

TEST(MetalKernelLayout, AllowsNoGapBetweenArguments) {  // rows I1, K4
  const auto gap = layout_of(reflection_of({kX, reflected("z", 2, Access::kRead)}));
  ASSERT_FALSE(gap.has_value());
  EXPECT_EQ(gap.error().code, ErrorCode::kCompileFailed);
  EXPECT_EQ(gap.error().message, "Argument \"z\" is at buffer index 2; 1 is the next one.");
  const auto hidden_first = layout_of(reflection_of(
      {reflected("segue_grid", 0, Access::kRead, 12), reflected("x", 1, Access::kRead)}));
  ASSERT_FALSE(hidden_first.has_value());
  EXPECT_THAT(hidden_first.error().message, HasSubstr("\"x\" is at buffer index 1"));
  const auto hidden_far =
      layout_of(reflection_of({kX, reflected("segue_grid", 30, Access::kRead, 12)}));
  ASSERT_FALSE(hidden_far.has_value());
  EXPECT_THAT(hidden_far.error().message, HasSubstr("right behind the 1 arguments"));
  const auto shared = layout_of(reflection_of({kX}, {{"s", 2}}));
  ASSERT_FALSE(shared.has_value());
  EXPECT_THAT(shared.error().message, HasSubstr("\"s\" is at threadgroup index 2"));
}

TEST(MetalKernelLayout, TakesOverWhatADeclarationAdds) {  // row I1
  Signature declared =
      declare({view_parameter("source", Access::kRead), view_parameter("result", Access::kWrite)});
  declared.parameters[0].alignment = 64;
  declared.group_size = {8, 4, 1};
  declared.fixed_group_size = true;
  declared.items_per_group = 7;
  declared.batch_per_group = 3;
  const Signature signature = reconciled(declared, reflection_of({kX, kY})).value();
  EXPECT_EQ(signature.parameters[0].name, "source");
  EXPECT_EQ(signature.parameters[0].alignment, 64U);
  // What is not const counts as read and written for Metal; only its author knows better.
  EXPECT_EQ(signature.parameters[1].access, Access::kWrite);
  EXPECT_EQ(signature.parameters[1].alignment, 4U);
  EXPECT_EQ(signature.group_size, (Extent3{8, 4, 1}));
  EXPECT_TRUE(signature.fixed_group_size);
  EXPECT_EQ(signature.items_per_group, 7U);
  EXPECT_EQ(signature.batch_per_group, 3U);
}

TEST(MetalKernelLayout, KeepsWhatADeclarationLeavesOut) {  // row I1
  const Signature declared = declare({view_parameter("", Access::kRead)});
  const Signature signature = reconciled(declared, reflection_of({kX})).value();
  EXPECT_EQ(signature.parameters[0].name, "x");
  EXPECT_EQ(signature.group_size, (Extent3{32, 1, 1}));
}

TEST(MetalKernelLayout, TakesUnknownAccessAsBoth) {  // row C1
  Signature declared = declare({view_parameter("x", Access::kRead)});
  declared.parameters[0].access_known = false;
  const Signature signature = reconciled(declared, reflection_of({kX})).value();
  EXPECT_EQ(signature.parameters[0].access, Access::kReadWrite);
  EXPECT_FALSE(signature.parameters[0].access_known);
}

TEST(MetalKernelLayout, TakesReadOnlyPointersAsInlineBytesIfDeclared) {  // rows A1, I5
  const Signature any =
      reconciled(declare({bytes_parameter("data", 0)}), reflection_of({kX})).value();
  EXPECT_EQ(any.parameters[0].kind, ParameterKind::kBytes);
  EXPECT_EQ(any.parameters[0].size_bytes, 0U);
  EXPECT_EQ(any.parameters[0].alignment, 1U);
  const MslReflection params = reflection_of({reflected_struct("params", 0, 8)});
  EXPECT_EQ(
      reconciled(declare({bytes_parameter("p", 12)}), params).value().parameters[0].size_bytes,
      12U);
  // The other way: a buffer of structs.
  const Signature structs =
      reconciled(declare({view_parameter("blocks", Access::kRead)}), params).value();
  EXPECT_EQ(structs.parameters[0].kind, ParameterKind::kBuffer);
}

TEST(MetalKernelLayout, RefusesDeclarationsThatTheCodeContradicts) {  // rows I1, K4
  EXPECT_EQ(refusal_of(declare({view_parameter("x", Access::kRead)}), reflection_of({kX, kY})),
            "The declared signature has 1 parameters, but the code has 2.");
  EXPECT_EQ(refusal_of(declare({view_parameter("x", Access::kWrite)}), reflection_of({kX})),
            "Parameter \"x\" is declared as write, but the code's access to \"x\" is read.");
  EXPECT_EQ(
      refusal_of(declare({view_parameter("x", Access::kRead), view_parameter("y", Access::kRead)}),
                 reflection_of({kX, kY})),
      "Parameter \"y\" is declared as read, but the code's access to \"y\" is read and "
      "write.");
  EXPECT_EQ(refusal_of(declare({bytes_parameter("y", 4)}),
                       reflection_of({reflected("y", 0, Access::kReadWrite)})),
            "Parameter \"y\" is declared as inline bytes, but the code writes \"y\".");
  EXPECT_EQ(refusal_of(declare({bytes_parameter("p", 4)}),
                       reflection_of({reflected_struct("params", 0, 8)})),
            "Parameter \"p\" is declared with 4 bytes, but \"params\" has 8.");
}

TEST(MetalKernelLayout, RefusesSharedMemoryThatIsNone) {  // rows B2, I1
  EXPECT_EQ(refusal_of(declare({shared_parameter("s")}), reflection_of({kX})),
            "Parameter 0 (\"s\") is declared as shared memory, but in the code it is an argument.");
  const MslReflection shared = reflection_of({}, {{"s", 0}});
  EXPECT_EQ(refusal_of(declare({view_parameter("x", Access::kRead)}), shared),
            "Parameter 0 (\"x\") is declared as an argument, but in the code it is shared memory.");
  for (const SharedSizing sizing : {SharedSizing::kFixed, SharedSizing::kSpecialisation}) {
    Signature declared = declare({shared_parameter("s")});
    declared.parameters[0].sizing = sizing;
    EXPECT_EQ(refusal_of(declared, shared),
              "Shared parameter \"s\" must be sized at launch, as threadgroup arguments are.");
  }
}

TEST(MetalKernelLayout, StaysWithinTheLimitsOfTheDevice) {  // row K4
  Limits limits;
  limits.max_arguments = 2;
  limits.max_group_threads = 64;
  Signature signature =
      declare({view_parameter("x", Access::kRead), bytes_parameter("p", 4), shared_parameter("s")});
  signature.group_size = {8, 8, 1};
  EXPECT_TRUE(check_limits(signature, limits).has_value());  // shared memory is no argument
  signature.group_size = {8, 8, 2};
  EXPECT_EQ(check_limits(signature, limits).error().message,
            "Its group size is 8 x 8 x 2; at most 64 threads are allowed.");
  limits.max_arguments = 1;
  EXPECT_EQ(check_limits(signature, limits).error().message,
            "It takes 2 arguments; at most 1 are allowed.");
}

}  // namespace
}  // namespace segue::metal
