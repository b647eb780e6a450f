// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/glsl_compiler.hpp"

#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>

#include <memory>
#include <mutex>
#include <string_view>

#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

using Shader = std::unique_ptr<glslang_shader_t, decltype(&glslang_shader_delete)>;
using Program = std::unique_ptr<glslang_program_t, decltype(&glslang_program_delete)>;

constexpr int kMessages = GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT;

glslang_input_t input_of(const std::string& text) {
  glslang_input_t input{};
  input.language = GLSLANG_SOURCE_GLSL;
  input.stage = GLSLANG_STAGE_COMPUTE;
  input.client = GLSLANG_CLIENT_VULKAN;
  input.client_version = GLSLANG_TARGET_VULKAN_1_3;
  input.target_language = GLSLANG_TARGET_SPV;
  input.target_language_version = GLSLANG_TARGET_SPV_1_6;
  input.code = text.c_str();
  input.default_version = 460;
  input.default_profile = GLSLANG_NO_PROFILE;
  input.messages = static_cast<glslang_messages_t>(kMessages);
  input.resource = glslang_default_resource();
  return input;
}

std::unexpected<Error> refuse(const char* log) {
  std::string_view text = log != nullptr ? log : "";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return base::fail(ErrorCode::kCompileFailed, "The GLSL compiler says:\n{}",
                    text.empty() ? "(nothing)" : text);
}

}  // namespace

Result<std::vector<std::uint32_t>> compile_glsl(const std::string& text) {
  // One compilation at a time: a few milliseconds each, and glslang shares tables between threads.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  static const bool kReady = glslang_initialize_process() != 0;
  if (!kReady) return base::fail(ErrorCode::kBackend, "The GLSL compiler does not start.");

  const glslang_input_t input = input_of(text);
  const Shader shader(glslang_shader_create(&input), &glslang_shader_delete);
  if (!shader) return refuse(nullptr);
  if (glslang_shader_preprocess(shader.get(), &input) == 0 ||
      glslang_shader_parse(shader.get(), &input) == 0) {
    return refuse(glslang_shader_get_info_log(shader.get()));
  }
  const Program program(glslang_program_create(), &glslang_program_delete);
  glslang_program_add_shader(program.get(), shader.get());
  if (glslang_program_link(program.get(), kMessages) == 0)
    return refuse(glslang_program_get_info_log(program.get()));
  glslang_program_SPIRV_generate(program.get(), GLSLANG_STAGE_COMPUTE);
  std::vector<std::uint32_t> words(glslang_program_SPIRV_get_size(program.get()));
  if (words.empty()) return refuse(glslang_program_SPIRV_get_messages(program.get()));
  glslang_program_SPIRV_get(program.get(), words.data());
  return words;
}

}  // namespace segue::vulkan
