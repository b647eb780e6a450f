// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "backends/vulkan/glsl_compiler.hpp"
#include "backends/vulkan/spirv_validator.hpp"

namespace segue::vulkan {
namespace {

constexpr std::uint32_t kMagic = 0x07230203;
constexpr std::uint32_t kVersion16 = 0x00010600;

std::string log_of(const std::string& text) {
  const auto words = compile_glsl(text);
  if (words) return "(no error)";
  EXPECT_EQ(words.error().code, ErrorCode::kCompileFailed);
  return words.error().message;
}

TEST(GlslCompiler, MakesValidSpirv) {  // row I3
  const auto words = compile_glsl(R"(#version 460
    #extension GL_EXT_shader_16bit_storage : require
    #extension GL_KHR_shader_subgroup_arithmetic : require
    layout(local_size_x_id = 0) in;
    layout(binding = 0) buffer X { float16_t x[]; };
    void main() { x[0] = float16_t(subgroupAdd(float(x[1]))); })");
  ASSERT_TRUE(words.has_value()) << words.error().message;
  EXPECT_EQ(words->at(0), kMagic);
  EXPECT_EQ(words->at(1), kVersion16);
  const Result<> valid = validate_spirv(*words);
  EXPECT_TRUE(valid.has_value()) << valid.error().message;
}

TEST(GlslCompiler, ErrorsCarryTheLog) {  // row I4
  EXPECT_THAT(log_of("#version 460\nvoid main() {\n  nothing = 1;\n}\n"),
              testing::AllOf(testing::HasSubstr("'nothing' : undeclared identifier"),
                             testing::HasSubstr(":3:")));
  EXPECT_THAT(log_of("#version 460\n#error stop here\nvoid main() { }\n"),
              testing::HasSubstr("stop here"));
  EXPECT_THAT(log_of("#version 460\nvoid run() { }\n"), testing::HasSubstr("Missing entry point"));
  EXPECT_NE(log_of(""), "(no error)");
}

TEST(GlslCompiler, AKernelIsOneText) {  // row I4
  EXPECT_THAT(log_of("#version 460\n#extension GL_GOOGLE_include_directive : require\n"
                     "#include \"/etc/passwd\"\nvoid main() { }\n"),
              testing::HasSubstr("/etc/passwd"));
}

TEST(GlslCompiler, WorksOnSeveralThreadsAtOnce) {  // row I2
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      for (int i = 0; i < 5; ++i) {
        const std::string value = std::to_string(thread * 10 + i);
        const bool right = compile_glsl(
                               "#version 460\nlayout(binding = 0) buffer X { uint x; };"
                               "void main() { x = " +
                               value + "; }")
                               .has_value();
        EXPECT_TRUE(right);
        EXPECT_THAT(log_of("#version 460\nvoid main() { y" + value + " = 1; }"),
                    testing::HasSubstr("'y" + value + "'"));
      }
    });
  }
}

TEST(SpirvValidator, SaysWhatIsWrong) {  // row I4
  auto words = compile_glsl(
      "#version 460\nlayout(binding = 0) buffer X { uint x; };"
      "void main() { x = 1; }");
  ASSERT_TRUE(words.has_value());
  words->pop_back();
  const Result<> result = validate_spirv(*words);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kCompileFailed);
  EXPECT_THAT(result.error().message, testing::HasSubstr("The SPIR-V validator says:\n"));
  EXPECT_GT(result.error().message.size(), 40U);
}

}  // namespace
}  // namespace segue::vulkan
