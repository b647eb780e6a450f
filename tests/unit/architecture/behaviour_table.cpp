// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/behaviour_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <string_view>

namespace segue::architecture {
namespace {

std::vector<std::string> matches(const std::string& text, const std::regex& pattern, int group) {
  std::vector<std::string> found;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern);
       it != std::sregex_iterator(); ++it) {
    found.push_back((*it)[static_cast<std::size_t>(group)].str());
  }
  return found;
}

/// The cells of a Markdown table row, trimmed.
std::vector<std::string> split_cells(const std::string& line) {
  std::vector<std::string> cells;
  static const std::regex kCell(R"(\|\s*([^|]*?)\s*(?=\|))");
  return matches(line, kCell, 1);
}

/// The rows that `// row C4` or `// rows C2, C4` on this line names.
std::set<std::string> rows_named(const std::string& line) {
  static const std::regex kComment(R"(//.*\brows? ((?:[A-L][0-9]+(?:, *| and )?)+))");
  static const std::regex kRow("[A-L][0-9]+");
  std::set<std::string> rows;
  for (const std::string& list : matches(line, kComment, 1)) {
    for (const std::string& row : matches(list, kRow, 0)) rows.insert(row);
  }
  return rows;
}

bool is_comment(const std::string& line) { return line.starts_with("//"); }

void add_gaps(const std::vector<BehaviourRow>& rows, std::vector<std::string>& faults) {
  std::map<char, int> last;
  for (const BehaviourRow& row : rows) {
    int& number = last[row.id[0]];
    if (++number != std::stoi(row.id.substr(1))) {
      faults.push_back(
          fmt::format("Row {} stands where {}{} is expected.", row.id, row.id[0], number));
      return;
    }
  }
}

void add_row_faults(const BehaviourRow& row, const TestRows& tests,
                    std::vector<std::string>& faults) {
  bool kept = false;
  for (std::size_t i = 0; i < row.backends.size(); ++i) {
    const std::string& says = row.backends[i];
    kept |= says == "yes";
    if (says == "no" && row.note.empty()) {
      faults.push_back(fmt::format("Row {} says no without a reason.", row.id));
    } else if (says != "yes" && says != "no") {
      faults.push_back(fmt::format("Row {} says \"{}\" for {}; yes or no is allowed.", row.id, says,
                                   kBackends[i]));
    }
  }
  if (!kept) return;
  if (row.tests.empty())
    faults.push_back(fmt::format("Row {} says yes but names no test.", row.id));
  for (const std::string& name : row.tests) {
    const auto test = tests.find(name);
    if (test == tests.end()) {
      faults.push_back(
          fmt::format("Row {} names the test {}, which does not exist.", row.id, name));
    } else if (!test->second.contains(row.id)) {
      faults.push_back(fmt::format("Test {} lacks the comment \"// row {}\".", name, row.id));
    }
  }
}

}  // namespace

std::vector<BehaviourRow> parse_behaviour_table(const std::vector<std::string>& lines) {
  static const std::regex kId("[A-L][0-9]+");
  static const std::regex kTest(R"(`([A-Za-z0-9_]+\.[A-Za-z0-9_]+)`)");
  std::vector<BehaviourRow> rows;
  for (const std::string& line : lines) {
    const std::vector<std::string> cells = split_cells(line);
    if (cells.size() < kBackends.size() + 4 || !std::regex_match(cells[0], kId)) continue;
    const auto backends = cells.begin() + 3;
    const auto note = backends + kBackends.size();
    rows.push_back({cells[0], matches(cells[2], kTest, 1), {backends, note}, *note});
  }
  return rows;
}

TestRows find_tests(const std::vector<std::string>& lines) {
  static const std::regex kHead(
      R"(^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\()"
      R"(\s*([A-Za-z0-9_]+)\s*,\s*([A-Za-z0-9_]+))");
  TestRows tests;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // clang-format may put the second argument on a line of its own.
    const std::string head = i + 1 < lines.size() ? lines[i] + " " + lines[i + 1] : lines[i];
    std::smatch match;
    if (!std::regex_search(head, match, kHead)) continue;
    if (static_cast<std::size_t>(match.position(0)) >= lines[i].size()) continue;
    std::set<std::string>& rows = tests[match[1].str() + "." + match[2].str()];
    for (std::size_t j = i; j > 0 && is_comment(lines[j - 1]); --j) {
      rows.merge(rows_named(lines[j - 1]));
    }
    for (std::size_t j = i; j < lines.size(); ++j) {
      rows.merge(rows_named(lines[j]));
      if (lines[j].find('{') != std::string::npos) break;
    }
  }
  return tests;
}

std::vector<std::string> table_faults(const std::vector<BehaviourRow>& rows,
                                      const TestRows& tests) {
  std::vector<std::string> faults;
  add_gaps(rows, faults);
  std::set<std::string> known;
  for (const BehaviourRow& row : rows) {
    known.insert(row.id);
    add_row_faults(row, tests, faults);
  }
  for (const auto& [name, named] : tests) {
    for (const std::string& row : named) {
      if (!known.contains(row)) {
        faults.push_back(fmt::format("Test {} names row {}, which the table lacks.", name, row));
      }
    }
  }
  return faults;
}

}  // namespace segue::architecture
