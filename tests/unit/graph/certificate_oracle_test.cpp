// SPDX-License-Identifier: Apache-2.0
//
// The certificate against the tests' own oracle: two checkers that share nothing must agree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "graph/certificate.hpp"
#include "graph/direct_planner.hpp"
#include "support/test_seed.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using test::check_plan;
using test::must_keep_order;
using test::OracleProgram;
using test::plan_in_rounds;
using test::random_program;
using ::testing::IsEmpty;

std::vector<test::ProgramShape> shapes(std::uint32_t commands) {
  return {{.commands = commands},
          {.commands = commands, .storages = 10, .memories = 5, .bytes = 40, .write_chance = 0.1},
          {.commands = commands, .storages = 3, .memories = 1, .bytes = 1000, .uses = 2},
          {.commands = commands, .fence_chance = 0.0, .write_chance = 0.6},
          {.commands = commands, .fence_chance = 0.4, .write_chance = 0.1}};
}

bool fence_between(const OracleProgram& program, std::uint32_t a, std::uint32_t b) {
  return std::any_of(program.begin() + a, program.begin() + b,
                     [](const test::OracleCommand& command) { return command.fence; });
}

/// Barriers with a command of the group before, and one of the group behind, on two sides of a
/// fence.
std::uint32_t requested(const test::Program& program, const ir::Plan& plan) {
  std::uint32_t count = 0;
  for (std::size_t g = 0; g + 1 < plan.group_count(); ++g) {
    bool asked = false;
    for (const std::uint32_t before : plan.group(g)) {
      for (const std::uint32_t behind : plan.group(g + 1))
        asked |= before < behind && fence_between(program.oracle(), before, behind);
    }
    count += asked ? 1 : 0;
  }
  return count;
}

void expect_agreement(const test::Program& program, const ir::Plan& plan) {
  const Certificate certificate = certify(plan);
  const auto findings = check_plan(program.oracle(), plan.order, plan.group_ends);
  ASSERT_EQ(certificate.malformed.empty(), findings.malformed.empty())
      << certificate.to_string() << findings.describe();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> missing;
  for (const MissingOrder& order : certificate.missing) {
    missing.emplace_back(order.earlier, order.later);
    const bool keeps =
        must_keep_order(program.oracle()[order.earlier], program.oracle()[order.later]);
    ASSERT_EQ(order.hazard.has_value(), keeps);
    ASSERT_EQ(order.fence != MissingOrder::kNoFence,
              fence_between(program.oracle(), order.earlier, order.later));
  }
  std::ranges::sort(missing);
  ASSERT_EQ(missing, findings.missing) << certificate.to_string() << findings.describe();
  ASSERT_EQ(certificate.needless, findings.needless)
      << certificate.to_string() << findings.describe();
  ASSERT_EQ(certificate.valid(), findings.malformed.empty() && findings.missing.empty());
  if (!findings.malformed.empty()) return;
  ASSERT_EQ(certificate.barriers, std::max<std::size_t>(plan.group_count(), 1) - 1);
  ASSERT_EQ(certificate.requested, requested(program, plan));
}

/// One random change that may or may not break the plan.
void disturb(std::mt19937_64& random, ir::Plan& plan) {
  const auto below = [&random](std::size_t limit) {
    return static_cast<std::uint32_t>(random() % std::max<std::size_t>(limit, 1));
  };
  std::vector<std::uint32_t>& order = plan.order;
  std::vector<std::uint32_t>& ends = plan.group_ends;
  if (order.empty()) return;
  switch (below(12)) {
    case 0: order[below(order.size())] = below(plan.list->size() + 1); return;
    case 1: ends[below(ends.size())] = below(order.size() + 2); return;
    case 2: ends.pop_back(); return;
    case 3: order.pop_back(); return;
    case 4:
    case 5:
      if (ends.size() > 1) plan = without_barrier(plan, below(ends.size() - 1));
      return;
    case 6:
    case 7: {
      const std::uint32_t at = below(order.size());
      const auto place = std::ranges::lower_bound(ends, at);
      if (at > 0 && (place == ends.end() || *place != at)) ends.insert(place, at);
      return;
    }
    default: std::swap(order[below(order.size())], order[below(order.size())]);
  }
}

TEST(CertificateOracle, RecordedPlansAreFaultlessWithTrueReasons) {  // rows L1, C10
  std::mt19937_64 random(test::test_seed());
  for (const auto& shape : shapes(50)) {
    for (int i = 0; i < 300; ++i) {
      const test::Program program = random_program(random, shape);
      const ir::Plan plan = plan_recorded_order(program.list());
      const Certificate certificate = certify(plan);
      ASSERT_TRUE(certificate.valid()) << certificate.to_string();
      ASSERT_THAT(certificate.needless, IsEmpty());
      ASSERT_THAT(untrue_reasons(plan), IsEmpty());
      expect_agreement(program, plan);
    }
  }
}

TEST(CertificateOracle, TheCriticalPathIsTheFewestRounds) {  // rows L1, E5
  std::mt19937_64 random(test::test_seed());
  std::size_t saved = 0;
  for (const auto& shape : shapes(40)) {
    for (int i = 0; i < 500; ++i) {
      const test::Program program = random_program(random, shape);
      const ir::Plan plan = plan_in_rounds(program);
      const Certificate certificate = certify(plan);
      ASSERT_TRUE(certificate.valid()) << certificate.to_string();
      ASSERT_EQ(certificate.critical_path, plan.group_count());
      ASSERT_TRUE(certificate.minimal());
      expect_agreement(program, plan);
      const Certificate recorded = certify(plan_recorded_order(program.list()));
      ASSERT_EQ(recorded.critical_path, certificate.critical_path);
      ASSERT_GE(recorded.barriers, certificate.barriers);
      saved += recorded.minimal() ? 0 : 1;
    }
  }
  EXPECT_GT(saved, 100U);
}

TEST(CertificateOracle, AgreesOnDisturbedPlans) {  // row L1
  std::mt19937_64 random(test::test_seed());
  std::size_t malformed = 0, missing = 0, needless = 0, faultless = 0;
  for (const auto& shape : shapes(25)) {
    for (int i = 0; i < 1000; ++i) {
      const test::Program program = random_program(random, shape);
      ir::Plan plan = i % 2 == 0 ? plan_recorded_order(program.list()) : plan_in_rounds(program);
      for (std::uint64_t changes = random() % 4; changes > 0 && !plan.group_ends.empty(); --changes)
        disturb(random, plan);
      ASSERT_NO_FATAL_FAILURE(expect_agreement(program, plan));
      const Certificate certificate = certify(plan);
      malformed += certificate.malformed.empty() ? 0 : 1;
      missing += certificate.missing.empty() ? 0 : 1;
      needless += certificate.needless.empty() ? 0 : 1;
      faultless += certificate.valid() && certificate.needless.empty() ? 1 : 0;
    }
  }
  EXPECT_GT(std::min({malformed, missing, needless, faultless}), 300U);
}

TEST(CertificateOracle, DeletingAnyBarrierIsFound) {  // row L1
  std::mt19937_64 random(test::test_seed());
  std::size_t deleted = 0;
  for (const auto& shape : shapes(30)) {
    for (int i = 0; i < 100; ++i) {
      const test::Program program = random_program(random, shape);
      for (const ir::Plan& plan : {plan_recorded_order(program.list()), plan_in_rounds(program)}) {
        for (std::size_t g = 0; g + 1 < plan.group_count(); ++g, ++deleted)
          ASSERT_FALSE(certify(without_barrier(plan, g)).missing.empty());
      }
    }
  }
  EXPECT_GT(deleted, 1000U);
}

TEST(CertificateOracle, AgreesOnALongProgramInOneMemory) {  // row L1
  std::mt19937_64 random(test::test_seed());
  test::Program program;
  const std::uint32_t arena = program.add_storage(1, 0, 1 << 20);
  for (int i = 0; i < 400; ++i) {
    const auto range = [&](Access access) {
      const std::uint64_t begin = random() % 4000 * 256;
      return test::Program::Use{arena, begin, begin + 4096, access};
    };
    program.dispatch(
        {range(Access::kRead), range(Access::kRead), range(Access::kRead), range(Access::kWrite)});
  }
  expect_agreement(program, plan_in_rounds(program));
  ir::Plan shuffled = plan_in_rounds(program);
  std::ranges::shuffle(shuffled.order, random);
  expect_agreement(program, shuffled);
  EXPECT_FALSE(certify(shuffled).valid());
}

}  // namespace
}  // namespace segue::graph
