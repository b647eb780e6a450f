// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "backends/host/host_context.hpp"
#include "backends/host/host_program.hpp"
#include "backends/host/scratch.hpp"
#include "hal/hal.hpp"
#include "ir/plan.hpp"

namespace segue::host {

/// Runs plans, one at a time: group after group, the commands of a group on as many threads as pay.
class Executor final : private ChunkRunner {
 public:
  explicit Executor(HostContext& context) : context_(context) {}

  /// Runs all of a job's plan, or up to the first group in which a kernel failed.
  [[nodiscard]] hal::Outcome run(const hal::Job& job);

 private:
  /// Parts `[part_begin, part_end)` of the commands `[begin, end)` of the group; more than one
  /// command only as a whole.
  struct Chunk {
    std::uint32_t begin = 0, end = 0;
    std::uint64_t part_begin = 0, part_end = 0;
  };

  void run_timed(std::uint32_t index, std::uint64_t part_begin, std::uint64_t part_end,
                 Scratch& scratch);
  [[nodiscard]] std::uint64_t work(std::uint32_t index) const;
  void start_timing(const hal::Job& job);
  void finish_timing(const hal::Job& job, hal::Outcome& outcome);
  void run_groups(const ir::Plan& plan, bool time_barriers, hal::Outcome& outcome);
  void start_group(std::span<const std::uint32_t> group);
  [[nodiscard]] bool start_shared();
  void start_fixed();
  void cut(std::uint64_t chunk_bytes);
  void issue_barrier();
  void join();

  void run_chunk(std::uint32_t chunk, Scratch& scratch) noexcept override;
  void run_guarded(const Chunk& chunk, Scratch& scratch) noexcept;
  void run_command(std::uint32_t index, std::uint64_t part_begin, std::uint64_t part_end,
                   Scratch& scratch);
  void fail(std::uint32_t index, std::string_view what) noexcept;

  HostContext& context_;
  Scratch scratch_;  // of the thread that runs the plan
  const ir::CommandList* list_ = nullptr;
  LinkedInstance* linked_ = nullptr;  // of a replay
  std::span<const std::uint32_t> group_;
  std::vector<Chunk> chunks_;
  std::vector<std::uint32_t> reversed_;  // the group, if it runs in reverse
  bool team_at_work_ = false;

  std::mutex error_mutex_;
  std::atomic<bool> failed_{false};
  bool time_commands_ = false;
  std::mutex times_mutex_;
  std::vector<hal::CommandTime> times_;  // by position in the list; end 0: has not run
  std::optional<Error> error_;           // of the failed command that was recorded first
};

}  // namespace segue::host
