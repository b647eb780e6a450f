// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/translator/msl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "unit/spirv/shader_text.hpp"

namespace segue::metal::translator {
namespace {

using spirv::test::glsl;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Of GLSL text that is expected to be right.
Translation translated(std::string_view text) {
  Result<Translation> result = translate("test", glsl(text));
  if (!result) ADD_FAILURE() << result.error().message << "\n" << text;
  return result ? *std::move(result) : Translation();
}

std::string refusal_of(std::string_view text) {
  const Result<Translation> result = translate("test", glsl(text));
  return result ? "(no error)" : result.error().message;
}

TEST(TranslateToMsl, ArgumentsHaveTheIndicesOfTheirBindings) {
  const Translation result = translated(R"(
    layout(binding = 1) writeonly buffer Y { float y[]; };
    layout(binding = 0) readonly buffer X { float x[]; };
    layout(binding = 2) uniform Params { float a; uint n; } params;
    void main() { y[0] = params.a * x[params.n]; })");
  EXPECT_EQ(result.entry_point, "segue_test");
  EXPECT_THAT(result.text, HasSubstr("kernel void segue_test("));
  EXPECT_TRUE(
      std::regex_search(result.text, std::regex(R"(const device X& \w+ \[\[buffer\(0\)\]\])")));
  EXPECT_TRUE(
      std::regex_search(result.text, std::regex(R"([(,] ?device Y& \w+ \[\[buffer\(1\)\]\])")));
  EXPECT_TRUE(
      std::regex_search(result.text, std::regex(R"(constant Params& \w+ \[\[buffer\(2\)\]\])")));
  ASSERT_EQ(result.signature.parameters.size(), 3);
  EXPECT_EQ(result.signature.parameters[1].access, Access::kWrite);
  EXPECT_EQ(result.grid_index, -1);
  EXPECT_EQ(result.view_sizes_index, -1);
}

TEST(TranslateToMsl, BlocksAtOneBindingAreOneArgument) {
  const Translation result = translated(R"(
    layout(binding = 0) readonly buffer X { float x[]; };
    layout(binding = 0) readonly buffer XQuads { vec4 x_quads[]; };
    layout(binding = 1) writeonly buffer Y { float y[]; };
    layout(binding = 1) writeonly buffer YQuads { vec4 y_quads[]; };
    void main() { y_quads[1] = x_quads[1]; y[0] = x[0]; })");
  EXPECT_THAT(buffer_indices(result.text), ElementsAre(0, 1));
  EXPECT_THAT(result.text, HasSubstr("const device void* "));
  EXPECT_EQ(result.signature.parameters.size(), 2);
}

TEST(TranslateToMsl, SizesOfViewsComeBehindTheThreadCount) {
  const Translation result = translated(R"(
    layout(binding = 0) buffer X { float x[]; };
    layout(binding = 1) uniform segue_Grid { uvec3 segue_thread_count; };
    void main() {
      const uint i = gl_GlobalInvocationID.x;
      if (i < segue_thread_count.x && i < x.length()) x[i] += 1;
    })");
  EXPECT_EQ(result.signature.parameters.size(), 1);
  EXPECT_TRUE(result.signature.guards_ragged_edges);
  EXPECT_EQ(result.grid_index, 1);
  EXPECT_EQ(result.grid_size_bytes, 16);
  EXPECT_EQ(result.view_sizes_index, 2);
  EXPECT_EQ(result.view_sizes_count, 2);
  EXPECT_THAT(result.text, HasSubstr("constant uint* spvBufferSizeConstants [[buffer(2)]]"));
  EXPECT_THAT(result.text, HasSubstr("spvBufferSizeConstants[0]"));
}

TEST(TranslateToMsl, RemainingConstantsAreFunctionConstants) {
  const Translation result = translated(R"(
    layout(local_size_x = 32, local_size_x_id = 0) in;
    layout(constant_id = 1) const uint most = 5;
    layout(binding = 0) buffer X { uint x[]; };
    void main() { x[0] = min(most, gl_WorkGroupSize.x); })");
  EXPECT_THAT(result.text, HasSubstr("[[function_constant(1)]]"));
  EXPECT_THAT(result.text, Not(HasSubstr("[[function_constant(0)]]")));
  ASSERT_EQ(result.function_constants.size(), 1);
  EXPECT_EQ(result.function_constants[0].value, 5);
  // Nobody names the constant of the group size.
  ASSERT_EQ(result.frozen.size(), 1);
  EXPECT_EQ(result.frozen[0].value, 32);
}

TEST(TranslateToMsl, SumsOfProductsAreNotContracted) {
  const Translation result = translated(R"(
    layout(binding = 0) buffer X { float x[]; };
    void main() {
      precise float y = x[0] * x[1] + x[2];
      x[3] = y + fma(x[4], x[5], x[6]);
    })");
  EXPECT_TRUE(
      result.text.starts_with("#if defined(__METAL_VERSION__) && __METAL_VERSION__ >= 320\n"
                              "#pragma METAL fp contract(off)\n#else\n"
                              "#pragma clang fp contract(off)\n#endif\n"));
  EXPECT_TRUE(std::regex_search(result.text, std::regex(R"(\* \S+\) \+ )"))) << result.text;
  EXPECT_THAT(result.text, Not(HasSubstr("optnone")));
  EXPECT_THAT(result.text, HasSubstr(" fma("));
}

TEST(TranslateToMsl, LimitsOfFloatsArePrecise) {
  const Translation result = translated(
      "layout(binding = 0) buffer X { float x[]; }; void main() { x[0] = max(x[1], x[2]); }");
  EXPECT_THAT(result.text, HasSubstr("precise::max("));
  EXPECT_THAT(result.text, Not(HasSubstr("fast::")));
}

TEST(TranslateToMsl, SubgroupsHave32Threads) {
  const Translation result = translated(R"(
    #extension GL_KHR_shader_subgroup_arithmetic : require
    layout(local_size_x = 64) in;
    layout(binding = 0) buffer X { uint x[]; };
    void main() { x[gl_SubgroupSize] = subgroupAdd(x[gl_SubgroupInvocationID]); })");
  EXPECT_THAT(result.text, HasSubstr("gl_SubgroupSize = 32;"));
  EXPECT_THAT(result.text, HasSubstr("simd_sum("));
}

TEST(TranslateToMsl, WordsOfTheLanguageAreNoNames) {
  const Translation result = translated(R"(
    layout(binding = 0) buffer device { float constant[]; };
    float kernel(float thread, float uchar) { return thread + uchar; }
    void main() { float vertex = constant[0]; constant[1] = kernel(vertex, vertex); })");
  for (const char* word : {"kernel", "thread", "uchar", "device", "constant", "vertex"}) {
    const std::regex declaration(std::string(R"(\b(float&?|struct) )") + word + R"(\b)");
    EXPECT_FALSE(std::regex_search(result.text, declaration)) << word << "\n" << result.text;
  }
  ASSERT_EQ(result.signature.parameters.size(), 1);
  EXPECT_EQ(result.signature.parameters[0].name, "constant");
}

TEST(TranslateToMsl, WhatFitsNoDeviceIsRefused) {
  EXPECT_EQ(refusal_of("layout(local_size_x = 64, local_size_y = 17) in; void main() { }"),
            "Its group size is 64 x 17 x 1; at most 1024 threads are allowed.");
  EXPECT_EQ(refusal_of("shared uint a[8193]; void main() { a[0] = 1; barrier(); }"),
            "A group uses 32772 bytes of threadgroup memory; at most 32768 are allowed.");
  std::string blocks, body;
  for (int i = 0; i < 31; ++i) {
    const std::string n = std::to_string(i);
    blocks += "layout(binding = " + n + ") buffer X" + n + " { uint x" + n + "; };";
    body += "x" + n + " = 1;";
  }
  EXPECT_EQ(refusal_of(blocks + "void main() {" + body + "}"),
            "It takes 31 buffers; at most 30 are allowed.");
}

TEST(TranslateToMsl, CodeThatReflectionRefusesIsRefused) {
  EXPECT_THAT(refusal_of("layout(push_constant) uniform P { uint n; } p;"
                         "layout(binding = 0) buffer X { uint x[]; }; void main() { x[0] = p.n; }"),
              HasSubstr("It uses push constants"));
}

TEST(BufferIndices, AreThoseOfTheText) {
  EXPECT_THAT(buffer_indices("a [[buffer(3)]], b [[buffer(12)]], c [[threadgroup(1)]]"),
              ElementsAre(3, 12));
  EXPECT_THAT(buffer_indices("kernel void f()"), IsEmpty());
}

}  // namespace
}  // namespace segue::metal::translator
