// SPDX-License-Identifier: Apache-2.0
#include "segue/counters.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "runtime/device_core.hpp"

namespace segue {

namespace runtime {

namespace {

using Atomics = CounterSet::Atomics;

/// Each counter's two faces. A counter that is missing here fails the test that adds to every one.
constexpr std::array<std::pair<std::uint64_t Counters::*, std::atomic<std::uint64_t> Atomics::*>,
                     10>
    kFields = {{
        {&Counters::syncs, &Atomics::syncs},
        {&Counters::dispatches_recorded, &Atomics::dispatches_recorded},
        {&Counters::dispatches_executed, &Atomics::dispatches_executed},
        {&Counters::command_buffers, &Atomics::command_buffers},
        {&Counters::barriers_issued, &Atomics::barriers_issued},
        {&Counters::barriers_inferred, &Atomics::barriers_inferred},
        {&Counters::concurrent, &Atomics::concurrent},
        {&Counters::boundary_waits, &Atomics::boundary_waits},
        {&Counters::barrier_ns, &Atomics::barrier_ns},
        {&Counters::residency_flushes, &Atomics::residency_flushes},
    }};
static_assert(sizeof(Counters) == kFields.size() * sizeof(std::uint64_t));

constinit Atomics process_atomics;

Counters load(const Atomics& atomics) {
  Counters counters;
  for (const auto& [plain, atomic] : kFields)
    counters.*plain = (atomics.*atomic).load(std::memory_order_relaxed);
  return counters;
}

void clear(Atomics& atomics) {
  for (const auto& [plain, atomic] : kFields) (atomics.*atomic).store(0, std::memory_order_relaxed);
}

}  // namespace

void CounterSet::add(const Counters& delta) {
  for (const auto& [plain, atomic] : kFields) {
    const std::uint64_t value = delta.*plain;
    if (value == 0) continue;
    (atomics_.*atomic).fetch_add(value, std::memory_order_relaxed);
    (process_atomics.*atomic).fetch_add(value, std::memory_order_relaxed);
  }
}

Counters CounterSet::read() const { return load(atomics_); }

void CounterSet::reset() { clear(atomics_); }

void LabelTimes::add(const DispatchTime& time) {
  const std::lock_guard lock(mutex_);
  LabelTime& sum = times_[time.label];
  const double seconds = time.elapsed_seconds();
  sum.min_seconds = sum.count == 0 ? seconds : std::min(sum.min_seconds, seconds);
  sum.max_seconds = std::max(sum.max_seconds, seconds);
  sum.total_seconds += seconds;
  ++sum.count;
}

std::vector<LabelTime> LabelTimes::read() const {
  std::vector<LabelTime> times;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [label, time] : times_) {
      times.push_back(time);
      times.back().label = label;
    }
  }
  std::ranges::sort(times, std::ranges::greater(), &LabelTime::total_seconds);
  return times;
}

void LabelTimes::reset() {
  const std::lock_guard lock(mutex_);
  times_.clear();
}

}  // namespace runtime

Counters process_counters() { return runtime::load(runtime::process_atomics); }

void reset_process_counters() { runtime::clear(runtime::process_atomics); }

}  // namespace segue
