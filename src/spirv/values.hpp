// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>

#include "spirv/module.hpp"

namespace segue::spirv {

/// Bits that specialisation gives to constants, by SpecId.
using Specialisation = std::map<std::uint32_t, std::uint32_t>;

/// How a type lies in memory: by its decorations where it has such, else by the rules of std430.
struct TypeLayout {
  std::uint64_t size_bytes = 0;  ///< Without the elements of a runtime array.
  std::uint32_t alignment = 1;   ///< In bytes; never more than its offsets and strides allow.
  bool unsized = false;          ///< Ends in a runtime array.
};

/// The constants of a module under one specialisation, and the types that depend on them.
class Values {
 public:
  Values(const Module& module, const Specialisation& specialisation);

  /// The bits of an integer or Boolean constant; none if it is no such or not computed from such.
  [[nodiscard]] std::optional<std::uint64_t> constant(std::uint32_t id) const;
  /// None for types that have no size, or more than 2^40 bytes.
  [[nodiscard]] std::optional<TypeLayout> layout(std::uint32_t type) const;

 private:
  void add_constant(const Instruction& declaration, const Specialisation& specialisation);
  void add_type(const Instruction& declaration);
  [[nodiscard]] std::optional<std::uint64_t> compute(const Instruction& operation) const;
  [[nodiscard]] std::optional<std::uint64_t> extract(const Instruction& operation) const;
  [[nodiscard]] std::optional<TypeLayout> layout_of(const Instruction& declaration) const;
  [[nodiscard]] std::optional<TypeLayout> layout_of_array(const Instruction& declaration) const;
  [[nodiscard]] std::optional<TypeLayout> layout_of_struct(const Instruction& declaration) const;

  const Module& module_;
  std::unordered_map<std::uint32_t, std::uint64_t> constants_;
  std::unordered_map<std::uint32_t, TypeLayout> layouts_;
};

}  // namespace segue::spirv
