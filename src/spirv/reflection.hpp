// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/error.hpp"
#include "segue/grid.hpp"
#include "spirv/module.hpp"
#include "spirv/values.hpp"

namespace segue::spirv {

/// A constant that can be given when a pipeline is made.
struct SpecConstantInfo {
  enum class Type : std::uint8_t { kBool, kInteger, kFloat };
  std::uint32_t id = 0;  ///< SpecId.
  std::string name;
  Type type = Type::kInteger;
  std::uint32_t size_bytes = 4;

  friend bool operator==(const SpecConstantInfo&, const SpecConstantInfo&) = default;
};

/// What is bound at one binding of set 0: a storage buffer, or a uniform one.
struct BlockInfo {
  std::uint32_t binding = 0;
  std::string name;  ///< Of the instance, or of its first member, or "argument<binding>".
  bool uniform = false;
  bool grid = false;             ///< It is segue_Grid, which is no argument.
  bool unsized = false;          ///< It ends in a runtime array.
  std::uint32_t size_bytes = 0;  ///< Of what is declared before the runtime array.
  std::uint32_t alignment = 1;   ///< Of its address, in bytes.
  bool reads = false;            ///< A storage buffer's content, as decorated or as the code does.
  bool writes = false;
};

/// A variable of the Workgroup storage class.
struct SharedInfo {
  std::string name;
  std::uint64_t size_bytes = 0;
  /// Of an array whose length is the specialisation constant `<name>_count`.
  std::optional<std::uint32_t> count_id;
  std::uint32_t element_bytes = 0;  ///< With count_id: of one element.
};

/// What SPIR-V says about one of its entry points, under one specialisation.
struct ShaderReflection {
  std::vector<BlockInfo> blocks;  ///< By binding, from 0 without a hole.
  std::vector<SharedInfo> shared;
  std::uint64_t shared_bytes = 0;  ///< Of all together.
  Extent3 group_size;
  std::array<std::optional<std::uint32_t>, 3> group_size_ids;  ///< SpecIds that set it.
  std::uint32_t items_per_group = 1;                           ///< From the constant of that name.
  std::uint32_t batch_per_group = 0;

  [[nodiscard]] bool wants_grid() const { return !blocks.empty() && blocks.back().grid; }
};

/// Specialisation constants by id, each once.
[[nodiscard]] std::vector<SpecConstantInfo> spec_constants(const Module& module);

/// @error kCompileFailed  The module has no such compute entry point, or uses what the kernel ABI
///                        has no place for (docs/kernel-abi.md), which the message names.
[[nodiscard]] Result<ShaderReflection> reflect(const Module& module, std::string_view entry_point,
                                               const Specialisation& specialisation);

}  // namespace segue::spirv
