// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace segue::test {

/// The columns of docs/api-status.md: the names of Device::backend(), capitals aside.
inline constexpr std::array<std::string_view, 4> kStatusBackends{"host", "vulkan", "cuda", "metal"};

/// What the table says of one method on one backend.
struct StatusCell {
  std::string says;                ///< "yes", "no", "partly" or "-"; as written, if it is not.
  std::vector<std::string> notes;  ///< Names of footnotes.
};

struct StatusRow {
  std::string header;  ///< The file of include/segue under whose heading the row stands.
  std::string method;  ///< Such as "Device::name".
  std::array<StatusCell, kStatusBackends.size()> cells;
};

struct StatusTable {
  std::vector<StatusRow> rows;
  std::vector<std::string> notes;  ///< Names of the footnotes that are written, in order.
};

/// Reads docs/api-status.md. Rows are the lines that start with a name in backticks; other lines
/// that are neither headings nor footnotes are skipped. Cells that are missing are empty.
[[nodiscard]] StatusTable parse_status_table(const std::vector<std::string>& lines);

}  // namespace segue::test
