// SPDX-License-Identifier: Apache-2.0
#include "graph/dependencies.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "support/test_seed.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using test::must_keep_order;
using test::OracleAccess;
using test::OracleProgram;
using test::Program;
using test::random_program;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr Access kRead = Access::kRead;
constexpr Access kWrite = Access::kWrite;
constexpr Access kReadWrite = Access::kReadWrite;

/// An edge as a test writes it down; bytes within the memory.
struct Edge {
  std::uint32_t earlier;
  HazardKind hazard;
  std::uint64_t begin, end;
  friend bool operator==(const Edge&, const Edge&) = default;
};

std::vector<Edge> into(const Dependencies& dependencies, std::uint32_t command) {
  std::vector<Edge> edges;
  for (const Dependency& edge : dependencies.predecessors(command)) {
    EXPECT_EQ(edge.later, command);
    edges.push_back({edge.earlier, edge.hazard, edge.range.begin, edge.range.end});
  }
  return edges;
}
std::vector<std::uint32_t> levels(const Dependencies& dependencies) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < dependencies.command_count(); ++i)
    all.push_back(dependencies.level(i));
  return all;
}
std::vector<std::uint32_t> segments(const Dependencies& dependencies) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < dependencies.command_count(); ++i)
    all.push_back(dependencies.segment(i));
  return all;
}

class DependenciesTest : public ::testing::Test {
 protected:
  DependenciesTest() { program.add_storage(1, 0, 100); }
  void touch(std::uint64_t begin, std::uint64_t end, Access access) {
    program.dispatch({{0, begin, end, access}});
  }
  Program program;
};

TEST_F(DependenciesTest, OfNothingAreNone) {
  const Dependencies dependencies(program.list());
  EXPECT_EQ(dependencies.command_count(), 0U);
  EXPECT_EQ(dependencies.critical_path(), 0U);
  EXPECT_THAT(dependencies.critical_commands(program.list()), IsEmpty());
}

TEST_F(DependenciesTest, ReadFollowsEveryWriterOfItsBytes) {  // row E6
  touch(0, 4, kWrite);
  touch(4, 8, kWrite);
  touch(2, 6, kRead);
  const Dependencies dependencies(program.list());
  EXPECT_THAT(into(dependencies, 1), IsEmpty());
  EXPECT_THAT(into(dependencies, 2), ElementsAre(Edge{0, HazardKind::kReadAfterWrite, 2, 4},
                                                 Edge{1, HazardKind::kReadAfterWrite, 4, 6}));
}

TEST_F(DependenciesTest, OverwrittenBytesHaveTheNewWriterOnly) {  // row E6
  touch(0, 8, kWrite);
  touch(2, 6, kWrite);
  touch(3, 5, kRead);
  touch(1, 3, kRead);
  const Dependencies dependencies(program.list());
  EXPECT_THAT(into(dependencies, 1), ElementsAre(Edge{0, HazardKind::kWriteAfterWrite, 2, 6}));
  EXPECT_THAT(into(dependencies, 2), ElementsAre(Edge{1, HazardKind::kReadAfterWrite, 3, 5}));
  EXPECT_THAT(into(dependencies, 3), ElementsAre(Edge{0, HazardKind::kReadAfterWrite, 1, 2},
                                                 Edge{1, HazardKind::kReadAfterWrite, 2, 3}));
}

TEST_F(DependenciesTest, WriteFollowsTheReadersSinceTheLastWrite) {  // row E6
  touch(0, 8, kRead);
  touch(0, 8, kWrite);
  touch(0, 8, kRead);
  touch(0, 8, kRead);
  touch(0, 8, kWrite);
  const Dependencies dependencies(program.list());
  EXPECT_THAT(into(dependencies, 1), ElementsAre(Edge{0, HazardKind::kWriteAfterRead, 0, 8}));
  EXPECT_THAT(into(dependencies, 4),
              UnorderedElementsAre(Edge{2, HazardKind::kWriteAfterRead, 0, 8},
                                   Edge{3, HazardKind::kWriteAfterRead, 0, 8}));
}

TEST_F(DependenciesTest, ReadersAreKnownOnBothSidesOfACut) {  // row E6
  touch(0, 10, kRead);
  touch(4, 6, kRead);
  touch(0, 4, kWrite);
  touch(4, 6, kWrite);
  touch(6, 10, kWrite);
  const Dependencies dependencies(program.list());
  EXPECT_THAT(into(dependencies, 2), ElementsAre(Edge{0, HazardKind::kWriteAfterRead, 0, 4}));
  EXPECT_THAT(into(dependencies, 3),
              UnorderedElementsAre(Edge{0, HazardKind::kWriteAfterRead, 4, 6},
                                   Edge{1, HazardKind::kWriteAfterRead, 4, 6}));
  EXPECT_THAT(into(dependencies, 4), ElementsAre(Edge{0, HazardKind::kWriteAfterRead, 6, 10}));
}

TEST_F(DependenciesTest, CommandsInPlaceFollowEachOther) {  // row E6
  touch(0, 8, kReadWrite);
  touch(0, 8, kReadWrite);
  program.dispatch({{0, 0, 8, kRead}, {0, 4, 12, kWrite}});
  const Dependencies dependencies(program.list());
  EXPECT_THAT(into(dependencies, 0), IsEmpty());
  EXPECT_THAT(into(dependencies, 1), ElementsAre(Edge{0, HazardKind::kReadAfterWrite, 0, 8}));
  EXPECT_EQ(into(dependencies, 2).size(), 1U);
  EXPECT_EQ(levels(dependencies), (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST_F(DependenciesTest, CommandNeverFollowsItself) {  // row E6
  program.dispatch({{0, 0, 8, kWrite}, {0, 4, 12, kWrite}, {0, 2, 10, kRead}, {0, 6, 7, kRead}});
  EXPECT_THAT(Dependencies(program.list()).edges(), IsEmpty());
}

TEST_F(DependenciesTest, DataThatFlowsIsTheReasonToName) {  // row C10
  program.dispatch({{0, 0, 4, kRead}, {0, 4, 8, kWrite}, {0, 8, 12, kWrite}});
  program.dispatch({{0, 0, 4, kWrite}, {0, 4, 8, kWrite}, {0, 8, 12, kRead}});
  const Dependencies dependencies(program.list());
  EXPECT_THAT(into(dependencies, 1), ElementsAre(Edge{0, HazardKind::kReadAfterWrite, 8, 12}));
  const Dependency& edge = dependencies.edges()[0];
  EXPECT_EQ(edge.range.memory, MemoryId{1});
  EXPECT_EQ(edge.range.access, kRead);
}

TEST_F(DependenciesTest, NeighboursAndEmptyRangesAndOtherMemoriesAreNoReason) {  // row E6
  program.add_storage(2, 0, 100);
  touch(0, 4, kWrite);
  touch(4, 8, kWrite);
  touch(2, 2, kWrite);
  program.dispatch({{1, 0, 100, kWrite}});
  EXPECT_THAT(Dependencies(program.list()).edges(), IsEmpty());
}

TEST_F(DependenciesTest, StoragesOfOneMemoryMeetInIt) {  // row E6
  const std::uint32_t alias = program.add_storage(1, 50, 100);
  touch(60, 70, kWrite);
  program.dispatch({{alias, 0, 15, kRead}});
  EXPECT_THAT(into(Dependencies(program.list()), 1),
              ElementsAre(Edge{0, HazardKind::kReadAfterWrite, 60, 65}));
}

TEST_F(DependenciesTest, AnyNumberOfMemoriesIsKeptApart) {  // row E6
  constexpr std::uint32_t kMemories = 1000;
  for (std::uint32_t i = 1; i < kMemories; ++i) program.add_storage(1 + i, 0, 100);
  for (const Access access : {kWrite, kRead}) {
    for (std::uint32_t i = 0; i < kMemories; ++i) program.dispatch({{i, 0, 8, access}});
  }
  const Dependencies dependencies(program.list());
  for (std::uint32_t i = 0; i < kMemories; ++i) {
    ASSERT_THAT(into(dependencies, kMemories + i),
                ElementsAre(Edge{i, HazardKind::kReadAfterWrite, 0, 8}));
  }
  EXPECT_EQ(dependencies.edges().size(), kMemories);
}

TEST_F(DependenciesTest, FencesDivideTheListAndRaiseTheLevel) {  // rows C5, E5
  program.fence();                                               // nothing before it
  touch(0, 4, kWrite);
  touch(0, 4, kRead);
  program.fence();
  program.fence();  // nothing between
  touch(50, 54, kWrite);
  touch(60, 64, kWrite);
  program.fence();
  touch(0, 4, kRead);
  program.fence();  // nothing behind
  const Dependencies dependencies(program.list());
  EXPECT_EQ(segments(dependencies), (std::vector<std::uint32_t>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2}));
  EXPECT_EQ(dependencies.work_count(), 5U);
  EXPECT_EQ(levels(dependencies), (std::vector<std::uint32_t>{0, 0, 1, 0, 0, 2, 2, 0, 3, 0}));
  EXPECT_EQ(dependencies.critical_path(), 4U);
  const auto chain = dependencies.critical_commands(program.list());
  ASSERT_EQ(chain.size(), 4U);
  EXPECT_EQ(chain[0], 1U);
  EXPECT_EQ(chain[1], 2U);
  EXPECT_EQ(chain[3], 8U);
}

TEST_F(DependenciesTest, SuccessorsMirrorPredecessors) {  // row E6
  touch(0, 8, kWrite);
  touch(0, 8, kRead);
  touch(0, 4, kRead);
  touch(0, 8, kWrite);
  const Dependencies dependencies(program.list());
  std::vector<std::vector<std::uint32_t>> out(4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    for (const std::uint32_t edge : dependencies.successors(i)) {
      EXPECT_EQ(dependencies.edges()[edge].earlier, i);
      out[i].push_back(dependencies.edges()[edge].later);
    }
  }
  EXPECT_THAT(out, ElementsAre(ElementsAre(1, 2), ElementsAre(3), ElementsAre(3), IsEmpty()));
}

// -- Random programs against the oracle

std::vector<test::ProgramShape> shapes() {
  return {{.commands = 40},
          {.commands = 60, .storages = 10, .memories = 5, .bytes = 40, .write_chance = 0.1},
          {.commands = 60, .storages = 3, .memories = 1, .bytes = 1000, .uses = 2},
          {.commands = 40, .fence_chance = 0.0, .write_chance = 0.6},
          {.commands = 40, .fence_chance = 0.4, .write_chance = 0.1}};
}

template <class Check>
void for_random_programs(const Check& check) {
  std::mt19937_64 random(test::test_seed());
  for (const auto& shape : shapes()) {
    for (int i = 0; i < 200; ++i) {
      const Program program = random_program(random, shape);
      check(program, Dependencies(program.list()));
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

bool fence_between(const OracleProgram& program, std::uint32_t a, std::uint32_t b) {
  return std::any_of(program.begin() + a, program.begin() + b,
                     [](const test::OracleCommand& command) { return command.fence; });
}

/// [a][b]: b must come after a, because of a chain of direct reasons.
using Closure = std::vector<std::vector<bool>>;

template <class Direct>
Closure closure(std::uint32_t count, const Direct& direct) {
  Closure reach(count, std::vector<bool>(count, false));
  for (std::uint32_t b = 0; b < count; ++b) {
    for (std::uint32_t a = b; a-- > 0;) {
      if (!direct(a, b)) continue;
      reach[a][b] = true;
      for (std::uint32_t x = 0; x < a; ++x) reach[x][b] = reach[x][b] || reach[x][a];
    }
  }
  return reach;
}

TEST(DependenciesOracle, OrderExactlyWhatMustKeepItsOrder) {  // row E6
  for_random_programs([](const Program& program, const Dependencies& dependencies) {
    const OracleProgram& oracle = program.oracle();
    const auto count = static_cast<std::uint32_t>(oracle.size());
    const Closure want = closure(count, [&](std::uint32_t a, std::uint32_t b) {
      if (oracle[a].fence || oracle[b].fence) return false;
      return must_keep_order(oracle[a], oracle[b]) || fence_between(oracle, a, b);
    });
    std::set<std::pair<std::uint32_t, std::uint32_t>> edges;
    for (const Dependency& edge : dependencies.edges()) {
      ASSERT_TRUE(edges.emplace(edge.earlier, edge.later).second) << "two edges of one pair";
    }
    const Closure got = closure(count, [&](std::uint32_t a, std::uint32_t b) {
      if (oracle[a].fence || oracle[b].fence) return false;
      return edges.contains({a, b}) || dependencies.segment(a) < dependencies.segment(b);
    });
    ASSERT_EQ(got, want);
  });
}

TEST(DependenciesOracle, EdgesNameBytesThatBothTouchInThatWay) {  // row C10
  for_random_programs([](const Program& program, const Dependencies& dependencies) {
    for (const Dependency& edge : dependencies.edges()) {
      const auto touches = [&](std::uint32_t command, bool writes) {
        return std::ranges::any_of(
            program.oracle()[command].accesses, [&](const OracleAccess& access) {
              return static_cast<std::uint64_t>(edge.range.memory) == access.memory &&
                     access.begin <= edge.range.begin && edge.range.end <= access.end &&
                     (writes ? access.writes : access.reads);
            });
      };
      ASSERT_LT(edge.range.begin, edge.range.end);
      ASSERT_TRUE(touches(edge.earlier, edge.hazard != HazardKind::kWriteAfterRead));
      ASSERT_TRUE(touches(edge.later, edge.hazard != HazardKind::kReadAfterWrite));
    }
  });
}

TEST(DependenciesOracle, EveryWriterOfABytePrecedesItsReadersDirectly) {  // row E6
  for_random_programs([](const Program& program, const Dependencies& dependencies) {
    using Pair = std::pair<std::uint32_t, std::uint32_t>;
    std::set<Pair> want, got;
    std::map<Pair, std::uint32_t> writer;  // (memory, byte)
    for (std::uint32_t i = 0; i < program.oracle().size(); ++i) {
      const auto each_byte = [&](const OracleAccess& access, const auto& visit) {
        for (std::uint64_t byte = access.begin; byte < access.end; ++byte) {
          visit(Pair{static_cast<std::uint32_t>(access.memory), static_cast<std::uint32_t>(byte)});
        }
      };
      for (const OracleAccess& access : program.oracle()[i].accesses) {
        if (!access.reads) continue;
        each_byte(access, [&](Pair byte) {
          if (const auto found = writer.find(byte); found != writer.end())
            want.emplace(found->second, i);
        });
      }
      for (const OracleAccess& access : program.oracle()[i].accesses) {
        if (access.writes) each_byte(access, [&](Pair byte) { writer[byte] = i; });
      }
    }
    for (const Dependency& edge : dependencies.edges()) {
      if (edge.hazard == HazardKind::kReadAfterWrite) got.emplace(edge.earlier, edge.later);
    }
    ASSERT_EQ(got, want);
  });
}

TEST(DependenciesOracle, LevelsAreLongestChains) {  // row E5
  for_random_programs([](const Program& program, const Dependencies& dependencies) {
    const OracleProgram& oracle = program.oracle();
    std::vector<std::uint32_t> want(oracle.size(), 0);
    std::uint32_t longest = 0;
    const auto follows = [&](std::uint32_t a, std::uint32_t b) {
      return must_keep_order(oracle[a], oracle[b]) || fence_between(oracle, a, b);
    };
    for (std::uint32_t b = 0; b < oracle.size(); ++b) {
      if (oracle[b].fence) continue;
      for (std::uint32_t a = 0; a < b; ++a) {
        if (!oracle[a].fence && follows(a, b)) want[b] = std::max(want[b], want[a] + 1);
      }
      longest = std::max(longest, want[b] + 1);
    }
    ASSERT_EQ(levels(dependencies), want);
    ASSERT_EQ(dependencies.critical_path(), longest);
    const auto chain = dependencies.critical_commands(program.list());
    ASSERT_EQ(chain.size(), longest);
    for (std::size_t i = 1; i < chain.size(); ++i) {
      ASSERT_LT(chain[i - 1], chain[i]);
      ASSERT_TRUE(follows(chain[i - 1], chain[i]));
    }
  });
}

}  // namespace
}  // namespace segue::graph
