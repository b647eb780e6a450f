// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>

#include "spirv/module.hpp"

namespace segue::spirv {

/// What code does to the memory behind a variable.
struct VariableAccess {
  bool reads = false;
  bool writes = false;
  bool escapes = false;  ///< A pointer to it goes where the code is not followed.
};

/// What an entry point and the functions that it calls do to each global variable, by id. Follows
/// access chains and copies of pointers; asking for an array's length is no access.
[[nodiscard]] std::map<std::uint32_t, VariableAccess> find_accesses(const Module& module,
                                                                    std::uint32_t function);

}  // namespace segue::spirv
