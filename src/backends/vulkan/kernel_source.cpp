// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "backends/vulkan/vulkan_kernel.hpp"
#include "segue/vulkan.hpp"

namespace segue::vulkan {
namespace {

KernelSource make_source(std::string name, std::string entry_point, ShaderCode code) {
  KernelSource source;
  source.name = std::move(name);
  source.backend = "vulkan";
  source.entry_point = std::move(entry_point);
  source.native = std::make_shared<const ShaderCode>(std::move(code));
  return source;
}

ShaderCode copy_words(std::span<const std::uint32_t> words) {
  ShaderCode code;
  code.owned.assign(words.begin(), words.end());
  code.words = code.owned;  // moving a vector keeps its elements where they are
  return code;
}

}  // namespace

KernelSource spirv_kernel(std::string name, std::span<const std::uint32_t> words,
                          std::string entry_point) {
  return make_source(std::move(name), std::move(entry_point), copy_words(words));
}

KernelSource spirv_kernel(std::string name, Signature signature,
                          std::span<const std::uint32_t> words, std::string entry_point) {
  ShaderCode code = copy_words(words);
  code.declared = true;
  KernelSource source = make_source(std::move(name), std::move(entry_point), std::move(code));
  source.signature = std::move(signature);
  return source;
}

KernelSource glsl_kernel(std::string name, std::string text) {
  ShaderCode code;
  code.glsl = true;
  KernelSource source = make_source(std::move(name), "main", std::move(code));
  source.text = std::move(text);
  return source;
}

KernelSource glsl_kernel(std::string name, Signature signature, std::string text) {
  ShaderCode code;
  code.glsl = true;
  code.declared = true;
  KernelSource source = make_source(std::move(name), "main", std::move(code));
  source.text = std::move(text);
  source.signature = std::move(signature);
  return source;
}

}  // namespace segue::vulkan
