// SPDX-License-Identifier: Apache-2.0
//
// Makes each creation of a Metal object fail in turn: an error comes back or the result is right,
// nothing hangs, nothing leaks, no rule of Metal's is broken, and what exists by then works once
// creations succeed again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "fault/metal_fixture.hpp"
#include "fault/metal_scenario.hpp"
#include "fault/watchdog.hpp"
#include "metal_double/double.hpp"
#include "support/test_seed.hpp"

namespace segue::test {
namespace {

using testing::AnyOf;
using testing::EndsWith;
using Phase = MetalScenario::Phase;

constexpr std::uint64_t kMostCreations = 1000;

/// Of which there is a second source: all devices instead of the default one.
constexpr std::string_view kAbsorbed[] = {
    "MTLCreateSystemDefaultDevice",  // the device is in the list of all, too
    "newCounterSampleBuffer",        // the job runs untimed
};

struct Fault {
  Phase phase;
  Machine machine;

  friend std::ostream& operator<<(std::ostream& out, const Fault& fault) {
    return out << fault.phase << " on " << fault.machine;
  }
};

class EveryMetalCreation : public MetalDoubleTest, public testing::WithParamInterface<Fault> {
 protected:
  /// Makes the n-th creation of the phase fail. False: there are not so many.
  bool fail_creation(std::uint64_t n);
  void expect_refusal(const Error& error);

  std::map<std::string, int> failures_;  ///< By call: how often it made the phase fail.
};

void EveryMetalCreation::expect_refusal(const Error& error) {
  EXPECT_THAT(error.code, AnyOf(ErrorCode::kOutOfMemory, ErrorCode::kCompileFailed,
                                ErrorCode::kUnsupported, ErrorCode::kBackend))
      << error.to_string();
  EXPECT_THAT(error.message, EndsWith(".")) << error.to_string();
  EXPECT_THAT(error.message, testing::MatchesRegex("[A-Z].* .*"));
}

bool EveryMetalCreation::fail_creation(std::uint64_t n) {
  const auto& [phase, machine] = GetParam();
  use(machine);
  std::atomic<const char*> doing{"gets ready"};
  MetalScenario scenario(machine.metal);
  const Watchdog watchdog(kPatience, [&] {
    return fmt::format("creation {} of phase {}; the scenario {}", n, to_string(phase),
                       doing.load());
  });
  for (const Phase before : MetalScenario::kPhases) {
    if (before == phase) break;
    const Result<> done = scenario.run(before);
    EXPECT_TRUE(done.has_value()) << to_string(before) << ": " << done.error().to_string();
    if (!done) return false;
  }
  doing = "runs";
  metal_double::fail_nth_call(n);
  const Result<> done = scenario.run(phase);
  metal_double::drain();
  const std::vector<std::string> calls = metal_double::call_names();
  const bool hit = calls.size() >= n;
  const std::string failed = hit ? calls[n - 1] : "none";
  metal_double::fail_nth_call(0);
  SCOPED_TRACE(fmt::format("creation {} of phase {}, {}, fails", n, to_string(phase), failed));
  if (done) {
    EXPECT_TRUE(!hit || std::ranges::count(kAbsorbed, failed) != 0) << "nobody noticed";
  } else {
    EXPECT_TRUE(hit) << done.error().to_string();
    expect_refusal(done.error());
    ++failures_[failed];
  }
  doing = "runs again";
  const Result<> again = scenario.run(phase);
  EXPECT_TRUE(again.has_value()) << again.error().to_string();
  doing = "closes";
  scenario.close();
  expect_clean();
  return hit;
}

TEST_P(EveryMetalCreation, MayFail) {  // row K3
  std::uint64_t n = 1;
  while (n < kMostCreations && fail_creation(n) && !HasFailure()) ++n;
  EXPECT_LT(n, kMostCreations);
  EXPECT_GT(n, 1U) << "nothing was created";
  std::printf("Phase %s: %llu creations", to_string(GetParam().phase),
              static_cast<unsigned long long>(n - 1));
  for (const auto& [name, count] : failures_) std::printf(", %s %d", name.c_str(), count);
  std::printf("\n");
}

std::vector<Fault> all_faults() {
  std::vector<Fault> faults;
  for (const Machine& machine :
       {unified_machine(), discrete_machine(), m1_machine(), reencoding_machine()}) {
    for (const Phase phase : MetalScenario::kPhases) {
      // Where device and host share memory nothing is created to move bytes.
      if (phase == Phase::kTransfer && machine.options.unified_memory) continue;
      faults.push_back({phase, machine});
    }
  }
  return faults;
}

INSTANTIATE_TEST_SUITE_P(Phases, EveryMetalCreation, testing::ValuesIn(all_faults()),
                         [](const auto& each) {
                           return std::string(to_string(each.param.phase)) +
                                  each.param.machine.name;
                         });

class MetalScenarioTest : public MetalDoubleTest, public testing::WithParamInterface<Machine> {};

TEST_P(MetalScenarioTest, RunsWithoutFaultsInAnyOrder) {  // row K3
  const std::uint64_t seed = test_seed();
  for (const metal_double::Order order :
       {metal_double::Order::kInOrder, metal_double::Order::kReversed,
        metal_double::Order::kRandom}) {
    Machine machine = GetParam();
    machine.options.order = order;
    machine.options.seed = seed;
    use(machine);
    MetalScenario scenario(machine.metal);
    const Watchdog watchdog(kPatience, [] { return std::string("the scenario"); });
    for (int round = 0; round < 3; ++round)
      expect_success(scenario.run_through(MetalScenario::kPhases.back()));
    EXPECT_THAT(scenario.reports(), testing::IsEmpty());
    scenario.close();
    expect_clean();
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, MetalScenarioTest,
                         testing::Values(unified_machine(), discrete_machine(), m1_machine(),
                                         reencoding_machine()),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace segue::test
