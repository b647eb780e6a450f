// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace metal_double::msl {

/// Writes preprocessed Metal Shading Language as C++ for the headers in include/: the same text,
/// line for line, with the kernel functions and constants changed so that they can be run, and a
/// table of them at the end.
///
/// @error Something that cannot be translated, with its name.
std::expected<std::string, std::string> translate(std::string_view preprocessed);

}  // namespace metal_double::msl
