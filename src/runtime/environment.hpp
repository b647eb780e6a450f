// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "segue/error.hpp"

namespace segue::runtime {

/// SEGUE_DEVICE, or "auto" if it is not set: auto, host, metal, vulkan or cuda, the last two also
/// with ":n" for the n-th such device. Only the form is checked: whether there is such a device,
/// opening it tells.
///
/// @error kInvalidArgument  The variable has another form.
[[nodiscard]] Result<std::string> device_spec_from_environment();

/// Where files of this user go that can be made again: $XDG_CACHE_HOME/segue or ~/.cache/segue;
/// empty if the system does not say.
[[nodiscard]] std::string user_cache_directory();

/// Whether `spec` has that form.
[[nodiscard]] bool is_device_spec(std::string_view spec);

}  // namespace segue::runtime
