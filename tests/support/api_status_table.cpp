// SPDX-License-Identifier: Apache-2.0
#include "support/api_status_table.hpp"

#include <cstddef>
#include <regex>

namespace segue::test {
namespace {

StatusCell parse_cell(std::string text) {
  static const std::regex kNote(R"(\[\^([^\]]*)\])");
  StatusCell cell;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), kNote);
       it != std::sregex_iterator(); ++it) {
    cell.notes.push_back((*it)[1].str());
  }
  cell.says = std::regex_replace(text, kNote, "");
  return cell;
}

}  // namespace

StatusTable parse_status_table(const std::vector<std::string>& lines) {
  static const std::regex kHeading(R"(## (\S+\.hpp)\s*)");
  static const std::regex kNote(R"(\[\^([^\]]*)\]:.*)");
  static const std::regex kMethod(R"(\| *`([^`]*)` *\|.*)");
  static const std::regex kCell(R"(\|\s*([^|]*?)\s*(?=\|))");
  StatusTable table;
  std::string header;
  for (const std::string& line : lines) {
    std::smatch match;
    if (std::regex_match(line, match, kHeading)) {
      header = match[1].str();
    } else if (std::regex_match(line, match, kNote)) {
      table.notes.push_back(match[1].str());
    } else if (std::regex_match(line, match, kMethod)) {
      StatusRow row;
      row.header = header;
      row.method = match[1].str();
      auto cell = std::sregex_iterator(line.begin(), line.end(), kCell);
      for (StatusCell& each : row.cells) {
        if (cell == std::sregex_iterator() || ++cell == std::sregex_iterator()) break;
        each = parse_cell((*cell)[1].str());
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace segue::test
