// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "metal_double/msl/module.hpp"
#include "segue_msl/abi.hpp"

namespace metal_double::msl {

/// The threadgroup memory of one group at a time: variables of the function, then its arguments.
class GroupMemory {
 public:
  GroupMemory(const segue_msl::ModuleTable& table, std::string_view function,
              std::span<const std::uint32_t> argument_bytes, ThreadOrder order);
  GroupMemory(const GroupMemory&) = delete;
  GroupMemory& operator=(const GroupMemory&) = delete;
  ~GroupMemory();

  unsigned char* variables() const { return memory_; }
  unsigned char* argument(std::size_t index) const { return arguments_[index]; }

  /// Fills all with garbage, another for each order of threads: no kernel may rely on zeros, or on
  /// what the last group left.
  void scramble();

  /// Gives each variable of a module its offset. To be called once.
  static void place_variables(const segue_msl::ModuleTable& table);

  /// What the variables of a function take without the gaps between them.
  static std::uint64_t variable_bytes(const segue_msl::ModuleTable& table,
                                      std::string_view function);

 private:
  struct Part {
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  void lay_out(const segue_msl::ModuleTable& table, std::string_view function,
               std::span<const std::uint32_t> argument_bytes);

  std::vector<Part> parts_;
  std::size_t size_ = 0;
  unsigned char* memory_ = nullptr;
  std::array<unsigned char*, segue_msl::kArgumentSlots> arguments_{};
  int garbage_ = 0;
};

}  // namespace metal_double::msl
