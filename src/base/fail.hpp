// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <expected>
#include <utility>

#include "segue/error.hpp"

namespace segue::base {

/// Builds the error branch of a Result: `return fail(ErrorCode::kBusy, "Buffer \"{}\" is …",
/// name);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...), {}, {}, {}});
}

}  // namespace segue::base
