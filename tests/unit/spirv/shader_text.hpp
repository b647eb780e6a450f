// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spirv/reflection.hpp"

/// Code for tests of what reads it.
namespace segue::spirv::test {

using Words = std::vector<std::uint32_t>;

/// SPIR-V of a GLSL compute shader, whose version line is put before `text`.
[[nodiscard]] Words glsl(std::string_view text);
/// SPIR-V from assembly, for what GLSL cannot say; need not be valid.
[[nodiscard]] Words assemble(const std::string& text);

[[nodiscard]] Result<ShaderReflection> reflect_words(std::span<const std::uint32_t> words,
                                                     const Specialisation& specialisation = {},
                                                     std::string_view entry_point = "main");
/// Of GLSL text that is expected to be right.
[[nodiscard]] ShaderReflection reflect_glsl(std::string_view text,
                                            const Specialisation& specialisation = {});
/// What reflection says about GLSL text that the ABI does not allow.
[[nodiscard]] std::string refusal_of(std::string_view text);

}  // namespace segue::spirv::test
