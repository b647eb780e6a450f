// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/translator/prepare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <spirv/unified1/GLSL.std.450.h>
#include <spirv/unified1/spirv.hpp>

#include "backends/vulkan/spirv_validator.hpp"
#include "spirv/reflection.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::metal::translator {
namespace {

using spirv::test::glsl;
using spirv::test::Words;
using testing::ElementsAre;
using testing::HasSubstr;
using Type = Constant::Type;

/// Of code that is expected to be right; what comes of it is valid.
Prepared prepared(const Words& words) {
  Result<Prepared> result = prepare(words);
  if (!result) {
    ADD_FAILURE() << result.error().message;
    return {};
  }
  const Result<> valid = vulkan::validate_spirv(result->words);
  EXPECT_TRUE(valid.has_value()) << valid.error().message;
  return *std::move(result);
}

std::string refusal_of(const Words& words) {
  const Result<Prepared> result = prepare(words);
  return result ? "(no error)" : result.error().message;
}

std::size_t count(std::span<const std::uint32_t> words, std::uint32_t opcode, std::size_t operand,
                  std::uint32_t value) {
  std::size_t found = 0;
  for (std::size_t at = 5; at < words.size(); at += words[at] >> spv::WordCountShift) {
    if ((words[at] & spv::OpCodeMask) == opcode && words[at + 1 + operand] == value) ++found;
  }
  return found;
}

constexpr std::string_view kConstants = R"(
layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 64;
layout(constant_id = 1) const uint rows = 4;
layout(constant_id = 2) const bool causal = true;
layout(constant_id = 3) const float scale = 0.5;
layout(constant_id = 4) const int offset = -3;
layout(constant_id = 5) const uint segue_subgroup_size = 8;
layout(constant_id = 6) const uint lanes = 16;
const uint items_per_group = local_size / lanes;
const uint twice = uint(offset) * rows;
shared float part[rows * 2];
layout(binding = 0) buffer X { float x[]; };
void main() {
  part[0] = x[0];
  barrier();
  if (causal) x[1] = scale * part[0] + float(twice) + float(segue_subgroup_size + items_per_group);
})";

TEST(Prepare, ConstantsThatDecideASizeAreFrozen) {
  const Prepared result = prepared(glsl(kConstants));
  EXPECT_THAT(
      result.frozen,
      ElementsAre(Constant{"local_size", 0, Type::kUint, 64}, Constant{"rows", 1, Type::kUint, 4},
                  Constant{"segue_subgroup_size", 5, Type::kUint, kSimdWidth},
                  Constant{"lanes", 6, Type::kUint, 16}));
  EXPECT_THAT(result.remaining, ElementsAre(Constant{"causal", 2, Type::kBool, 1},
                                            Constant{"scale", 3, Type::kFloat, 0x3F000000},
                                            Constant{"offset", 4, Type::kInt, 0xFFFFFFFD}));
}

TEST(Prepare, TheCodeKeepsWhatRemains) {
  const Prepared result = prepared(glsl(kConstants));
  const auto module = spirv::Module::parse(result.words);
  ASSERT_TRUE(module.has_value());
  std::vector<std::uint32_t> ids;
  for (const auto& constant : spirv::spec_constants(*module)) ids.push_back(constant.id);
  EXPECT_THAT(ids, ElementsAre(2, 3, 4));
  // Values given to what is frozen change nothing.
  const auto reflection = spirv::test::reflect_words(result.words, {{0, 128}, {1, 8}, {6, 1}});
  ASSERT_TRUE(reflection.has_value());
  EXPECT_EQ(reflection->group_size.x, 64);
  EXPECT_EQ(reflection->shared_bytes, 32);
  EXPECT_EQ(reflection->items_per_group, 4);
}

TEST(Prepare, CodeWithoutSuchConstantsStaysAsItIs) {
  const Words words = glsl(
      "layout(constant_id = 1) const uint n = 4; layout(binding = 0) buffer X { uint x[]; };"
      "void main() { x[0] = min(n, x[1]); }");
  EXPECT_EQ(prepared(words).words, words);
}

TEST(Prepare, NoContractionGoes) {
  const Words words = glsl(
      "layout(binding = 0) buffer X { float x[]; };"
      "void main() { precise float y = x[0] * x[1] + x[2]; x[3] = y; }");
  EXPECT_EQ(count(words, spv::OpDecorate, 1, spv::DecorationNoContraction), 2);
  EXPECT_EQ(count(prepared(words).words, spv::OpDecorate, 1, spv::DecorationNoContraction), 0);
}

TEST(Prepare, LimitsOfFloatsKnowInfinity) {
  const Words words = glsl(
      "layout(binding = 0) buffer X { float x[]; };"
      "void main() { x[0] = max(x[1], min(x[2], clamp(x[3], x[4], x[5]))) + sqrt(x[6]); }");
  const Words result = prepared(words).words;
  for (const auto function : {GLSLstd450FMin, GLSLstd450FMax, GLSLstd450FClamp}) {
    EXPECT_EQ(count(words, spv::OpExtInst, 3, function), 1);
    EXPECT_EQ(count(result, spv::OpExtInst, 3, function), 0);
  }
  for (const auto function : {GLSLstd450NMin, GLSLstd450NMax, GLSLstd450NClamp, GLSLstd450Sqrt})
    EXPECT_EQ(count(result, spv::OpExtInst, 3, function), 1);
}

TEST(Prepare, WhatIsNoSpirvIsRefused) {
  EXPECT_THAT(refusal_of({1, 2, 3}), HasSubstr("The code has 3 words"));
}

TEST(Prepare, ConstantsOfOtherSizesAreRefused) {
  EXPECT_EQ(refusal_of(glsl("#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require\n"
                            "layout(constant_id = 7) const uint64_t many = 1;"
                            "layout(binding = 0) buffer X { uint x[]; };"
                            "void main() { x[0] = uint(many); }")),
            "Specialisation constant 7 (\"many\") has 64 bits; 32 are allowed.");
}

}  // namespace
}  // namespace segue::metal::translator
