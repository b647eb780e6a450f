// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "segue/verify.hpp"

namespace segue::verify {
namespace {

Result<> certify(const Device& device, const Graph& graph, Schedule schedule, std::uint64_t seed,
                 std::vector<CheckedPlan>& plans) {
  plans.push_back({schedule, false, graph.certify(schedule, seed)});
  CompileOptions options;
  options.schedule = schedule;
  options.seed = seed;
  options.max_in_flight = 1;
  SEGUE_TRY_ASSIGN(const Executable executable, graph.compile(device, options));
  plans.push_back({schedule, true, executable.certify()});
  return {};
}

}  // namespace

Result<Verdict> check(const Device& device, const Graph& graph, const CheckOptions& options) {
  Verdict verdict;
  for (const Schedule schedule :
       {Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath, Schedule::kRandom}) {
    SEGUE_TRY(certify(device, graph, schedule, options.fuzz.seed, verdict.plans));
  }
  SEGUE_TRY_ASSIGN(verdict.audit, audit(device, graph, options.audit));
  SEGUE_TRY_ASSIGN(verdict.fuzz, fuzz_schedules(device, graph, options.fuzz));
  return verdict;
}

bool Verdict::good() const {
  return audit.clean() && fuzz.clean() && std::ranges::all_of(plans, [](const CheckedPlan& plan) {
           return plan.certificate.valid();
         });
}

}  // namespace segue::verify
