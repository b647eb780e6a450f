// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/behaviour_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace segue::architecture {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TestRows project_tests() {
  TestRows all;
  for (const SourceFile& file : project_tree()) {
    if (is_cpp(file) && file.path.starts_with("tests/")) all.merge(find_tests(file.lines));
  }
  return all;
}

TEST(BehaviourTable, EveryRowThatSaysYesHasATestThatNamesIt) {
  const auto& tree = project_tree();
  const auto document = std::ranges::find(tree, "docs/behaviour.md", &SourceFile::path);
  ASSERT_NE(document, tree.end());
  const auto rows = parse_behaviour_table(document->lines);
  EXPECT_GT(rows.size(), 80U);
  for (const std::string& fault : table_faults(rows, project_tests())) ADD_FAILURE() << fault;
}

TEST(BehaviourTable, ARowIsReadWithItsTestsAndItsNote) {
  const auto rows = parse_behaviour_table(
      {"| row | contract | test | host | vulkan | metal | note |", "|---|---|---|---|---|---|---|",
       "| C4 | fewest barriers | `Suite.One`, `Suite.Two` | yes | no | yes | in order |", "text"});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].id, "C4");
  EXPECT_THAT(rows[0].tests, ElementsAre("Suite.One", "Suite.Two"));
  EXPECT_THAT(rows[0].backends, ElementsAre("yes", "no", "yes"));
  EXPECT_EQ(rows[0].note, "in order");
}

TEST(BehaviourTable, TheCommentIsFoundBesideAndAboveATest) {
  const auto tests = find_tests(split_lines(R"(
TEST(Suite, Beside) {  // row C4
}
// rows A1, C2: why
TEST_F(Suite, Above) {
  int x = 0;  // row Z9 and row B1 stand too late
}
TEST_P(
    Suite, Below) {  // row D1
})"));
  EXPECT_EQ(tests.at("Suite.Beside"), std::set<std::string>{"C4"});
  EXPECT_EQ(tests.at("Suite.Above"), (std::set<std::string>{"A1", "C2"}));
  EXPECT_EQ(tests.at("Suite.Below"), std::set<std::string>{"D1"});
}

TEST(BehaviourTable, PlantedFaultsAreReported) {
  const TestRows tests{{"Suite.One", {"A1"}}};
  EXPECT_THAT(table_faults({{"A1", {"Suite.One"}, {"yes", "yes", "yes"}, ""}}, tests), IsEmpty());
  EXPECT_THAT(table_faults({{"A1", {"Suite.One"}, {"yes", "yes", "yes"}, ""},
                            {"A3", {}, {"no", "no", "no"}, "why"}},
                           tests),
              ElementsAre("Row A3 stands where A2 is expected."));
  EXPECT_THAT(table_faults({{"A1", {}, {"yes", "yes", "yes"}, ""}}, tests),
              ElementsAre("Row A1 says yes but names no test."));
  EXPECT_THAT(table_faults({{"A1", {"Suite.Gone"}, {"yes", "yes", "yes"}, ""}}, tests),
              ElementsAre("Row A1 names the test Suite.Gone, which does not exist."));
  EXPECT_THAT(table_faults({{"A1", {"Suite.One"}, {"no", "yes", "yes"}, ""}}, tests),
              ElementsAre("Row A1 says no without a reason."));
  EXPECT_THAT(table_faults({{"A1", {}, {"soon", "no", "no"}, "why"}}, tests),
              ElementsAre("Row A1 says \"soon\" for host; yes or no is allowed."));
  EXPECT_THAT(table_faults({{"A1", {"Suite.One"}, {"yes", "yes", "yes"}, ""},
                            {"A2", {"Suite.One"}, {"yes", "yes", "yes"}, ""}},
                           tests),
              ElementsAre("Test Suite.One lacks the comment \"// row A2\"."));
  EXPECT_THAT(table_faults({}, tests),
              ElementsAre("Test Suite.One names row A1, which the table lacks."));
}

}  // namespace
}  // namespace segue::architecture
