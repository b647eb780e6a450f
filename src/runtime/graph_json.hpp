// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ir/command_list.hpp"
#include "segue/hazard.hpp"
#include "segue/kernel.hpp"

/// What writing and reading saved graphs share; docs/graph-json.md has the format.
namespace segue::runtime::json {

inline constexpr std::uint64_t kVersion = 1;

/// The kinds of node that a file has, by name.
inline constexpr std::pair<std::string_view, ir::CommandKind> kNodeKinds[] = {
    {"dispatch", ir::CommandKind::kDispatch},
    {"dispatch_indirect", ir::CommandKind::kDispatchIndirect},
    {"fill", ir::CommandKind::kFill},
    {"copy", ir::CommandKind::kCopy},
    {"upload", ir::CommandKind::kUpload},
    {"barrier", ir::CommandKind::kBarrier}};
inline constexpr std::pair<std::string_view, ir::SlotKind> kSlotKinds[] = {
    {"view", ir::SlotKind::kView}, {"bytes", ir::SlotKind::kBytes}, {"grid", ir::SlotKind::kGrid}};
inline constexpr std::pair<std::string_view, Access> kAccesses[] = {
    {"read", Access::kRead}, {"write", Access::kWrite}, {"read_write", Access::kReadWrite}};
inline constexpr std::pair<std::string_view, BarrierMode> kBarrierModes[] = {
    {"automatic", BarrierMode::kAutomatic}, {"manual", BarrierMode::kManual}};

template <class Table, class T>
[[nodiscard]] std::string_view name_in(const Table& table, T value) {
  for (const auto& [name, known] : table) {
    if (known == value) return name;
  }
  return {};
}

/// Kind, access and size of each parameter, such as "r w b16 s256": what a kernel of the same name
/// must still have in common with the one that was recorded.
[[nodiscard]] std::string signature_text(const Signature& signature);

}  // namespace segue::runtime::json
