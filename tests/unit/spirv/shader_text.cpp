// SPDX-License-Identifier: Apache-2.0
#include "unit/spirv/shader_text.hpp"

#include <gtest/gtest.h>
#include <spirv-tools/libspirv.hpp>

#include "backends/vulkan/glsl_compiler.hpp"

namespace segue::spirv::test {

Words glsl(std::string_view text) {
  Result<Words> words = vulkan::compile_glsl("#version 460\n" + std::string(text));
  if (!words) ADD_FAILURE() << words.error().message << "\n" << text;
  return words ? *std::move(words) : Words();
}

Words assemble(const std::string& text) {
  spvtools::SpirvTools tools(SPV_ENV_VULKAN_1_3);
  std::string log;
  tools.SetMessageConsumer([&log](spv_message_level_t, const char*, const spv_position_t& position,
                                  const char* message) {
    log += std::to_string(position.line + 1) + ": " + message + "\n";
  });
  Words words;
  if (!tools.Assemble(text, &words, SPV_TEXT_TO_BINARY_OPTION_PRESERVE_NUMERIC_IDS))
    ADD_FAILURE() << log;
  return words;
}

Result<ShaderReflection> reflect_words(std::span<const std::uint32_t> words,
                                       const Specialisation& specialisation,
                                       std::string_view entry_point) {
  SEGUE_TRY_ASSIGN(const Module module, Module::parse(words));
  return reflect(module, entry_point, specialisation);
}

ShaderReflection reflect_glsl(std::string_view text, const Specialisation& specialisation) {
  Result<ShaderReflection> reflection = reflect_words(glsl(text), specialisation);
  if (!reflection) ADD_FAILURE() << reflection.error().message << "\n" << text;
  return reflection ? *std::move(reflection) : ShaderReflection();
}

std::string refusal_of(std::string_view text) {
  const Result<ShaderReflection> reflection = reflect_words(glsl(text));
  if (reflection) return "(no error)";
  EXPECT_EQ(reflection.error().code, ErrorCode::kCompileFailed);
  return reflection.error().message;
}

}  // namespace segue::spirv::test
