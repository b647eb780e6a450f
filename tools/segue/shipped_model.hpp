// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "segue/error.hpp"

namespace segue::tool {

/// The model that ships with Segue: in the source tree that the tool was built in, or where it was
/// installed.
///
/// @error kNotFound  It is in neither.
[[nodiscard]] Result<std::string> find_shipped_model();

}  // namespace segue::tool
