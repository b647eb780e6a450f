// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "metal_double/msl/declarations.hpp"

namespace metal_double::msl {

enum class ParameterKind : std::uint8_t { kBuffer, kThreadgroup, kBuiltin };

struct KernelParameter {
  ParameterKind kind = ParameterKind::kBuiltin;
  std::string name;
  std::string builtin;  // such as thread_position_in_grid
  std::string index;    // text, of buffers and threadgroup arguments
};

struct Kernel {
  std::string scope;
  std::string name;
  std::vector<KernelParameter> parameters;
  std::string max_total_threads;  // text, empty if there is none
  TokenRange whole;
};

/// Finds the kernel functions. Makes places in the group's memory of their threadgroup variables,
/// and gives each function one more parameter, which says where this memory is.
std::expected<std::vector<Kernel>, std::string> translate_kernels(
    Tokens& tokens, const std::vector<FunctionDeclaration>& functions);

/// Erases functions that differ from an earlier one in the address spaces of their parameters, or
/// of the object that they are called on, and in nothing else.
void erase_address_space_overloads(Tokens& tokens,
                                   const std::vector<FunctionDeclaration>& functions);

}  // namespace metal_double::msl
