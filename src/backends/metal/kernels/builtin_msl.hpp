// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "segue/access.hpp"
#include "segue/grid.hpp"
#include "segue/kernel.hpp"

namespace segue::metal {

/// A parameter of a kernel, as segue::Parameter has it. Argument i is [[buffer(i)]].
struct BuiltinMslParameter {
  std::string_view name;
  ParameterKind kind = ParameterKind::kBuffer;
  Access access = Access::kReadWrite;
  bool access_known = true;
  std::uint32_t size_bytes = 0;
  std::uint32_t alignment = 1;
  SharedSizing sizing = SharedSizing::kFixed;
};

/// A specialisation constant of the code that the text was translated from.
struct BuiltinMslConstant {
  enum class Type : std::uint8_t { kBool, kInt, kUint, kFloat };
  std::string_view name;
  std::uint32_t id = 0;  ///< Of a function constant: its [[function_constant(id)]].
  Type type = Type::kUint;
  std::uint32_t value = 0;  ///< Its bits; of a function constant: its default.
};

/// A kernel in the Metal shading language, translated when the library was built. Everything that
/// it points to is constant and lives as long as the program.
struct BuiltinMsl {
  std::string_view name;
  std::string_view text;
  std::string_view entry_point;

  /// In argument order, as segue::Signature has them.
  std::span<const BuiltinMslParameter> parameters;
  Extent3 group_size;
  bool guards_ragged_edges = false;
  bool fixed_group_size = false;
  std::uint32_t items_per_group = 1;
  std::uint32_t batch_per_group = 0;

  /// [[buffer(n)]] of the exact thread count, three words; -1: the kernel takes none.
  int grid_index = -1;
  std::uint32_t grid_size_bytes = 0;  ///< What must be bound there, at least.
  /// [[buffer(n)]] of the sizes of views; -1: the kernel takes none.
  int view_sizes_index = -1;
  /// How many words must be bound there: word i is the size in bytes of the view at [[buffer(i)]].
  std::uint32_t view_sizes_count = 0;
  /// Threadgroup memory that the text declares.
  std::uint32_t shared_bytes = 0;

  /// Constants whose values the text has; another value takes another translation.
  std::span<const BuiltinMslConstant> frozen;
  /// Constants that a pipeline may still be given.
  std::span<const BuiltinMslConstant> function_constants;
};

/// Those of src/ops, in the order in which their lists name them.
[[nodiscard]] std::span<const BuiltinMsl> builtin_msl();

/// Those that the backend dispatches on its own account.
[[nodiscard]] std::span<const BuiltinMsl> internal_msl();

}  // namespace segue::metal
