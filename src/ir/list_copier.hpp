// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ir/command_list.hpp"

namespace segue::ir {

/// Where bytes of a storage are found in the copy.
struct Relocation {
  Storage* storage = nullptr;
  std::uint64_t offset = 0;  ///< Where the storage's first byte is in it.
};
using Relocate = std::function<Relocation(Storage&)>;

/// Copies commands from one list to the end of another, with all that belongs to them: arguments,
/// ranges, names, native callbacks and slots. A slot that the other list has by that name becomes
/// one with it; the caller has made sure that kind, size and default agree.
class ListCopier {
 public:
  /// @param relocate  Empty: storages stay what they are.
  ListCopier(const CommandList& from, CommandList& to, Relocate relocate = {});

  /// Adds everything of the command but the command itself, which it returns for append().
  [[nodiscard]] Command copy_parts(std::uint32_t index);
  /// copy_parts() and append().
  void append(std::uint32_t index) { to_.append(copy_parts(index)); }

  /// @name Parts, for commands that are put together from several.
  /// @{
  /// Argument `argument` of command `index` becomes argument `as` of the command being built, with
  /// its slots.
  void copy_argument(std::uint32_t index, std::uint32_t argument, std::uint32_t as);
  /// A slot of the old list, in the new one.
  [[nodiscard]] std::uint32_t copy_slot(std::uint32_t slot);
  [[nodiscard]] NameId copy_name(NameId name);
  /// @}

 private:
  [[nodiscard]] Relocation relocated(Storage& storage) const;

  const CommandList& from_;
  CommandList& to_;
  Relocate relocate_;
  std::vector<NameId> names_;         // by old name; kNone: not copied yet
  std::vector<std::uint32_t> slots_;  // by old slot, 1 + the new one; 0: not copied yet
};

}  // namespace segue::ir
