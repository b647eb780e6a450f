// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "segue/error.hpp"
#include "spirv/values.hpp"

namespace segue::metal::translator {

/// A specialisation constant of 32 bits or a Boolean.
struct Constant {
  enum class Type : std::uint8_t { kBool, kInt, kUint, kFloat };
  std::string name;
  std::uint32_t id = 0;  ///< SpecId.
  Type type = Type::kUint;
  std::uint32_t value = 0;  ///< Its bits.

  friend bool operator==(const Constant&, const Constant&) = default;
};

/// SPIR-V that a translation to MSL keeps the meaning of.
struct Prepared {
  std::vector<std::uint32_t> words;
  std::vector<Constant> frozen;     ///< Constants that `words` no longer has, by id.
  std::vector<Constant> remaining;  ///< Those that it has, with their defaults, by id.
};

/// Threads of a SIMD group on every GPU that the kernels are translated for.
inline constexpr std::uint32_t kSimdWidth = 32;

/// Values of constants that are not their defaults.
[[nodiscard]] spirv::Specialisation metal_constants(const spirv::Module& module);

/// Rewrites what MSL has no place for or what SPIRV-Cross would translate to something else:
///
/// - Constants that decide the length of an array, the group size, items_per_group or
///   batch_per_group become what they are: MSL has no arrays of a length that a function constant
///   sets, and the signature states the others. segue_subgroup_size is kSimdWidth.
/// - FMin, FMax and FClamp become NMin, NMax and NClamp. The former would become fast::min() and so
///   on, which may assume that no operand is infinite.
/// - NoContraction goes: SPIRV-Cross would make functions of its own of `a + b` and `a * b` that
///   are never inlined and lose the sign of a zero. The text forbids contraction as a whole.
/// - Names that are words of MSL go.
///
/// @error kCompileFailed  It is no SPIR-V, or a constant cannot be frozen, which the message names.
[[nodiscard]] Result<Prepared> prepare(std::span<const std::uint32_t> words);

}  // namespace segue::metal::translator
