// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "unit/architecture/source_tree.hpp"

namespace segue::architecture {

/// The columns of docs/behaviour.md that say who keeps a row.
inline constexpr std::array<std::string_view, 3> kBackends{"host", "vulkan", "metal"};

/// One row of docs/behaviour.md.
struct BehaviourRow {
  std::string id;                  ///< A letter and a number, such as "C4".
  std::vector<std::string> tests;  ///< "Suite.Name", as written in backticks.
  /// "yes" or "no" by backend, in the order of kBackends.
  std::vector<std::string> backends;
  std::string note;
};

/// For each test "Suite.Name", the rows that the comment beside its name gives (`// row C4`,
/// `// rows C2, C4`).
using TestRows = std::map<std::string, std::set<std::string>>;

/// Reads the rows of the table. Lines that are no rows are skipped.
std::vector<BehaviourRow> parse_behaviour_table(const std::vector<std::string>& lines);

/// Finds the tests of one source file. The comment stands on a line of the test's head or right
/// above.
TestRows find_tests(const std::vector<std::string>& lines);

/// What is wrong with the table, one sentence each: a row that says yes without a test, a test that
/// does not exist or does not name the row, a gap in the numbers, a no without a reason, a test
/// that names a row that the table does not have.
std::vector<std::string> table_faults(const std::vector<BehaviourRow>& rows, const TestRows& tests);

}  // namespace segue::architecture
