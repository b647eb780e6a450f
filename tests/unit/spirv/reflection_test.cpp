// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "unit/spirv/shader_text.hpp"

namespace segue::spirv {
namespace {

using test::glsl;
using test::reflect_glsl;
using test::Words;

/// "name r 4" for a readable block of four bytes and so on, in binding order.
std::vector<std::string> blocks_of(const ShaderReflection& reflection) {
  std::vector<std::string> blocks;
  for (const BlockInfo& block : reflection.blocks) {
    std::string text = block.name;
    if (block.uniform) text += block.grid ? " grid" : " uniform";
    text += block.reads ? " r" : " ";
    if (block.writes) text += "w";
    text += " " + std::to_string(block.size_bytes);
    if (block.unsized) text += "+";
    blocks.push_back(text);
  }
  return blocks;
}

TEST(Reflection, BindingsBecomeParametersInOrder) {  // rows I1, I5
  const ShaderReflection reflection = reflect_glsl(R"(
    layout(local_size_x = 32, local_size_y = 2) in;
    layout(binding = 2) uniform Params { uint a; uint b; uint c; } size;
    layout(std430, binding = 1) buffer Y { float y[]; };
    layout(std430, binding = 0) readonly buffer X { float data[]; } x;
    void main() { y[gl_GlobalInvocationID.x] += x.data[size.a]; }
  )");
  EXPECT_THAT(blocks_of(reflection),
              testing::ElementsAre("x r 0+", "y rw 0+", "size uniform r 12"));
  EXPECT_EQ(reflection.group_size, (Extent3{32, 2, 1}));
  EXPECT_FALSE(reflection.wants_grid());
}

TEST(Reflection, DecorationsGiveTheAccess) {  // rows I1, I5
  // As decorated, although the code touches none of them.
  EXPECT_THAT(blocks_of(reflect_glsl(R"(
    layout(binding = 0) readonly buffer A { uint a[]; };
    layout(binding = 1) writeonly buffer B { uint b[]; };
    layout(binding = 2) readonly writeonly buffer C { uint c[]; };
    layout(binding = 3) buffer D { readonly uint first; readonly uint d[]; };
    void main() { }
  )")),
              testing::ElementsAre("a r 0+", "b w 0+", "c r 0+", "first r 4+"));
}

TEST(Reflection, UndecoratedBuffersHaveTheAccessOfTheCode) {  // row I1
  EXPECT_THAT(blocks_of(reflect_glsl(R"(
    struct Pair { uint low; uint high; };
    layout(binding = 0) buffer Loaded { uint loaded[]; };
    layout(binding = 1) buffer Stored { Pair stored[]; };
    layout(binding = 2) buffer Both { uvec4 both[]; };
    layout(binding = 3) buffer Counted { uint counted[]; };
    layout(binding = 4) buffer Measured { uint measured[]; };
    layout(binding = 5) buffer Half { readonly uint part; uint rest[]; };
    void main() {
      const uint i = gl_GlobalInvocationID.x;
      stored[i].high = loaded[i] + measured.length();
      both[i].y = both[i].x;
      atomicAdd(counted[0], 1);
      rest[i] = 1;
    }
  )")),
              testing::ElementsAre("loaded r 0+", "stored w 0+", "both rw 0+", "counted rw 0+",
                                   "measured r 0+", "part w 4+"));
}

TEST(Reflection, AccessInAFunctionCounts) {  // row I1
  EXPECT_THAT(blocks_of(reflect_glsl(R"(
    layout(binding = 0) buffer X { uint x[]; };
    layout(binding = 1) buffer Y { uint y[]; };
    void store(uint i, uint value) { y[i] = value; }
    void move(uint i) { store(i, x[i]); }
    void main() { move(gl_GlobalInvocationID.x); }
  )")),
              testing::ElementsAre("x r 0+", "y w 0+"));
}

TEST(Reflection, BlocksAtOneBindingAreViewsOfOneArgument) {  // rows I1, I5
  const ShaderReflection reflection = reflect_glsl(R"(
    layout(binding = 0) readonly buffer X { float x[]; };
    layout(binding = 0) readonly buffer X4 { vec4 x4[]; };
    layout(binding = 1) writeonly buffer Y { float y[]; };
    void main() { y[0] = x[0] + x4[0].y; }
  )");
  EXPECT_THAT(blocks_of(reflection), testing::ElementsAre("x r 0+", "y w 0+"));
  EXPECT_EQ(reflection.blocks[0].alignment, 16U);
  EXPECT_EQ(reflection.blocks[1].alignment, 4U);
  // What is used first does not decide the name.
  EXPECT_THAT(blocks_of(reflect_glsl(R"(
    layout(binding = 0) readonly buffer X { float x[]; };
    layout(binding = 0) readonly buffer X4 { vec4 x4[]; };
    layout(binding = 1) buffer Y { float y[]; };
    layout(binding = 1) buffer Y4 { vec4 y4[]; };
    void main() { y4[0].x = x4[0].y + x[0] + y[0]; }
  )")),
              testing::ElementsAre("x r 0+", "y rw 0+"));
}

TEST(Reflection, TheExactThreadCountIsNoArgument) {  // rows B1, I5
  constexpr std::string_view kGrid = R"(
    layout(binding = 0) buffer X { uint x[]; };
    layout(binding = 1) uniform segue_Grid { uvec3 segue_thread_count; };
  )";
  const ShaderReflection reading =
      reflect_glsl(std::string(kGrid) + "void main() { if (segue_thread_count.x > 7) x[0] = 1; }");
  EXPECT_THAT(blocks_of(reading), testing::ElementsAre("x w 0+", "segue_thread_count grid r 12"));
  EXPECT_TRUE(reading.wants_grid());
  const ShaderReflection ignoring = reflect_glsl(std::string(kGrid) + "void main() { x[0] = 1; }");
  EXPECT_TRUE(ignoring.wants_grid());
  EXPECT_FALSE(ignoring.blocks[1].reads);
}

TEST(Reflection, AlignmentIsWhatElementsNeed) {  // row I1
  const ShaderReflection reflection = reflect_glsl(R"(
    #extension GL_EXT_shader_16bit_storage : require
    #extension GL_EXT_shader_8bit_storage : require
    #extension GL_EXT_scalar_block_layout : require
    struct Block { float16_t scale; int8_t quants[32]; };
    layout(std430, binding = 0) buffer A { uint8_t bytes[]; };
    layout(std430, binding = 1) buffer B { float16_t halves[]; };
    layout(scalar, binding = 2) buffer C { Block blocks[]; };
    layout(std430, binding = 3) buffer D { uvec2 pairs[]; };
    layout(scalar, binding = 4) buffer E { vec3 triples[]; };
    layout(std430, binding = 5) buffer F { uint count; uint pad[3]; vec4 rows[]; };
    void main() { }
  )");
  std::vector<std::uint32_t> alignments;
  for (const BlockInfo& block : reflection.blocks) alignments.push_back(block.alignment);
  EXPECT_THAT(alignments, testing::ElementsAre(1, 2, 2, 8, 4, 16));
  EXPECT_EQ(reflection.blocks[5].size_bytes, 16U);
}

TEST(Reflection, InlineBytesHaveTheDeclaredSize) {  // row I5
  const ShaderReflection reflection = reflect_glsl(R"(
    layout(std140, binding = 0) uniform A { uint one; };
    layout(std140, binding = 1) uniform B { float f; uint u; int i; uint v; uint w; };
    layout(std140, binding = 2) uniform C { uint rows[3]; uint last; };
    layout(std140, binding = 3) uniform D { mat4 m; vec3 v3; };
    void main() { }
  )");
  EXPECT_THAT(blocks_of(reflection), testing::ElementsAre("one uniform  4", "f uniform  20",
                                                          "rows uniform  52", "m uniform  76"));
}

TEST(Reflection, GroupSizeComesFromConstants) {  // row I5
  constexpr std::string_view kText = R"(
    layout(local_size_x = 64, local_size_y = 4) in;
    layout(local_size_x_id = 7, local_size_z_id = 9) in;
    void main() { }
  )";
  const ShaderReflection usual = reflect_glsl(kText);
  EXPECT_EQ(usual.group_size, (Extent3{64, 4, 1}));
  EXPECT_EQ(usual.group_size_ids[0], 7U);
  EXPECT_FALSE(usual.group_size_ids[1].has_value());
  EXPECT_EQ(usual.group_size_ids[2], 9U);
  EXPECT_EQ(reflect_glsl(kText, {{7, 128}, {9, 2}}).group_size, (Extent3{128, 4, 2}));
}

TEST(Reflection, SpecConstantsHaveIdNameAndType) {  // row I5
  const Words words = glsl(R"(
    layout(local_size_x_id = 0) in;
    layout(constant_id = 0) const uint threads = 64;
    layout(constant_id = 3) const float scale = 1.5;
    layout(constant_id = 2) const bool causal = true;
    layout(constant_id = 5) const int shift = -1;
    layout(binding = 0) buffer X { float x[]; };
    void main() { if (causal) x[threads] = scale * float(shift); }
  )");
  const Result<Module> module = Module::parse(words);
  ASSERT_TRUE(module.has_value());
  using Type = SpecConstantInfo::Type;
  EXPECT_THAT(spec_constants(*module),
              testing::ElementsAre(SpecConstantInfo{0, "threads", Type::kInteger, 4},
                                   SpecConstantInfo{2, "causal", Type::kBool, 4},
                                   SpecConstantInfo{3, "scale", Type::kFloat, 4},
                                   SpecConstantInfo{5, "shift", Type::kInteger, 4}));
}

TEST(Reflection, CallersSizeGridsByNamedConstants) {  // row I5
  constexpr std::string_view kText = R"(
    layout(local_size_x = 32, local_size_x_id = 0) in;
    layout(constant_id = 1) const uint rows = 4;
    const uint items_per_group = gl_WorkGroupSize.x / 8 * rows;
    layout(constant_id = 2) const uint batch_per_group = 16;
    layout(binding = 0) buffer X { uint x[]; };
    void main() { x[items_per_group] = batch_per_group; }
  )";
  EXPECT_EQ(reflect_glsl(kText).items_per_group, 16U);
  EXPECT_EQ(reflect_glsl(kText).batch_per_group, 16U);
  EXPECT_EQ(reflect_glsl(kText, {{0, 256}, {1, 2}}).items_per_group, 64U);
  EXPECT_EQ(reflect_glsl(kText, {{2, 3}}).batch_per_group, 3U);
  const ShaderReflection silent = reflect_glsl("void main() { }");
  EXPECT_EQ(silent.items_per_group, 1U);
  EXPECT_EQ(silent.batch_per_group, 0U);
}

TEST(Reflection, SharedArraysWithACountAreParameters) {  // rows B2, I5
  constexpr std::string_view kText = R"(
    layout(local_size_x = 8) in;
    layout(constant_id = 4) const uint tile_count = 16;
    layout(constant_id = 5) const uint other = 10;
    layout(binding = 0) buffer X { float x[]; };
    shared vec4 tile[tile_count];
    shared float internal[other * 2 + 1];
    shared uint last;
    void main() {
      tile[0] = vec4(1);
      internal[0] = 2;
      last = 3;
      x[0] = tile[1].x + internal[1] + last;
    }
  )";
  const ShaderReflection reflection = reflect_glsl(kText);
  ASSERT_EQ(reflection.shared.size(), 3U);
  EXPECT_EQ(reflection.shared[0].name, "tile");
  EXPECT_EQ(reflection.shared[0].count_id, 4U);
  EXPECT_EQ(reflection.shared[0].element_bytes, 16U);
  EXPECT_EQ(reflection.shared[0].size_bytes, 256U);
  EXPECT_FALSE(reflection.shared[1].count_id.has_value());
  EXPECT_EQ(reflection.shared[1].size_bytes, 84U);
  EXPECT_EQ(reflection.shared_bytes, 256U + 84U + 4U);
  EXPECT_EQ(reflect_glsl(kText, {{4, 2}, {5, 100}}).shared_bytes, 32U + 804U + 4U);
}

TEST(Reflection, ConstantsAreComputedAsTheSpecificationSays) {  // row I5
  // Each array's length is an operation over n = 13 and m = -3.
  const std::vector<std::pair<std::string, std::uint64_t>> lengths{
      {"n + 2", 15},
      {"n - 4", 9},
      {"n * 3", 39},
      {"n / 4", 3},
      {"n % 4", 1},
      {"n << 2", 52},
      {"n >> 1", 6},
      {"n & 6", 4},
      {"n | 2", 15},
      {"n ^ 1", 12},
      {"uint(-m)", 3},
      {"uint(m * m)", 9},
      {"uint(m / -2)", 1},
      {"n > 12 ? 5 : 6", 5},
      {"n < 12 || m >= 0 ? 5 : 6", 6},
      {"~n & 31", 18},
      {"uint(m >> 1) & 7", 6},
  };
  for (const auto& [expression, length] : lengths) {
    const ShaderReflection reflection = reflect_glsl(
        "layout(constant_id = 0) const uint n = 13; layout(constant_id = 1) const int m = -3;"
        "layout(binding = 0) buffer X { uint x[]; }; shared uint s[" +
        expression + "]; void main() { s[0] = 1; x[0] = s[0]; }");
    EXPECT_EQ(reflection.shared_bytes, 4 * length) << expression;
  }
}

TEST(Reflection, UnnamedCodeStillHasBindings) {  // row I5
  // As spirv-opt --strip-debug leaves it: no names at all.
  const Words words = test::assemble(R"(
    OpCapability Shader
    OpMemoryModel Logical GLSL450
    OpEntryPoint GLCompute %1 "main" %2 %3
    OpExecutionMode %1 LocalSize 8 1 1
    OpDecorate %10 ArrayStride 4
    OpMemberDecorate %11 0 Offset 0
    OpDecorate %11 Block
    OpDecorate %2 DescriptorSet 0
    OpDecorate %2 Binding 0
    OpMemberDecorate %13 0 Offset 0
    OpDecorate %13 Block
    OpDecorate %3 DescriptorSet 0
    OpDecorate %3 Binding 1
    %4 = OpTypeVoid
    %5 = OpTypeFunction %4
    %6 = OpTypeInt 32 0
    %7 = OpConstant %6 0
    %10 = OpTypeRuntimeArray %6
    %11 = OpTypeStruct %10
    %12 = OpTypePointer StorageBuffer %11
    %2 = OpVariable %12 StorageBuffer
    %13 = OpTypeStruct %6
    %14 = OpTypePointer Uniform %13
    %3 = OpVariable %14 Uniform
    %15 = OpTypePointer StorageBuffer %6
    %1 = OpFunction %4 None %5
    %16 = OpLabel
    %17 = OpAccessChain %15 %2 %7 %7
    OpStore %17 %7
    OpReturn
    OpFunctionEnd
  )");
  const Result<ShaderReflection> reflection = test::reflect_words(words);
  ASSERT_TRUE(reflection.has_value()) << reflection.error().message;
  EXPECT_THAT(blocks_of(*reflection),
              testing::ElementsAre("argument0 w 0+", "argument1 uniform  4"));
}

TEST(Reflection, PointersThatAreHandedOnCountAsReadAndWritten) {  // row I1
  // SPIR-V 1.0 as older compilers write it: BufferBlock, no buffers in the interface, and a
  // function that gets pointers to two of three buffers.
  const Words words = test::assemble(R"(
    OpCapability Shader
    OpMemoryModel Logical GLSL450
    OpEntryPoint GLCompute %1 "main"
    OpExecutionMode %1 LocalSize 8 1 1
    OpName %2 "handed"
    OpName %3 "untouched"
    OpName %8 "copied"
    OpDecorate %10 ArrayStride 4
    OpMemberDecorate %11 0 Offset 0
    OpDecorate %11 BufferBlock
    OpDecorate %2 DescriptorSet 0
    OpDecorate %2 Binding 0
    OpDecorate %3 DescriptorSet 0
    OpDecorate %3 Binding 1
    OpDecorate %8 DescriptorSet 0
    OpDecorate %8 Binding 2
    %4 = OpTypeVoid
    %5 = OpTypeFunction %4
    %6 = OpTypeInt 32 0
    %7 = OpConstant %6 0
    %10 = OpTypeRuntimeArray %6
    %11 = OpTypeStruct %10
    %12 = OpTypePointer Uniform %11
    %2 = OpVariable %12 Uniform
    %3 = OpVariable %12 Uniform
    %8 = OpVariable %12 Uniform
    %15 = OpTypePointer Uniform %6
    %20 = OpTypeFunction %4 %15
    %21 = OpFunction %4 None %20
    %22 = OpFunctionParameter %15
    %23 = OpLabel
    OpReturn
    OpFunctionEnd
    %1 = OpFunction %4 None %5
    %16 = OpLabel
    %17 = OpAccessChain %15 %2 %7 %7
    %18 = OpCopyObject %15 %17
    %24 = OpFunctionCall %4 %21 %18
    %25 = OpInBoundsAccessChain %15 %8 %7 %7
    %26 = OpCopyObject %15 %25
    %27 = OpAtomicLoad %6 %26 %7 %7
    OpReturn
    OpFunctionEnd
  )");
  Words old = words;
  old[1] = 0x00010000;
  const Result<ShaderReflection> reflection = test::reflect_words(old);
  ASSERT_TRUE(reflection.has_value()) << reflection.error().message;
  EXPECT_THAT(blocks_of(*reflection),
              testing::ElementsAre("handed rw 0+", "untouched r 0+", "copied r 0+"));
}

TEST(Reflection, LiteralsAreNotTakenForPointers) {  // row I1
  // min() is instruction 38 of its set; the block's pointer has that very number.
  const Words words = test::assemble(R"(
    OpCapability Shader
    %9 = OpExtInstImport "GLSL.std.450"
    OpMemoryModel Logical GLSL450
    OpEntryPoint GLCompute %1 "main" %38
    OpExecutionMode %1 LocalSize 8 1 1
    OpName %38 "params"
    OpMemberDecorate %13 0 Offset 0
    OpDecorate %13 Block
    OpDecorate %38 DescriptorSet 0
    OpDecorate %38 Binding 0
    %4 = OpTypeVoid
    %5 = OpTypeFunction %4
    %6 = OpTypeInt 32 0
    %7 = OpConstant %6 0
    %13 = OpTypeStruct %6
    %14 = OpTypePointer StorageBuffer %13
    %38 = OpVariable %14 StorageBuffer
    %15 = OpTypePointer StorageBuffer %6
    %1 = OpFunction %4 None %5
    %16 = OpLabel
    %17 = OpAccessChain %15 %38 %7
    %18 = OpLoad %6 %17
    %19 = OpExtInst %6 %9 UMin %18 %7
    OpReturn
    OpFunctionEnd
  )");
  const Result<ShaderReflection> reflection = test::reflect_words(words);
  ASSERT_TRUE(reflection.has_value()) << reflection.error().message;
  EXPECT_THAT(blocks_of(*reflection), testing::ElementsAre("params r 4"));
}

TEST(Reflection, EachEntryPointHasItsOwnArguments) {  // row I3
  const Words words = test::assemble(R"(
    OpCapability Shader
    OpMemoryModel Logical GLSL450
    OpEntryPoint GLCompute %1 "reader" %2
    OpEntryPoint GLCompute %9 "writer" %2
    OpExecutionMode %1 LocalSize 8 1 1
    OpExecutionMode %9 LocalSize 16 1 1
    OpName %2 "x"
    OpMemberDecorate %13 0 Offset 0
    OpDecorate %13 Block
    OpDecorate %2 DescriptorSet 0
    OpDecorate %2 Binding 0
    %4 = OpTypeVoid
    %5 = OpTypeFunction %4
    %6 = OpTypeInt 32 0
    %7 = OpConstant %6 0
    %13 = OpTypeStruct %6
    %14 = OpTypePointer StorageBuffer %13
    %2 = OpVariable %14 StorageBuffer
    %15 = OpTypePointer StorageBuffer %6
    %1 = OpFunction %4 None %5
    %16 = OpLabel
    %17 = OpAccessChain %15 %2 %7
    %18 = OpLoad %6 %17
    OpReturn
    OpFunctionEnd
    %9 = OpFunction %4 None %5
    %19 = OpLabel
    %20 = OpAccessChain %15 %2 %7
    OpStore %20 %7
    OpReturn
    OpFunctionEnd
  )");
  const auto reader = test::reflect_words(words, {}, "reader");
  const auto writer = test::reflect_words(words, {}, "writer");
  ASSERT_TRUE(reader.has_value() && writer.has_value());
  EXPECT_THAT(blocks_of(*reader), testing::ElementsAre("x r 4"));
  EXPECT_THAT(blocks_of(*writer), testing::ElementsAre("x w 4"));
  EXPECT_EQ(reader->group_size.x, 8U);
  EXPECT_EQ(writer->group_size.x, 16U);
}

}  // namespace
}  // namespace segue::spirv
