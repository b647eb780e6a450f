// SPDX-License-Identifier: Apache-2.0
#include "graph/lower.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "graph/certificate.hpp"
#include "graph/schedule.hpp"
#include "support/test_seed.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using test::Program;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

ir::Plan plan(const Program& program, Schedule schedule, std::uint64_t seed = 0) {
  return plan_schedule(program.list(), Dependencies(program.list()), schedule, seed);
}

TEST(Lower, PutsCommandsInTheirOrderAndFencesBetween) {  // rows E5, F1
  Program program;
  program.add_storage(1, 0, 100);
  program.dispatch({{0, 0, 4, Access::kWrite}});
  program.dispatch({{0, 0, 4, Access::kRead}});
  program.dispatch({{0, 8, 12, Access::kWrite}});
  program.fence();
  program.dispatch({{0, 16, 20, Access::kWrite}});
  const ir::Plan planned = plan(program, Schedule::kCriticalPath);
  const Lowered lowered = lower(planned);
  ASSERT_EQ(lowered.list.size(), 5U);
  EXPECT_EQ(lowered.list.commands()[3].kind, ir::CommandKind::kBarrier);
  ASSERT_EQ(lowered.original.size(), 5U);
  EXPECT_THAT(std::vector(lowered.original.begin(), lowered.original.begin() + 3),
              ElementsAre(0, 2, 1));
  EXPECT_EQ(lowered.original[4], 4U);
  EXPECT_EQ(lowered.list.arguments(lowered.list.commands()[1])[0].offset, 8U);
  const ir::Plan again = plan_lowered(lowered.list);
  EXPECT_THAT(again.order, ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(again.group_ends, planned.group_ends);
}

TEST(Lower, PutsEachStorageWhereItIsRelocatedTo) {  // row E9
  Program program;
  program.add_storage(1, 0, 100);
  program.add_storage(2, 0, 100);
  const std::uint32_t arena = program.add_storage(3, 0, 1000);
  program.dispatch({{0, 4, 8, Access::kWrite}, {1, 0, 4, Access::kRead}});
  const ir::Plan planned = plan(program, Schedule::kRecorded);
  const Lowered lowered = lower(planned, [&](ir::Storage& storage) -> ir::Relocation {
    if (&storage == &program.storage(0)) return {&program.storage(arena), 256};
    return {&storage, 0};
  });
  const auto arguments = lowered.list.arguments(lowered.list.commands()[0]);
  EXPECT_EQ(arguments[0].storage, &program.storage(arena));
  EXPECT_EQ(arguments[0].offset, 260U);
  EXPECT_EQ(arguments[1].storage, &program.storage(1));
  EXPECT_EQ(arguments[1].offset, 0U);
}

TEST(LowerOracle, LoweredPlansHaveTheGroupsThatWerePlanned) {  // rows E5, F1
  std::mt19937_64 random(test::test_seed());
  for (const double fences : {0.0, 0.1, 0.4}) {
    for (int i = 0; i < 200; ++i) {
      const Program program =
          test::random_program(random, {.commands = 50, .storages = 6, .fence_chance = fences});
      for (const Schedule schedule : {Schedule::kRecorded, Schedule::kLookahead,
                                      Schedule::kCriticalPath, Schedule::kRandom}) {
        const ir::Plan planned = plan(program, schedule, random());
        const Lowered lowered = lower(planned);
        const ir::Plan again = plan_lowered(lowered.list);
        ASSERT_EQ(again.group_ends, planned.group_ends) << to_string(schedule);
        std::vector<std::uint32_t> order;
        for (const std::uint32_t command : again.order) order.push_back(lowered.original[command]);
        ASSERT_EQ(order, planned.order);
        const Certificate certificate = certify(again);
        ASSERT_TRUE(certificate.valid()) << certificate.to_string();
        ASSERT_THAT(untrue_reasons(again), IsEmpty());
      }
    }
  }
}

TEST(LowerOracle, PartsOfAPlanFollowEachOther) {  // row E3
  std::mt19937_64 random(test::test_seed());
  for (int i = 0; i < 200; ++i) {
    const Program program = test::random_program(random, {.commands = 50, .fence_chance = 0.1});
    const ir::Plan planned = plan(program, Schedule::kCriticalPath);
    if (planned.group_count() < 2) continue;
    const std::size_t cut = 1 + random() % (planned.group_count() - 1);
    std::vector<std::uint32_t> order;
    std::size_t groups = 0;
    const std::size_t ends[] = {0, cut, planned.group_count()};
    for (int part = 0; part < 2; ++part) {
      ir::CommandList list;
      const auto original = lower(planned, ends[part], ends[part + 1], list);
      const ir::Plan half = plan_lowered(list);
      ASSERT_EQ(half.group_count(), ends[part + 1] - ends[part]);
      for (const std::uint32_t command : half.order) order.push_back(original[command]);
      groups += half.group_count();
    }
    ASSERT_EQ(order, planned.order);
    ASSERT_EQ(groups, planned.group_count());
  }
}

}  // namespace
}  // namespace segue::graph
