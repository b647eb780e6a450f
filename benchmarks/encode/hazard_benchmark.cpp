// SPDX-License-Identifier: Apache-2.0
//
// What a hazard check costs: check, add and (on conflict) reset per dispatch, by the tracker and by
// a flat list, which is the obvious way to do it. Both see the same ranges in the same run; the
// table at the end gives their ratio.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <map>
#include <string>

#include "hazard_sequences.hpp"
#include "segue/hazard.hpp"

namespace segue::bench {
namespace {

/// The reference: every live range in one array, all of them looked at for each new one.
class FlatList {
 public:
  bool check_and_add(std::span<const AccessRange> ranges) {
    const bool conflict = std::ranges::any_of(ranges, [this](const AccessRange& range) {
      return std::ranges::any_of(live_,
                                 [&](const AccessRange& live) { return conflicts(live, range); });
    });
    if (conflict) live_.clear();
    live_.insert(live_.end(), ranges.begin(), ranges.end());
    return conflict;
  }
  void reset() { live_.clear(); }

 private:
  std::vector<AccessRange> live_;
};

template <class Tracker>
void measure(benchmark::State& state, const RangeSequence& sequence) {
  Tracker tracker;
  std::size_t barriers = 0;
  for (auto _ : state) {
    tracker.reset();
    barriers = 0;
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      barriers += static_cast<bool>(tracker.check_and_add(sequence[i])) ? 1 : 0;
    }
    benchmark::DoNotOptimize(barriers);
  }
  using benchmark::Counter;
  const auto dispatches = static_cast<double>(sequence.size());
  state.counters["per_dispatch"] =
      Counter(dispatches, Counter::kIsIterationInvariantRate | Counter::kInvert);
  state.counters["ranges"] = static_cast<double>(sequence.range_count()) / dispatches;
  state.counters["barriers"] = static_cast<double>(barriers);
}

/// Prints the usual table, then tracker against flat list.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const bool whole = run.repetitions <= 1 || run.aggregate_name == "median";
      if (whole) seconds_[run.run_name.function_name] = run.counters.at("per_dispatch").value;
    }
  }
  void Finalize() override {
    constexpr std::string_view kTracker = "tracker/";
    for (const auto& [name, seconds] : seconds_) {
      if (!name.starts_with(kTracker)) continue;
      const auto flat = seconds_.find("flat_list/" + name.substr(kTracker.size()));
      if (flat == seconds_.end()) continue;
      GetOutputStream() << fmt::format(
          "{:>14}: tracker {:6.1f} ns per dispatch, flat list {:7.1f} ns, {:.1f} times the "
          "tracker\n",
          name.substr(kTracker.size()), 1e9 * seconds, 1e9 * flat->second, flat->second / seconds);
    }
  }

 private:
  std::map<std::string, double> seconds_;
};

void register_pair(const std::string& name, const RangeSequence& sequence) {
  benchmark::RegisterBenchmark(("tracker/" + name).c_str(), measure<HazardTracker>, sequence);
  benchmark::RegisterBenchmark(("flat_list/" + name).c_str(), measure<FlatList>, sequence);
}

}  // namespace
}  // namespace segue::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  using namespace segue::bench;
  register_pair("decoder_1500", decoder_sequence());
  for (const std::uint32_t length : {1u, 16u, 256u}) {
    register_pair("group_" + std::to_string(length), grouped_sequence(length));
  }
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
}
