// SPDX-License-Identifier: Apache-2.0
#include "backends/host/executor.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "backends/host/command_runner.hpp"

namespace segue::host {
namespace {

// A smaller group is done before a second thread pays: handing over and joining take 0.3 to 1 us
// together between two threads that are awake, in which one core reads 10 to 40 KiB of weights.
constexpr std::uint64_t kSharedFromBytes = std::uint64_t{128} << 10;
// Smaller chunks cost more to claim and to call than they balance.
constexpr std::uint64_t kMinChunkBytes = std::uint64_t{32} << 10;
// What calling a kernel costs, in bytes that could have been read meanwhile.
constexpr std::uint64_t kCallBytes = 512;
constexpr std::uint64_t kChunksPerThread = 4;  // enough to balance threads of unequal speed
constexpr std::uint64_t kMaxTargetChunks = ThreadTeam::kMaxSharedChunks / 4;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

hal::Outcome Executor::run(const hal::Job& job) {
  hal::Outcome outcome;
  outcome.start_seconds = seconds_now();
  if (context_.faults.fails("device")) context_.lost.store(true, std::memory_order_release);
  if (Result<> alive = context_.check_alive(); !alive) {
    outcome.error = std::move(alive).error();
  } else {
    outcome.command_buffers = 1;
    linked_ = job.program == nullptr
                  ? nullptr
                  : &static_cast<HostProgram*>(job.program)->instance(job.instance);
    if (linked_ != nullptr) linked_->load(job.loads);
    start_timing(job);
    run_groups(*job.plan, job.time_barriers, outcome);
    finish_timing(job, outcome);
    if (failed_.load(std::memory_order_relaxed)) {
      outcome.error = std::exchange(error_, std::nullopt);
      failed_.store(false, std::memory_order_relaxed);
    }
  }
  outcome.end_seconds = seconds_now();
  return outcome;
}

void Executor::start_timing(const hal::Job& job) {
  time_commands_ = job.time_commands;
  if (time_commands_) times_.assign(job.plan->list->size(), {});
}

void Executor::finish_timing(const hal::Job& job, hal::Outcome& outcome) {
  if (!time_commands_) return;
  for (const std::uint32_t index : job.plan->order) {
    if (times_[index].end_seconds == 0) continue;  // a command before it failed
    times_[index].command = index;
    outcome.command_times.push_back(times_[index]);
  }
}

/// The time of a command is from the first of its parts to the last.
void Executor::run_timed(std::uint32_t index, std::uint64_t part_begin, std::uint64_t part_end,
                         Scratch& scratch) {
  const double start = seconds_now();
  run_command(index, part_begin, part_end, scratch);
  const double end = seconds_now();
  const std::lock_guard lock(times_mutex_);
  hal::CommandTime& time = times_[index];
  time.start_seconds = time.end_seconds == 0 ? start : std::min(time.start_seconds, start);
  time.end_seconds = std::max(time.end_seconds, end);
}

std::uint64_t Executor::work(std::uint32_t index) const {
  return linked_ != nullptr ? linked_->work(index) : work_bytes(*list_, list_->commands()[index]);
}

void Executor::run_groups(const ir::Plan& plan, bool time_barriers, hal::Outcome& outcome) {
  list_ = plan.list;
  const std::size_t group_count = plan.group_count();
  for (std::size_t g = 0; g < group_count; ++g) {
    const std::span<const std::uint32_t> group = plan.group(g);
    start_group(group);
    if (g + 1 == group_count) break;
    ++outcome.barriers_issued;
    if (time_barriers) {
      const auto begin = std::chrono::steady_clock::now();
      issue_barrier();
      const auto elapsed = std::chrono::steady_clock::now() - begin;
      outcome.barrier_ns += static_cast<std::uint64_t>(std::chrono::nanoseconds(elapsed).count());
    } else {
      issue_barrier();
    }
    if (failed_.load(std::memory_order_relaxed)) return;
  }
  join();
}

/// Everything of the group is done, and visible to all threads, when it returns. Not inlined, so
/// that profilers show what barriers cost.
[[gnu::noinline]] void Executor::issue_barrier() { join(); }

void Executor::join() {
  if (!team_at_work_) return;
  context_.team.join();
  team_at_work_ = false;
}

void Executor::start_group(std::span<const std::uint32_t> group) {
  group_ = group;
  switch (context_.team.thread_count() == 1 ? Parallelism::kNever : context_.parallelism) {
    case Parallelism::kNever:
      if (!context_.reverse_groups) break;
      reversed_.assign(group.rbegin(), group.rend());
      group_ = reversed_;
      break;
    case Parallelism::kAuto:
      if (start_shared()) return;
      break;
    case Parallelism::kAlways:
      if (group.size() < 2) break;  // The first command of a group is the calling thread's.
      return start_fixed();
  }
  run_guarded({0, static_cast<std::uint32_t>(group.size()), 0, kAllParts}, scratch_);
}

void Executor::start_fixed() {
  const std::span<const std::uint32_t> group = group_;
  for (std::size_t begin = 0; begin < group.size(); begin += ThreadTeam::kMaxFixedChunks) {
    join();
    group_ = group.subspan(
        begin, std::min<std::size_t>(group.size() - begin, ThreadTeam::kMaxFixedChunks));
    chunks_.clear();
    for (std::uint32_t i = 0; i < group_.size(); ++i) chunks_.push_back({i, i + 1, 0, kAllParts});
    context_.team.acquire();
    team_at_work_ = true;
    context_.team.start(*this, static_cast<std::uint32_t>(chunks_.size()), Assignment::kFixed,
                        scratch_);
  }
}

bool Executor::start_shared() {
  std::uint64_t total = 0;
  for (const std::uint32_t index : group_) total += work(index);
  if (total < kSharedFromBytes) return false;
  const std::uint64_t target_chunks =
      std::min(context_.team.thread_count() * kChunksPerThread, kMaxTargetChunks);
  cut(std::max(total / target_chunks, kMinChunkBytes));
  if (chunks_.size() < 2 || !context_.team.try_acquire()) return false;
  team_at_work_ = true;
  context_.team.start(*this, static_cast<std::uint32_t>(chunks_.size()), Assignment::kShared,
                      scratch_);
  return true;
}

/// Cuts the group into chunks of about `chunk_bytes` of work: commands that are larger by their
/// parts, runs of smaller ones together. At most 4 chunks for each that the total would fill.
void Executor::cut(std::uint64_t chunk_bytes) {
  chunks_.clear();
  std::uint32_t run_begin = 0;
  std::uint64_t run_bytes = 0;
  const auto end_run = [&](std::uint32_t end) {
    if (end != run_begin) chunks_.push_back({run_begin, end, 0, kAllParts});
    run_begin = end;
    run_bytes = 0;
  };
  for (std::uint32_t i = 0; i < group_.size(); ++i) {
    const ir::Command& command = list_->commands()[group_[i]];
    const std::uint64_t bytes = work(group_[i]);
    if (bytes < chunk_bytes) {
      run_bytes += bytes + kCallBytes;
      if (run_bytes >= chunk_bytes) end_run(i + 1);
      continue;
    }
    end_run(i);
    const std::uint64_t parts = part_count(*list_, command);
    const std::uint64_t pieces = std::clamp<std::uint64_t>((bytes + chunk_bytes / 2) / chunk_bytes,
                                                           1, std::max<std::uint64_t>(parts, 1));
    for (std::uint64_t piece = 0; piece < pieces; ++piece) {
      chunks_.push_back({i, i + 1, parts / pieces * piece + std::min(piece, parts % pieces),
                         parts / pieces * (piece + 1) + std::min(piece + 1, parts % pieces)});
    }
    run_begin = i + 1;
  }
  end_run(static_cast<std::uint32_t>(group_.size()));
}

void Executor::run_chunk(std::uint32_t chunk, Scratch& scratch) noexcept {
  run_guarded(chunks_[chunk], scratch);
}

void Executor::run_guarded(const Chunk& chunk, Scratch& scratch) noexcept {
  std::uint32_t index = 0;
  try {
    for (std::uint32_t i = chunk.begin; i < chunk.end; ++i) {
      index = group_[i];
      if (time_commands_) [[unlikely]]
        run_timed(index, chunk.part_begin, chunk.part_end, scratch);
      else
        run_command(index, chunk.part_begin, chunk.part_end, scratch);
    }
  } catch (const std::exception& exception) {
    fail(index, exception.what());
  } catch (...) {
    fail(index, "an exception of unknown type");
  }
}

void Executor::run_command(std::uint32_t index, std::uint64_t part_begin, std::uint64_t part_end,
                           Scratch& scratch) {
  const ir::Command& command = list_->commands()[index];
  if (context_.faults.armed() && command.is_dispatch() && context_.faults.fails("run_kernel"))
      [[unlikely]] {
    throw std::runtime_error("HostOptions::fail_call fails \"run_kernel\"");
  }
  if (linked_ != nullptr)
    linked_->run(index, part_begin, part_end, scratch);
  else
    run_parts(*list_, command, part_begin, part_end, scratch);
}

void Executor::fail(std::uint32_t index, std::string_view what) noexcept {
  const ir::Command& command = list_->commands()[index];
  Error error;
  error.code = ErrorCode::kBackend;
  error.message = command.is_dispatch() ? fmt::format("Kernel \"{}\" fails with an exception: {}.",
                                                      command.kernel->name, what)
                                        : fmt::format("A {} command fails with an exception: {}.",
                                                      ir::to_string(command.kind), what);
  error.label_path = list_->label_path(command);
  error.dispatch_index = index;
  error.native = NativeError{"host", 0, std::string(what)};
  const std::lock_guard lock(error_mutex_);
  if (!error_ || index < error_->dispatch_index) error_ = std::move(error);
  failed_.store(true, std::memory_order_relaxed);
}

}  // namespace segue::host
