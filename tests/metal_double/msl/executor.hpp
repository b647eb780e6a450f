// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "metal_double/msl/fibers.hpp"
#include "metal_double/msl/module.hpp"
#include "segue_msl/abi.hpp"

namespace metal_double::msl {

inline constexpr unsigned kMaxGroupThreads = 1024;

/// Runs the threads of one group at a time, each on a fiber of its own, all on the calling thread.
///
/// A thread runs until it has to wait. Then another lane of its SIMD group runs, and when none of
/// them can, another SIMD group. An operation of a SIMD group is done when all of its lanes have
/// come to it, returned, or wait at a barrier; a barrier, when all threads of the group have come
/// to it.
class Executor {
 public:
  Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor();

  /// Empty, or why the group cannot go on.
  std::string run(const segue_msl::Group& group, const segue_msl::FunctionEntry& function,
                  ThreadOrder order);

  /// What modules call.
  static const segue_msl::Runtime& runtime();

 private:
  struct Simdgroup;
  struct Lane;

  void prepare(const segue_msl::Group& group);
  void place_threads(const segue_msl::Group& group);
  void add_lanes(unsigned count);
  Lane& next_lane(Simdgroup& simdgroup);
  Lane* next_after(Simdgroup& simdgroup);
  void complete(Simdgroup& simdgroup);
  void release_barrier();
  void wait_at_exchange(Lane& lane, Simdgroup& simdgroup, std::uint64_t site);
  void wait_at_barrier(Lane& lane, unsigned line);
  void go_on(Lane& from, Lane& to);
  void finish(Lane& lane);
  void fail(Lane& lane, std::string error);

  static Lane& caller();
  static segue_msl::Exchange* exchange_word(unsigned value, unsigned operation, unsigned line);
  static segue_msl::Exchange* exchange_wide(unsigned long long low, unsigned long long high,
                                            unsigned operation, unsigned line);
  static void barrier(unsigned line);
  static void run_lane();

  Lane* current_ = nullptr;
  std::uint32_t ready_groups_ = 0;
  bool reversed_ = false;
  unsigned at_barrier_ = 0;
  unsigned barrier_line_ = 0;
  unsigned thread_count_ = 0;
  unsigned finished_ = 0;
  const segue_msl::Group* group_ = nullptr;
  const segue_msl::FunctionEntry* function_ = nullptr;
  segue_msl::Uint3 placed_ = {0, 0, 0};  // the group size that the lanes' positions are for
  Fiber host_;
  std::string error_;
  std::unique_ptr<Simdgroup[]> simdgroups_;
  std::unique_ptr<Lane[]> lanes_;
  unsigned lane_count_ = 0;  // that have stacks
  std::unique_ptr<FiberStacks> stacks_;
};

/// Executors that are not at work. Their stacks are costly to make.
class ExecutorPool {
 public:
  static std::unique_ptr<Executor> take();
  static void give_back(std::unique_ptr<Executor> done);
};

}  // namespace metal_double::msl
