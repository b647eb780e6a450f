// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hal/hal.hpp"
#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "runtime/device_core.hpp"
#include "runtime/timeline_state.hpp"
#include "segue/ref.hpp"
#include "segue/submission.hpp"

namespace segue::runtime {

/// Marks the thread, while it lives, as one that runs a device's work: a device that goes on it
/// must not wait for that work there.
class DeviceThreadScope {
 public:
  DeviceThreadScope() { ++depth; }
  DeviceThreadScope(const DeviceThreadScope&) = delete;
  DeviceThreadScope& operator=(const DeviceThreadScope&) = delete;
  ~DeviceThreadScope() { --depth; }
  [[nodiscard]] static bool active() { return depth != 0; }

 private:
  static inline thread_local unsigned depth = 0;
};

class ExecutableState;

/// One recording, or one replay of an executable, on its way: filled by an encoder, submitted,
/// completed, and then used again for the next recording, so that recording allocates nothing in
/// steady state. Does not own the device, whose queues finish it before they go.
class SubmissionState final : public base::RefCounted, public hal::Job {
 public:
  explicit SubmissionState(DeviceCore& core) : core_(core) {}

  ir::CommandList list;
  ir::Plan recorded_plan;
  std::string label;
  std::uint64_t serial = 0;
  hal::Queue* queue = nullptr;
  unsigned queue_index = 0;
  std::vector<base::Ref<SubmissionState>>
      predecessors;  ///< On other queues; what Job::waits points to.
  std::vector<hal::Job*> wait_list;
  TimelineUses timelines;  ///< What Job::timeline_waits and timeline_signals point to.
  /// A replay: what it plays back, kept alive until it completed; the list is empty then.
  std::shared_ptr<ExecutableState> replayed;
  std::span<const ir::ResourceUse> replay_resources;
  /// The part of an early start that was submitted before; waited for with this one.
  base::Ref<SubmissionState> first_part;
  std::uint32_t first_command = 0;  ///< Commands that the first part has.
  bool retired = false;  ///< DeviceCore's, under its lock: `list` is not to be read any more.
  /// Builds with lifetime checks only: the caller promised to keep buffers alive, so watch that it
  /// does.
  bool check_lifetimes = false;

  /// What the submission touches.
  [[nodiscard]] std::span<const ir::ResourceUse> resources() const {
    return replayed ? replay_resources : list.resources();
  }

  void complete(hal::Outcome&& outcome) noexcept override;
  using RefCounted::release_undestroyed;

  /// Blocks until complete() was called, whichever thread runs the work.
  void wait_completed() const { completed.wait(false, std::memory_order_acquire); }
  [[nodiscard]] bool done() const { return completed.load(std::memory_order_acquire); }
  /// Valid once done().
  [[nodiscard]] const hal::Outcome& outcome() const { return outcome_; }
  /// Valid once done(); empty unless Job::time_commands.
  [[nodiscard]] const std::vector<DispatchTime>& dispatch_times() const { return dispatch_times_; }
  /// What a waiter gets: nothing, or the error. It counts as observed then.
  [[nodiscard]] Result<> result();
  /// Its handle goes: an error that nobody saw, now or later, goes to the device's error handler.
  void abandon() noexcept;
  /// Calls `callback` with the result when complete() is called, or at once if it was.
  void on_complete(CompletionCallback callback);
  /// The error of the first buffer whose last handle has gone too early, if any.
  [[nodiscard]] std::optional<Error> find_freed_buffer() const;
  /// Empties it for the next recording.
  void reset(bool retain);

 protected:
  /// Goes back to the device's free recordings.
  void destroy() noexcept override;

 private:
  enum Flag : std::uint8_t { kAbandoned = 1, kFinished = 2, kHasCallbacks = 4 };
  void report_if_unseen() noexcept;
  void finish_replay() noexcept;
  void collect_times();
  void settle_timelines() noexcept;
  void run_callbacks() noexcept;

  DeviceCore& core_;
  hal::Outcome outcome_;
  std::vector<DispatchTime> dispatch_times_;
  std::atomic<bool> error_observed_{false};
  /// Whoever sets the second of kAbandoned and kFinished reports, and of kFinished and
  /// kHasCallbacks calls.
  std::atomic<std::uint8_t> flags_{0};
  std::mutex callbacks_mutex_;
  std::vector<CompletionCallback> callbacks_;
};

/// How errors name a submission: `submission "token"`, or by its number.
[[nodiscard]] std::string describe(const SubmissionState& submission);

}  // namespace segue::runtime
