// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backends/metal/kernels/translator/msl.hpp"
#include "segue/error.hpp"

namespace segue::metal::translator {

/// The words of an array in C++ as glslang writes it.
///
/// @error kCorruptData  There is no array, or something in it is no number of 32 bits.
[[nodiscard]] Result<std::vector<std::uint32_t>> read_words(std::string_view text);

/// C++ that defines a BuiltinMsl of the name `segue_msl_<name>`.
[[nodiscard]] std::string include_file(const Translation& translation);

}  // namespace segue::metal::translator
