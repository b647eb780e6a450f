// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/host/fault.hpp"
#include "backends/host/scratch.hpp"
#include "backends/host/spin.hpp"

namespace segue::host {

/// Work in numbered chunks that may run on any thread in any order.
class ChunkRunner {
 public:
  virtual void run_chunk(std::uint32_t chunk, Scratch& scratch) noexcept = 0;

 protected:
  ~ChunkRunner() = default;
};

/// Which thread runs which chunk.
enum class Assignment : std::uint8_t {
  kShared,  ///< Whoever is free takes the next one, beginning with its own stretch, so that caches
            ///< stay warm.
  kFixed,   ///< Chunk i on thread i modulo the number of threads, whatever happens.
};

/// The calling thread and its helpers, who run the chunks of one group at a time.
///
/// A group costs no lock and no system call while helpers are awake: the caller publishes one word,
/// helpers see it, chunks are claimed by an atomic exchange each, and the caller waits until all
/// are done. With kShared nobody waits for a helper that has not shown up: the caller runs what is
/// left. Chunks are claimed with relaxed order, so that only start() and join() order them against
/// each other, and the thread sanitizer sees a missing barrier as a race.
///
/// Helpers start with the first group. Where the system refuses a thread, the team is as large as
/// it got. Thread-safe in that only one thread holds the team, from acquire() to join().
class ThreadTeam {
 public:
  /// Chunks of one start() with Assignment::kShared and kFixed.
  static constexpr std::uint32_t kMaxSharedChunks = 1024;
  static constexpr std::uint32_t kMaxFixedChunks = 0xFFFF;

  /// `thread_count` counts the caller.
  ThreadTeam(unsigned thread_count, const FaultHook& faults);
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  /// Threads that work on a group if all show up, the caller's included.
  [[nodiscard]] unsigned thread_count() const { return thread_count_; }

  /// Takes the team for one group; false if another queue has it. Follow with start() and join().
  [[nodiscard]] bool try_acquire() { return owner_.try_lock(); }
  void acquire() { owner_.lock(); }
  /// Hands out the chunks and runs the caller's part of them. Helpers may still be at work when it
  /// returns.
  void start(ChunkRunner& runner, std::uint32_t chunk_count, Assignment assignment,
             Scratch& scratch);
  /// Waits until every chunk is done, and gives the team back.
  void join();

 private:
  struct alignas(64) Claim {
    std::atomic<std::uint64_t> generation{
        0};  ///< Of the last group in which somebody took this chunk.
  };

  void start_helpers();
  void help(unsigned lane);
  [[nodiscard]] std::uint64_t wait_for_group(std::uint64_t seen);
  void run_lane(std::uint64_t group, unsigned lane, Scratch& scratch);
  [[nodiscard]] std::uint32_t run_fixed(std::uint64_t group, unsigned lane, Scratch& scratch);
  [[nodiscard]] std::uint32_t run_shared(std::uint64_t group, unsigned lane, Scratch& scratch);

  const FaultHook& faults_;
  const unsigned thread_count_;
  const SpinLimits idle_limits_;
  const SpinLimits join_limits_;
  std::mutex owner_;  // held from acquire() to join()

  // Written by the owner before it publishes a group.
  ChunkRunner* runner_ = nullptr;
  std::uint64_t generation_ = 0;
  unsigned lanes_ = 1;  // the caller and the helpers that exist
  bool helpers_started_ = false;
  std::vector<std::thread> helpers_;
  std::vector<Claim> claims_;

  alignas(64) std::atomic<std::uint64_t> group_{
      0};  // generation, assignment and chunk count in one word
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};  // chunks of the group

  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> sleepers_{0};
};

}  // namespace segue::host
