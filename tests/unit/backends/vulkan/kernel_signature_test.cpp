// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/kernel_signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "spirv/signature.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::vulkan {
namespace {

using spirv::test::reflect_glsl;

constexpr std::string_view kKernel = R"(
  layout(local_size_x = 32, local_size_x_id = 0) in;
  layout(constant_id = 1) const uint s_count = 8;
  layout(binding = 0) buffer X { uint x[]; };
  layout(binding = 1) buffer Y { uint y[]; };
  layout(binding = 2) uniform Params { uint a; uint b; } params;
  shared uint s[s_count];
  void main() {
    s[0] = x[params.a];
    barrier();
    y[0] = s[0];
  }
)";

Parameter buffer(std::string name, Access access, bool known = true) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.access = access;
  parameter.access_known = known;
  return parameter;
}
Parameter bytes(std::string name, std::uint32_t size) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kBytes;
  parameter.size_bytes = size;
  return parameter;
}
Parameter shared(std::string name, SharedSizing sizing) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kShared;
  parameter.sizing = sizing;
  return parameter;
}

/// What an author would declare for kKernel.
Signature declaration() {
  Signature signature;
  signature.parameters = {buffer("x", Access::kRead), buffer("y", Access::kWrite), bytes("size", 8),
                          shared("s", SharedSizing::kLaunch)};
  return signature;
}

Result<Signature> reconciled(const Signature& declared, std::string_view text = kKernel) {
  const spirv::ShaderReflection reflection = reflect_glsl(text);
  return reconcile(declared, spirv::signature_of(reflection, {}), reflection);
}

std::string refusal(const Signature& declared, std::string_view text = kKernel) {
  const Result<Signature> result = reconciled(declared, text);
  return result ? "(no error)" : result.error().message;
}

TEST(KernelSignature, ComesFromTheCode) {  // rows I1, I5
  const Signature signature = spirv::signature_of(reflect_glsl(kKernel), {});
  ASSERT_EQ(signature.parameters.size(), 4U);
  EXPECT_EQ(signature.argument_count(), 3U);
  EXPECT_EQ(signature.parameters[0].name, "x");
  EXPECT_EQ(signature.parameters[0].access, Access::kRead);
  EXPECT_EQ(signature.parameters[1].access, Access::kWrite);
  EXPECT_EQ(signature.parameters[2].name, "params");
  EXPECT_EQ(signature.parameters[2].kind, ParameterKind::kBytes);
  EXPECT_EQ(signature.parameters[2].size_bytes, 8U);
  EXPECT_EQ(signature.parameters[3].name, "s");
  EXPECT_EQ(signature.parameters[3].kind, ParameterKind::kShared);
  EXPECT_EQ(signature.parameters[3].sizing, SharedSizing::kLaunch);
  EXPECT_EQ(signature.group_size, (Extent3{32, 1, 1}));
  EXPECT_TRUE(signature.fixed_group_size);
  EXPECT_FALSE(signature.guards_ragged_edges);
}

TEST(KernelSignature, OfTheExampleInTheDocumentsIsAsTheySay) {  // row I5
  std::ifstream file(SEGUE_SOURCE_DIR "/docs/kernel-abi.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  constexpr std::string_view kFence = "```glsl\n#version 460\n";
  const std::size_t begin = document.find(kFence) + kFence.size();
  const std::size_t end = document.find("```", begin);
  ASSERT_TRUE(begin > kFence.size() && end != std::string::npos);
  const Signature signature =
      spirv::signature_of(reflect_glsl(std::string_view(document).substr(begin, end - begin)), {});
  ASSERT_EQ(signature.parameters.size(), 3U);
  EXPECT_EQ(signature.parameters[0].name, "x");
  EXPECT_EQ(signature.parameters[0].access, Access::kRead);
  EXPECT_EQ(signature.parameters[1].name, "y");
  EXPECT_EQ(signature.parameters[1].access, Access::kReadWrite);
  EXPECT_EQ(signature.parameters[2].name, "a");
  EXPECT_EQ(signature.parameters[2].size_bytes, 4U);
  EXPECT_TRUE(signature.guards_ragged_edges);
}

TEST(KernelSignature, AGroupSizeOfConstantsIsFree) {  // row I5
  EXPECT_FALSE(spirv::signature_of(reflect_glsl("layout(local_size_x_id = 0, local_size_y_id = 1,"
                                                "local_size_z_id = 2) in; void main() { }"),
                                   {})
                   .fixed_group_size);
}

TEST(KernelSignature, ReadingTheThreadCountGuardsTheEdges) {  // rows B1, I5
  EXPECT_TRUE(spirv::signature_of(reflect_glsl(R"(
    layout(binding = 0) buffer X { uint x[]; };
    layout(binding = 1) uniform segue_Grid { uvec3 segue_thread_count; };
    void main() {
      if (gl_GlobalInvocationID.x < segue_thread_count.x) x[gl_GlobalInvocationID.x] = 1;
    })"),
                                  {})
                  .guards_ragged_edges);
}

TEST(KernelSignature, GivenLengthsOfSharedArraysAreNoLongerTheLaunchs) {  // rows B2, I5
  const spirv::Specialisation given{{1, 20}};
  const Signature signature = spirv::signature_of(reflect_glsl(kKernel, given), given);
  EXPECT_EQ(signature.parameters[3].sizing, SharedSizing::kSpecialisation);
  EXPECT_EQ(signature.parameters[3].size_bytes, 80U);
}

TEST(KernelSignature, DeclaredNamesAndFlagsAreTaken) {  // row I1
  Signature declared = declaration();
  declared.parameters[0] = buffer("source", Access::kReadWrite);
  declared.parameters[1].access_known = false;
  declared.guards_ragged_edges = true;
  declared.items_per_group = 5;
  const Result<Signature> result = reconciled(declared);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->parameters[0].name, "source");
  EXPECT_EQ(result->parameters[0].access, Access::kReadWrite);  // more than the code does
  EXPECT_FALSE(result->parameters[1].access_known);
  EXPECT_EQ(result->parameters[1].access, Access::kReadWrite);
  EXPECT_EQ(result->parameters[2].size_bytes, 8U);
  EXPECT_TRUE(result->guards_ragged_edges);
  EXPECT_EQ(result->items_per_group, 5U);
  EXPECT_EQ(result->group_size, (Extent3{32, 1, 1}));
}

TEST(KernelSignature, AccessBeyondTheDeclaredOneIsRefused) {  // row I1
  Signature declared = declaration();
  declared.parameters[1] = buffer("result", Access::kRead);
  EXPECT_EQ(refusal(declared),
            "Parameter \"result\" is declared as read, but the code's access to \"y\" is write.");
  declared = declaration();
  declared.parameters[0].access = Access::kWrite;
  EXPECT_EQ(refusal(declared),
            "Parameter \"x\" is declared as write, but the code's access to \"x\" is read.");
}

TEST(KernelSignature, CountAndKindsMustAgree) {  // row I1
  Signature declared = declaration();
  declared.parameters.pop_back();
  EXPECT_EQ(refusal(declared), "The declared signature has 3 parameters, but the code has 4.");
  declared = declaration();
  declared.parameters[2] = buffer("size", Access::kRead);
  EXPECT_EQ(refusal(declared),
            "Parameter 2 (\"size\") is declared as a buffer, but in the code it is inline bytes "
            "(\"params\").");
  declared = declaration();
  declared.parameters[2].size_bytes = 12;
  EXPECT_EQ(refusal(declared),
            "Parameter \"size\" is declared with 12 bytes, but block \"params\" has 8.");
  declared = declaration();
  declared.parameters[3].sizing = SharedSizing::kFixed;
  EXPECT_THAT(refusal(declared), testing::HasSubstr("sized by the kernel"));
}

TEST(KernelSignature, InlineBytesMayBeAStorageBlockThatIsOnlyRead) {  // row I5
  Signature declared = declaration();
  declared.parameters[0] = bytes("data", 0);
  const Result<Signature> result = reconciled(declared);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->parameters[0].kind, ParameterKind::kBytes);
  EXPECT_EQ(result->parameters[0].size_bytes, 0U);
  declared.parameters[1] = bytes("y", 0);
  EXPECT_EQ(refusal(declared),
            "Parameter \"y\" is declared as inline bytes, but the code writes \"y\".");
  constexpr std::string_view kHeaded =
      "layout(binding = 0) readonly buffer X { uint head[4]; uint x[]; }; void main() { }";
  Signature small;
  small.parameters = {bytes("x", 8)};
  EXPECT_EQ(refusal(small, kHeaded),
            "Parameter \"x\" is declared with 8 bytes, but block \"head\" has 16.");
}

TEST(KernelSignature, TheDeclaredGroupSizeMustBePossible) {  // row I1
  Signature declared = declaration();
  declared.group_size = {64, 1, 1};
  EXPECT_EQ(reconciled(declared)->group_size, (Extent3{64, 1, 1}));  // x is a constant
  declared.group_size = {32, 2, 1};
  EXPECT_EQ(refusal(declared),
            "The declared group size is 32 x 2 x 1, but the code's is 32 x 1 x 1.");
}

TEST(KernelSignature, LimitsAreNamed) {  // row I4
  Limits limits;
  limits.max_arguments = 3;
  limits.max_inline_bytes = 8;
  limits.max_shared_memory_bytes = 32;
  limits.max_group_threads = 32;
  limits.max_group_size = {32, 1, 1};
  const spirv::ShaderReflection reflection = reflect_glsl(kKernel);
  const auto refused = [&](const Limits& tight) {
    const Result<> result = check_limits(spirv::signature_of(reflection, {}), reflection, tight);
    return result ? "(no error)" : result.error().message;
  };
  EXPECT_EQ(refused(limits), "(no error)");
  Limits tight = limits;
  tight.max_arguments = 2;
  EXPECT_EQ(refused(tight), "It takes 3 arguments; at most 2 are allowed.");
  tight = limits;
  tight.max_inline_bytes = 4;
  EXPECT_EQ(refused(tight), "Parameter \"params\" has 8 inline bytes; at most 4 are allowed.");
  tight = limits;
  tight.max_shared_memory_bytes = 31;
  EXPECT_EQ(refused(tight), "A group uses 32 bytes of shared memory; at most 31 are allowed.");
  tight = limits;
  tight.max_group_threads = 31;
  EXPECT_THAT(refused(tight), testing::HasSubstr("32 x 1 x 1; at most 31 threads"));
}

}  // namespace
}  // namespace segue::vulkan
