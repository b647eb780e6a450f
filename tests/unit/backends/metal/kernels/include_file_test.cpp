// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/translator/include_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace segue::metal::translator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(ReadWords, TakesWhatGlslangWrites) {
  const auto words = read_words(
      "\t// 1011.3.0\n\t #pragma once\nconst uint32_t segue_spirv_x[] = {\n"
      "\t0x07230203,0x00010600,\n\t12, 0xffffffff\n};\n");
  ASSERT_TRUE(words.has_value());
  EXPECT_THAT(*words, ElementsAre(0x07230203, 0x00010600, 12, 0xFFFFFFFF));
}

TEST(ReadWords, NeedsAnArrayOfWords) {
  EXPECT_EQ(read_words("0x07230203").error().message, "The file has no array of words.");
  EXPECT_EQ(read_words("} {").error().message, "The file has no array of words.");
  EXPECT_EQ(read_words("{1, 0x123456789}").error().message,
            "\"0x123456789\" is no number of 32 bits.");
  EXPECT_EQ(read_words("{1, two}").error().message, "\"two\" is no number of 32 bits.");
}

TEST(IncludeFile, DefinesWhatTheTableLists) {
  Translation translation;
  translation.name = "scale";
  translation.text = "kernel void segue_scale() {}\n";
  translation.entry_point = "segue_scale";
  translation.signature.group_size = {64, 2, 1};
  translation.signature.parameters = {
      {"x", ParameterKind::kBuffer, Access::kRead, true, 0, 16, SharedSizing::kFixed}};
  translation.view_sizes_index = 1;
  translation.frozen = {{"rows", 3, Constant::Type::kInt, 7}};
  const std::string text = include_file(translation);
  EXPECT_THAT(text, HasSubstr("constexpr BuiltinMsl segue_msl_scale{"));
  EXPECT_THAT(text, HasSubstr(".text = R\"msl(kernel void segue_scale() {}\n)msl\""));
  EXPECT_THAT(text, HasSubstr("{\"x\", ParameterKind::kBuffer, Access::kRead, true, 0U, 16U, "
                              "SharedSizing::kFixed},"));
  EXPECT_THAT(text, HasSubstr(".group_size = {64U, 2U, 1U},"));
  EXPECT_THAT(text, HasSubstr(".grid_index = -1,"));
  EXPECT_THAT(text, HasSubstr(".view_sizes_index = 1,"));
  EXPECT_THAT(text, HasSubstr("{\"rows\", 3U, BuiltinMslConstant::Type::kInt, 7U},"));
  // There are no arrays without elements.
  EXPECT_THAT(text, HasSubstr(".function_constants = {},"));
  EXPECT_THAT(text, Not(HasSubstr("segue_msl_scale_function_constants")));
}

}  // namespace
}  // namespace segue::metal::translator
