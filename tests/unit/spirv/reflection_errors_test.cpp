// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "unit/spirv/shader_text.hpp"

namespace segue::spirv {
namespace {

using test::glsl;
using test::refusal_of;
using test::Words;
using testing::HasSubstr;

std::string refusal_of_words(std::span<const std::uint32_t> words,
                             std::string_view entry_point = "main") {
  const auto reflection = test::reflect_words(words, {}, entry_point);
  return reflection ? "(no error)" : reflection.error().message;
}

TEST(ReflectionErrors, HolesInTheBindingsAreNamed) {  // row I5
  EXPECT_EQ(refusal_of("layout(binding = 0) buffer X { uint x[]; };"
                       "layout(binding = 2) buffer Y { uint y[]; };"
                       "void main() { }"),
            "Nothing is bound at binding 1, but \"y\" at 2; argument i has binding i.");
  EXPECT_THAT(refusal_of("layout(binding = 4000) buffer X { uint x[]; }; void main() { }"),
              HasSubstr("binding 4000"));
}

TEST(ReflectionErrors, OtherSetsAreNamed) {  // row I5
  EXPECT_EQ(refusal_of("layout(set = 3, binding = 0) buffer X { uint x[]; } x; void main() { }"),
            "Block \"x\" is in descriptor set 3; arguments are in set 0.");
}

TEST(ReflectionErrors, PushConstantsImagesAndArraysOfBuffersAreNamed) {  // row I5
  EXPECT_EQ(refusal_of("layout(push_constant) uniform P { uint a; } params; void main() { }"),
            "It uses push constants (\"params\"); inline bytes are a uniform block.");
  EXPECT_EQ(refusal_of("layout(binding = 0, r32f) uniform image2D picture; void main() { }"),
            "It uses an image or a sampler (\"picture\"); arguments are buffers.");
  EXPECT_EQ(refusal_of("layout(binding = 0) uniform sampler2D picture; void main() { }"),
            "It uses an image or a sampler (\"picture\"); arguments are buffers.");
  EXPECT_EQ(refusal_of("layout(binding = 0) buffer X { uint x[]; } many[3]; void main() { }"),
            "Binding 0 (\"many\") is no single block; each binding has one buffer.");
}

TEST(ReflectionErrors, TheExactThreadCountIsLastAndAVector) {  // row I5
  EXPECT_EQ(refusal_of("layout(binding = 1) buffer X { uint x[]; };"
                       "layout(binding = 0) uniform segue_Grid { uvec3 segue_thread_count; };"
                       "void main() { }"),
            "segue_Grid has binding 0; it comes after all arguments.");
  EXPECT_EQ(refusal_of("layout(binding = 0) uniform segue_Grid { uint count; };"
                       "void main() { }"),
            "segue_Grid has 4 bytes; it is one uvec3 of 12 bytes.");
}

TEST(ReflectionErrors, OneBindingHasOneKind) {  // row I5
  EXPECT_EQ(refusal_of("layout(binding = 0) buffer X { uint x[]; };"
                       "layout(binding = 0) uniform Y { uint y; };"
                       "void main() { }"),
            "Binding 0 is both \"x\" and \"y\", which are of different kinds.");
}

TEST(ReflectionErrors, AnEntryPointMustBeThere) {  // row I4
  const Words words = glsl("void main() { }");
  EXPECT_EQ(refusal_of_words(words, "run"), "The code has no compute entry point \"run\".");
}

TEST(ReflectionErrors, WhatTheDecorationSaysMustBeTrue) {  // row I1
  Words words = glsl("layout(binding = 0) buffer X { uint x[]; }; void main() { x[0] = 1; }");
  // OpDecorate and OpMemberDecorate of the block: "Offset 0" becomes "NonWritable".
  for (std::size_t i = 5; i < words.size(); i += words[i] >> 16) {
    constexpr std::uint32_t kMemberDecorate = 72, kOffset = 35, kNonWritable = 24;
    if ((words[i] & 0xFFFF) == kMemberDecorate && words[i + 3] == kOffset)
      words[i + 3] = kNonWritable;
  }
  EXPECT_EQ(refusal_of_words(words), "Block \"x\" is declared readonly but the code writes it.");
}

TEST(ReflectionErrors, WhatIsNoSpirvIsRefused) {  // row I4
  const Words words = glsl("void main() { }");
  EXPECT_EQ(refusal_of_words({}), "The code has 0 words; SPIR-V has at least 5.");
  EXPECT_THAT(refusal_of_words(std::span(words).first(4)), HasSubstr("4 words"));
  Words swapped = words;
  swapped[0] = 0x03022307;
  EXPECT_THAT(refusal_of_words(swapped), HasSubstr("begins with 0x03022307"));
  Words newer = words;
  newer[1] = 0x00010700;
  EXPECT_EQ(refusal_of_words(newer), "The code is of SPIR-V version 1.7; up to 1.6 is allowed.");
  Words many = words;
  many[3] = 0xFFFFFFFF;
  EXPECT_THAT(refusal_of_words(many), HasSubstr("declares 4294967295 ids"));
  Words few = words;
  few[3] = 2;
  EXPECT_THAT(refusal_of_words(few), HasSubstr("1 to 1 are allowed"));
  Words longer = words;
  longer[5] |= 0xFFFF0000;
  EXPECT_THAT(refusal_of_words(longer), HasSubstr("The instruction at word 5 has 65535 words"));
  Words empty = words;
  empty[5] &= 0xFFFF;
  EXPECT_THAT(refusal_of_words(empty), HasSubstr("has 0 words"));
  EXPECT_THAT(refusal_of_words(std::span(words).first(words.size() - 1)), HasSubstr("has no end"));
}

TEST(ReflectionErrors, IdsAreDefinedOnce) {  // row I4
  const Words words = test::assemble(R"(
    OpCapability Shader
    OpMemoryModel Logical GLSL450
    %1 = OpTypeVoid
  )");
  Words twice = words;
  twice.insert(twice.end(), words.end() - 2, words.end());
  EXPECT_EQ(refusal_of_words(twice), "The code defines id 1 twice.");
}

TEST(ReflectionErrors, VectorsAreOfNumbers) {  // row I4
  // A vector of empty structs has no size that anything could be aligned by.
  const Words words = test::assemble(R"(
    OpCapability Shader
    OpMemoryModel Logical GLSL450
    OpEntryPoint GLCompute %1 "main" %2
    OpExecutionMode %1 LocalSize 1 1 1
    OpName %2 "x"
    OpDecorate %11 Block
    OpDecorate %2 DescriptorSet 0
    OpDecorate %2 Binding 0
    %4 = OpTypeVoid
    %5 = OpTypeFunction %4
    %6 = OpTypeStruct
    %7 = OpTypeVector %6 4
    %8 = OpTypeRuntimeArray %7
    %11 = OpTypeStruct %8
    %12 = OpTypePointer StorageBuffer %11
    %2 = OpVariable %12 StorageBuffer
    %1 = OpFunction %4 None %5
    %16 = OpLabel
    OpReturn
    OpFunctionEnd
  )");
  EXPECT_THAT(refusal_of_words(words), HasSubstr("\"x\" has no size"));
}

TEST(ReflectionErrors, WhatCannotBeComputedHasNoValue) {  // row I5
  const Words words = glsl(R"(
    layout(constant_id = 0) const uint d = 1;
    layout(constant_id = 1) const int m = 1;
    layout(binding = 0) buffer X { uint x[]; };
    shared uint a[64 / d];
    shared uint b[64 % d];
    shared uint c[uint(64 / m) % 100];
    shared uint e[uint(64 % m) + 1];
    void main() { a[0] = b[0] = c[0] = e[0] = 1; x[0] = a[0] + b[0] + c[0] + e[0]; }
  )");
  // Division by zero is left to the driver.
  const auto zero = test::reflect_words(words, {{0, 0}, {1, 0}});
  ASSERT_TRUE(zero.has_value()) << zero.error().message;
  EXPECT_EQ(zero->shared_bytes, 0U);
  const auto minus = test::reflect_words(words, {{0, 3}, {1, UINT32_MAX}});
  ASSERT_TRUE(minus.has_value()) << minus.error().message;
  EXPECT_EQ(minus->shared_bytes, 4 * (21U + 1U + (0U - 64U) % 100 + 1U));
}

TEST(ReflectionErrors, GroupsHaveAtLeastOneThread) {  // row I5
  const Words words = glsl("layout(local_size_x_id = 0) in; void main() { }");
  const auto reflection = test::reflect_words(words, {{0, 0}});
  ASSERT_FALSE(reflection.has_value());
  EXPECT_EQ(reflection.error().message,
            "Its group size is 0 x 1 x 1; each dimension is at least 1.");
}

}  // namespace
}  // namespace segue::spirv
