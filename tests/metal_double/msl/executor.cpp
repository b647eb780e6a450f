// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/executor.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

namespace metal_double::msl {
namespace {

using segue_msl::Exchange;
using segue_msl::kSimdWidth;

constexpr unsigned kMaxSimdgroups = kMaxGroupThreads / kSimdWidth;

/// Which operation a lane has come to: what it does, in which line, and with values of which size.
std::uint64_t site_of(unsigned operation, unsigned line, bool wide) {
  return std::uint64_t{line} << 8 | operation << 1 | (wide ? 1u : 0u);
}
unsigned line_of(std::uint64_t site) { return static_cast<unsigned>(site >> 8); }

std::uint32_t first_bits(unsigned count) { return count < 32 ? (1u << count) - 1 : ~0u; }

thread_local Executor* executor = nullptr;  // whose group runs on this thread

}  // namespace

/// Lanes as bits. A lane that returned is in none of the sets.
struct alignas(64) Executor::Simdgroup {
  std::uint32_t ready = 0;
  std::uint32_t at_exchange = 0;
  std::uint32_t at_barrier = 0;
  std::uint32_t turn = 0;  // which exchange is the next
  std::uint64_t site = 0;
  unsigned index = 0;
  // Two, for lanes come to the next operation while others have yet to read what this one brought.
  std::array<Exchange, 2> exchanges{};
};

struct Executor::Lane {
  Fiber fiber;
  Simdgroup* simdgroup = nullptr;
  unsigned index = 0;  // in its SIMD group
  segue_msl::Thread thread{};

  std::uint32_t bit() const { return 1u << index; }
};

Executor::Executor()
    : simdgroups_(std::make_unique<Simdgroup[]>(kMaxSimdgroups)),
      lanes_(std::make_unique<Lane[]>(kMaxGroupThreads)),
      stacks_(std::make_unique<FiberStacks>(kMaxGroupThreads)) {
  for (unsigned i = 0; i < kMaxSimdgroups; ++i) simdgroups_[i].index = i;
}

Executor::~Executor() = default;

void Executor::add_lanes(unsigned count) {
  // Stacks lie a power of two apart. If all began at the same offset, they would fight for few
  // lines of the caches.
  constexpr std::size_t kShift = 17 * 64;
  constexpr std::size_t kShiftLimit = 16 * 1024;
  for (; lane_count_ < count; ++lane_count_) {
    Lane& lane = lanes_[lane_count_];
    lane.simdgroup = &simdgroups_[lane_count_ / kSimdWidth];
    lane.index = lane_count_ % kSimdWidth;
    lane.fiber.prepare((*stacks_)[lane_count_], FiberStacks::size(),
                       lane_count_ * kShift % kShiftLimit, &Executor::run_lane);
  }
}

void Executor::place_threads(const segue_msl::Group& group) {
  const segue_msl::Uint3 size = group.size;
  if (size.x == placed_.x && size.y == placed_.y && size.z == placed_.z) return;
  placed_ = size;
  for (unsigned i = 0; i < thread_count_; ++i) {
    lanes_[i].thread = {.position = {i % size.x, i / size.x % size.y, i / size.x / size.y},
                        .index = i};
  }
}

void Executor::prepare(const segue_msl::Group& group) {
  group_ = &group;
  thread_count_ = group.size.x * group.size.y * group.size.z;
  finished_ = 0;
  at_barrier_ = 0;
  add_lanes(thread_count_);
  place_threads(group);
  const unsigned count = (thread_count_ + kSimdWidth - 1) / kSimdWidth;
  ready_groups_ = first_bits(count);
  for (unsigned i = 0; i < count; ++i) {
    Simdgroup& simdgroup = simdgroups_[i];
    simdgroup.ready = first_bits(thread_count_ - i * kSimdWidth);
    simdgroup.at_exchange = 0;
    simdgroup.at_barrier = 0;
  }
}

std::string Executor::run(const segue_msl::Group& group, const segue_msl::FunctionEntry& function,
                          ThreadOrder order) {
  reversed_ = order == ThreadOrder::kReversed;
  function_ = &function;
  prepare(group);
  const unsigned first =
      reversed_ ? 31 - std::countl_zero(ready_groups_) : std::countr_zero(ready_groups_);
  Executor* outer = std::exchange(executor, this);
  host_.adopt_thread();
  current_ = &next_lane(simdgroups_[first]);
  host_.switch_to(current_->fiber);
  executor = outer;
  if (error_.empty()) return {};
  // Some fibers will never go on from where they are.
  const unsigned count = std::exchange(lane_count_, 0);
  add_lanes(count);
  return std::exchange(error_, {});
}

Executor::Lane& Executor::next_lane(Simdgroup& simdgroup) {
  const int index =
      reversed_ ? 31 - std::countl_zero(simdgroup.ready) : std::countr_zero(simdgroup.ready);
  return lanes_[simdgroup.index * kSimdWidth + static_cast<unsigned>(index)];
}

/// All that can come to the exchange are there.
void Executor::complete(Simdgroup& simdgroup) {
  Exchange& exchange = simdgroup.exchanges[simdgroup.turn];
  exchange.active = simdgroup.at_exchange;
  exchange.reduced = false;
  simdgroup.ready = simdgroup.at_exchange;
  simdgroup.at_exchange = 0;
  simdgroup.turn ^= 1;
}

void Executor::release_barrier() {
  const unsigned count = (thread_count_ + kSimdWidth - 1) / kSimdWidth;
  for (unsigned i = 0; i < count; ++i) {
    simdgroups_[i].ready = std::exchange(simdgroups_[i].at_barrier, 0);
  }
  ready_groups_ = first_bits(count);
  at_barrier_ = 0;
}

/// Who goes on when a lane of `simdgroup` cannot; nullptr if none can.
Executor::Lane* Executor::next_after(Simdgroup& simdgroup) {
  if (simdgroup.ready == 0 && simdgroup.at_exchange != 0) complete(simdgroup);
  if (simdgroup.ready != 0) return &next_lane(simdgroup);
  ready_groups_ &= ~(1u << simdgroup.index);
  if (ready_groups_ == 0) {
    if (at_barrier_ != thread_count_) return nullptr;
    release_barrier();
  }
  const int index =
      reversed_ ? 31 - std::countl_zero(ready_groups_) : std::countr_zero(ready_groups_);
  return &next_lane(simdgroups_[static_cast<unsigned>(index)]);
}

void Executor::go_on(Lane& from, Lane& to) {
  if (&from == &to) return;
  current_ = &to;
  from.fiber.switch_to(to.fiber);
}

void Executor::wait_at_exchange(Lane& lane, Simdgroup& simdgroup, std::uint64_t site) {
  if (simdgroup.at_exchange == 0) {
    simdgroup.site = site;
  } else if (simdgroup.site != site) {
    fail(lane,
         fmt::format("divergent simdgroup operation: lanes of SIMD group {} are at line {} and "
                     "at line {} at the same time",
                     simdgroup.index, line_of(simdgroup.site), line_of(site)));
  }
  simdgroup.at_exchange |= lane.bit();
  simdgroup.ready &= ~lane.bit();
  if (simdgroup.ready == 0) {
    complete(simdgroup);
  } else {
    go_on(lane, next_lane(simdgroup));
  }
}

void Executor::wait_at_barrier(Lane& lane, unsigned line) {
  if (at_barrier_ == 0) {
    barrier_line_ = line;
  } else if (barrier_line_ != line) {
    fail(lane,
         fmt::format("divergent barrier: some threads wait at the barrier of line {}, others at "
                     "that of line {}",
                     barrier_line_, line));
  }
  ++at_barrier_;
  Simdgroup& simdgroup = *lane.simdgroup;
  simdgroup.at_barrier |= lane.bit();
  simdgroup.ready &= ~lane.bit();
  if (Lane* next = next_after(simdgroup); next != nullptr) {
    go_on(lane, *next);
  } else {
    fail(lane,
         fmt::format("divergent barrier: {} of {} threads returned while {} wait at the barrier "
                     "of line {}",
                     finished_, thread_count_, at_barrier_, barrier_line_));
  }
}

void Executor::finish(Lane& lane) {
  ++finished_;
  lane.simdgroup->ready &= ~lane.bit();
  if (Lane* next = next_after(*lane.simdgroup); next != nullptr) {
    go_on(lane, *next);
  } else if (finished_ == thread_count_) {
    lane.fiber.switch_to(host_);
  } else {
    fail(lane,
         fmt::format("divergent barrier: {} of {} threads returned while {} wait at the barrier "
                     "of line {}",
                     finished_, thread_count_, at_barrier_, barrier_line_));
  }
}

/// Leaves the group as it is, for good.
void Executor::fail(Lane& lane, std::string error) {
  error_ = std::move(error);
  lane.fiber.switch_to(host_);
}

/// The lane that calls.
Executor::Lane& Executor::caller() {
  if (executor != nullptr) [[likely]]
    return *executor->current_;
  fmt::print(stderr, "A kernel without fibers calls a barrier or an operation of SIMD groups.\n");
  std::abort();
}

Exchange* Executor::exchange_word(unsigned value, unsigned operation, unsigned line) {
  Lane& lane = caller();
  Simdgroup& simdgroup = *lane.simdgroup;
  Exchange& exchange = simdgroup.exchanges[simdgroup.turn];
  exchange.words[lane.index] = value;
  executor->wait_at_exchange(lane, simdgroup, site_of(operation, line, false));
  exchange.lane = lane.index;
  return &exchange;
}

Exchange* Executor::exchange_wide(unsigned long long low, unsigned long long high,
                                  unsigned operation, unsigned line) {
  Lane& lane = caller();
  Simdgroup& simdgroup = *lane.simdgroup;
  Exchange& exchange = simdgroup.exchanges[simdgroup.turn];
  exchange.wide[lane.index][0] = low;
  exchange.wide[lane.index][1] = high;
  executor->wait_at_exchange(lane, simdgroup, site_of(operation, line, true));
  exchange.lane = lane.index;
  return &exchange;
}

void Executor::barrier(unsigned line) {
  Lane& lane = caller();
  executor->wait_at_barrier(lane, line);
}

void Executor::run_lane() {
  Fiber::arrived();
  while (true) {
    Lane& lane = *executor->current_;
    executor->function_->run_thread(*executor->group_, lane.thread);
    executor->finish(lane);
  }
}

const segue_msl::Runtime& Executor::runtime() {
  static constexpr segue_msl::Runtime kRuntime = {.exchange_word = &Executor::exchange_word,
                                                  .exchange_wide = &Executor::exchange_wide,
                                                  .barrier = &Executor::barrier};
  return kRuntime;
}

namespace {

struct Idle {
  std::mutex mutex;
  std::vector<std::unique_ptr<Executor>> executors;
};

Idle& idle() {
  static Idle all;
  return all;
}

}  // namespace

std::unique_ptr<Executor> ExecutorPool::take() {
  Idle& all = idle();
  const std::scoped_lock lock(all.mutex);
  if (all.executors.empty()) return std::make_unique<Executor>();
  std::unique_ptr<Executor> last = std::move(all.executors.back());
  all.executors.pop_back();
  return last;
}

void ExecutorPool::give_back(std::unique_ptr<Executor> done) {
  Idle& all = idle();
  const std::scoped_lock lock(all.mutex);
  all.executors.push_back(std::move(done));
}

}  // namespace metal_double::msl
