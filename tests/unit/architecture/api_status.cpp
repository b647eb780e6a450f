// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/api_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <set>

namespace segue::architecture {
namespace {

using test::kStatusBackends;
using test::StatusCell;
using test::StatusRow;
using test::StatusTable;

void add_row_faults(const StatusTable& table, const std::vector<ApiMethod>& api,
                    std::vector<std::string>& faults) {
  std::set<ApiMethod> rows;
  const std::set<ApiMethod> methods(api.begin(), api.end());
  for (const StatusRow& row : table.rows) {
    const ApiMethod method{row.header, row.method};
    if (!rows.insert(method).second)
      faults.push_back(fmt::format("{} has two rows under {}.", row.method, row.header));
    else if (!methods.contains(method))
      faults.push_back(fmt::format("Row {} names no method of {}.", row.method, row.header));
  }
  for (const ApiMethod& method : methods) {
    if (!rows.contains(method))
      faults.push_back(fmt::format("{} of {} has no row.", method.name, method.header));
  }
}

void add_cell_faults(const StatusTable& table, std::vector<std::string>& faults) {
  for (std::size_t i = 0; i < kStatusBackends.size(); ++i) {
    for (const StatusRow& row : table.rows) {
      const StatusCell& cell = row.cells[i];
      const bool built = cell.says != "-";
      if (built && cell.says != "yes" && cell.says != "no" && cell.says != "partly") {
        faults.push_back(fmt::format("Row {} says \"{}\" for {}; yes, no, partly or - is allowed.",
                                     row.method, cell.says, kStatusBackends[i]));
      } else if (built && cell.says != "yes" && cell.notes.empty()) {
        faults.push_back(fmt::format("Row {} says {} for {} without a footnote.", row.method,
                                     cell.says, kStatusBackends[i]));
      } else if (built != (table.rows[0].cells[i].says != "-")) {
        faults.push_back(fmt::format("Row {} says \"{}\" for {}, which the first row does not.",
                                     row.method, cell.says, kStatusBackends[i]));
      }
    }
  }
}

void add_note_faults(const StatusTable& table, std::vector<std::string>& faults) {
  std::set<std::string> used, written;
  for (const StatusRow& row : table.rows) {
    for (const StatusCell& cell : row.cells) used.insert(cell.notes.begin(), cell.notes.end());
  }
  for (const std::string& note : table.notes) {
    if (!written.insert(note).second)
      faults.push_back(fmt::format("Footnote {} is written twice.", note));
    else if (!used.contains(note))
      faults.push_back(fmt::format("Footnote {} is used nowhere.", note));
  }
  for (const std::string& note : used)
    if (!written.contains(note)) faults.push_back(fmt::format("Footnote {} is missing.", note));
}

}  // namespace

std::vector<std::string> status_faults(const StatusTable& table,
                                       const std::vector<ApiMethod>& api) {
  std::vector<std::string> faults;
  add_row_faults(table, api, faults);
  add_cell_faults(table, faults);
  add_note_faults(table, faults);
  return faults;
}

}  // namespace segue::architecture
