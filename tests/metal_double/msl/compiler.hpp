// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace metal_double::msl {

/// The shared library made from `source`, which a cache on disk may have already.
///
/// @error The compiler's log.
std::expected<std::filesystem::path, std::string> compile_to_library(
    std::string_view source, const std::map<std::string, std::string>& macros);

}  // namespace metal_double::msl
