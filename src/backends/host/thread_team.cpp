// SPDX-License-Identifier: Apache-2.0
#include "backends/host/thread_team.hpp"

#include <exception>

#include "backends/host/system_info.hpp"

namespace segue::host {
namespace {

// The word that publishes a group: 47 bits generation, 1 bit assignment, 16 bits chunk count. All
// ones: go home.
constexpr std::uint64_t kStop = ~std::uint64_t{0};

constexpr std::uint64_t pack(std::uint64_t generation, Assignment assignment,
                             std::uint32_t chunk_count) {
  return generation << 17 | std::uint64_t{assignment == Assignment::kFixed} << 16 | chunk_count;
}
constexpr std::uint64_t generation_of(std::uint64_t group) { return group >> 17; }
constexpr bool is_fixed(std::uint64_t group) { return (group >> 16 & 1) != 0; }
constexpr std::uint32_t chunk_count_of(std::uint64_t group) { return group & 0xFFFF; }

/// Spinning helps only if the thread waited for runs meanwhile.
constexpr unsigned spins_if(bool useful, unsigned spins) { return useful ? spins : 0; }

}  // namespace

ThreadTeam::ThreadTeam(unsigned thread_count, const FaultHook& faults)
    : faults_(faults),
      thread_count_(thread_count),
      idle_limits_{spins_if(thread_count <= usable_processor_count(), 256), 2000},
      join_limits_{spins_if(thread_count <= usable_processor_count(), 256), 200},
      claims_(thread_count > 1 ? kMaxSharedChunks : 0) {}

ThreadTeam::~ThreadTeam() {
  group_.store(kStop);
  {
    const std::lock_guard lock(sleep_mutex_);
    wake_.notify_all();
  }
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadTeam::start_helpers() {
  helpers_started_ = true;
  try {
    helpers_.reserve(thread_count_ - 1);
    for (unsigned lane = 1; lane < thread_count_; ++lane) {
      if (faults_.fails("create_thread")) return;
      helpers_.emplace_back([this, lane] { help(lane); });
      lanes_ = lane + 1;
    }
  } catch (const std::exception&) {  // No thread or memory left: those that run must do.
  }
}

void ThreadTeam::start(ChunkRunner& runner, std::uint32_t chunk_count, Assignment assignment,
                       Scratch& scratch) {
  if (!helpers_started_) start_helpers();
  runner_ = &runner;
  unfinished_.store(chunk_count, std::memory_order_relaxed);
  const std::uint64_t group = pack(++generation_, assignment, chunk_count);
  // Sequentially consistent with a helper that counts itself as asleep and then looks at the word
  // once more.
  group_.store(group);
  if (sleepers_.load() != 0) {
    const std::lock_guard lock(sleep_mutex_);
    wake_.notify_all();
  }
  run_lane(group, 0, scratch);
}

void ThreadTeam::join() {
  const auto finished = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
  if (!spin_until(join_limits_, finished)) {
    for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;
         left = unfinished_.load(std::memory_order_acquire)) {
      unfinished_.wait(left, std::memory_order_acquire);
    }
  }
  owner_.unlock();
}

void ThreadTeam::help(unsigned lane) {
  name_this_thread("segue-helper");
  Scratch scratch;
  for (std::uint64_t seen = 0;;) {
    seen = wait_for_group(seen);
    if (seen == kStop) return;
    run_lane(seen, lane, scratch);
  }
}

std::uint64_t ThreadTeam::wait_for_group(std::uint64_t seen) {
  std::uint64_t group = seen;
  const auto published = [&] { return (group = group_.load(std::memory_order_acquire)) != seen; };
  if (spin_until(idle_limits_, published)) return group;
  std::unique_lock lock(sleep_mutex_);
  sleepers_.fetch_add(1);
  wake_.wait(lock, [&] { return (group = group_.load()) != seen; });
  sleepers_.fetch_sub(1);
  return group;
}

void ThreadTeam::run_lane(std::uint64_t group, unsigned lane, Scratch& scratch) {
  const std::uint32_t done =
      is_fixed(group) ? run_fixed(group, lane, scratch) : run_shared(group, lane, scratch);
  if (done == 0) return;
  if (unfinished_.fetch_sub(done, std::memory_order_release) == done && lane != 0)
    unfinished_.notify_one();
}

std::uint32_t ThreadTeam::run_fixed(std::uint64_t group, unsigned lane, Scratch& scratch) {
  std::uint32_t done = 0;
  const std::uint32_t count = chunk_count_of(group);
  // A helper that comes too late for its group has no chunk in it, or the group would still be
  // open; then lanes_ and runner_ may be changing and are not read.
  if (lane >= count) return 0;
  for (std::uint32_t chunk = lane; chunk < count; chunk += lanes_, ++done)
    runner_->run_chunk(chunk, scratch);
  return done;
}

std::uint32_t ThreadTeam::run_shared(std::uint64_t group, unsigned lane, Scratch& scratch) {
  const std::uint32_t count = chunk_count_of(group);
  const std::uint64_t generation = generation_of(group);
  std::uint32_t done = 0;
  const auto try_chunk = [&](std::uint32_t chunk) {
    std::atomic<std::uint64_t>& claim = claims_[chunk].generation;
    std::uint64_t last = claim.load(std::memory_order_relaxed);
    // All chunks of an old group are claimed, so a helper that is late finds nothing to take.
    if (last >= generation ||
        !claim.compare_exchange_strong(last, generation, std::memory_order_relaxed))
      return;
    runner_->run_chunk(chunk, scratch);
    ++done;
  };
  // First the own stretch upwards, then everybody else's from its end, where its owner comes last.
  const std::uint32_t begin = count * lane / thread_count_;
  const std::uint32_t end = count * (lane + 1) / thread_count_;
  for (std::uint32_t chunk = begin; chunk < end; ++chunk) try_chunk(chunk);
  for (std::uint32_t i = 1; i <= count - (end - begin); ++i) try_chunk((begin + count - i) % count);
  return done;
}

}  // namespace segue::host
