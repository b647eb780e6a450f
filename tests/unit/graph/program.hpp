// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <vector>

#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "support/plan_oracle.hpp"

namespace segue::test {

/// A command list and, written down apart from it, what the oracle needs to know.
class Program {
 public:
  /// Bytes `[begin, end)` of storage `storage`, as an argument of a dispatch.
  struct Use {
    std::uint32_t storage;
    std::uint64_t begin, end;
    Access access;
  };

  /// Adds a storage of `size` bytes that begins at byte `offset` of memory `memory`.
  std::uint32_t add_storage(std::uint64_t memory, std::uint64_t offset, std::uint64_t size);
  void dispatch(std::span<const Use> uses);
  void dispatch(std::initializer_list<Use> uses) { dispatch(std::span(uses.begin(), uses.size())); }
  void fence();
  void clear();

  [[nodiscard]] ir::CommandList& list() { return list_; }
  [[nodiscard]] const ir::CommandList& list() const { return list_; }
  [[nodiscard]] const OracleProgram& oracle() const { return oracle_; }
  [[nodiscard]] ir::Storage& storage(std::uint32_t index) { return *storages_[index]; }

 private:
  std::vector<base::Ref<ir::Storage>> storages_;
  ir::CommandList list_;
  OracleProgram oracle_;
};

/// How a random program looks; each figure is an upper limit.
struct ProgramShape {
  std::uint32_t commands = 10;
  std::uint32_t storages = 4;
  std::uint32_t memories = 3;  ///< Fewer than storages: some alias.
  std::uint32_t bytes = 12;    ///< Of a storage. Few bytes: many ranges touch or overlap.
  std::uint32_t uses = 4;      ///< Of a dispatch.
  double fence_chance = 0.1;
  double write_chance = 0.3;
};

[[nodiscard]] Program random_program(std::mt19937_64& random, const ProgramShape& shape);

/// The plan with the fewest groups that any order of execution allows, by the oracle's notion of a
/// conflict: round after round, whatever waits for nothing that is left. Without reasons.
[[nodiscard]] ir::Plan plan_in_rounds(const Program& program);

}  // namespace segue::test
