// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "segue/error.hpp"

namespace segue::spirv {

/// One SPIR-V instruction. An operand that is missing reads as 0, which is no id.
struct Instruction {
  std::uint32_t opcode = 0;
  std::span<const std::uint32_t> operands;  ///< The words after the first.

  [[nodiscard]] std::uint32_t operand(std::size_t i) const {
    return i < operands.size() ? operands[i] : 0;
  }
};

/// A SPIR-V module taken apart into instructions, with tables of what defines, names and decorates
/// each id. It trusts nothing: whatever the words are, lookups stay inside them, and an id without
/// definition gives an instruction without opcode.
///
/// Source: SPIR-V specification 1.6, sections 2.3 (physical layout) and 2.4 (logical layout).
class Module {
 public:
  struct EntryPoint {
    std::string_view name;
    std::uint32_t model = 0;  ///< spv::ExecutionModel.
    std::uint32_t function = 0;
    std::span<const std::uint32_t> interface;  ///< Ids of global variables.
  };

  /// @param words  Must outlive the module.
  /// @error kCompileFailed  They are no SPIR-V of a version that Vulkan 1.3 takes.
  [[nodiscard]] static Result<Module> parse(std::span<const std::uint32_t> words);

  [[nodiscard]] std::uint32_t version() const { return version_; }  ///< Such as 0x00010600.
  [[nodiscard]] std::span<const std::uint32_t> capabilities() const { return capabilities_; }
  [[nodiscard]] std::span<const EntryPoint> entry_points() const { return entry_points_; }
  /// OpExecutionMode and OpExecutionModeId.
  [[nodiscard]] std::span<const Instruction> execution_modes() const { return execution_modes_; }
  /// Types, constants and global variables, each after what it is made of.
  [[nodiscard]] std::span<const Instruction> declarations() const { return declarations_; }
  /// From OpFunction to OpFunctionEnd; empty if the id is no function.
  [[nodiscard]] std::span<const Instruction> function(std::uint32_t id) const;

  /// The type, constant or global variable of that id.
  [[nodiscard]] Instruction definition(std::uint32_t id) const;
  [[nodiscard]] std::string_view name(std::uint32_t id) const { return member_name(id, kWhole); }
  [[nodiscard]] std::string_view member_name(std::uint32_t id, std::uint32_t member) const;
  /// The first literal of a decoration, 0 if it has none.
  [[nodiscard]] std::optional<std::uint32_t> decoration(std::uint32_t id,
                                                        std::uint32_t kind) const {
    return member_decoration(id, kWhole, kind);
  }
  [[nodiscard]] std::optional<std::uint32_t> member_decoration(std::uint32_t id,
                                                               std::uint32_t member,
                                                               std::uint32_t kind) const;

 private:
  static constexpr std::uint32_t kWhole = UINT32_MAX;  ///< Instead of a member.

  [[nodiscard]] Result<> read_header(std::span<const std::uint32_t> words);
  [[nodiscard]] Result<> read(const Instruction& instruction);
  [[nodiscard]] Result<> read_function_part(const Instruction& instruction);
  void read_annotation(const Instruction& instruction);
  [[nodiscard]] Result<> define(const Instruction& instruction);

  std::uint32_t version_ = 0;
  std::vector<std::uint32_t> defined_by_;  ///< By id: position in declarations_ + 1, or 0.
  std::vector<std::uint32_t> capabilities_;
  std::vector<EntryPoint> entry_points_;
  std::vector<Instruction> execution_modes_;
  std::vector<Instruction> declarations_;
  std::vector<Instruction> code_;  ///< Of all functions.
  struct Range {
    std::size_t begin = 0, end = 0;
  };
  std::map<std::uint32_t, Range> functions_;
  std::uint32_t open_function_ = 0;  ///< Whose end has not come.
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::string_view> names_;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::uint32_t> decorations_;
};

/// The id that an instruction gives to its result and the id of that result's type; 0 for none.
struct ResultIds {
  std::uint32_t type = 0;
  std::uint32_t id = 0;
};
[[nodiscard]] ResultIds result_ids(const Instruction& instruction);

/// What OpCapability instructions at the beginning of a module name, without reading further.
[[nodiscard]] std::vector<std::uint32_t> leading_capabilities(std::span<const std::uint32_t> words);

/// The text that begins at operand `first`; empty if it has no end.
[[nodiscard]] std::string_view text_operand(const Instruction& instruction, std::size_t first);

}  // namespace segue::spirv
