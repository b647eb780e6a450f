// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/index_allocator.hpp"
#include "base/log.hpp"
#include "hal/hal.hpp"
#include "runtime/memory_map.hpp"
#include "segue/counters.hpp"
#include "segue/device.hpp"

namespace segue::runtime {

class SubmissionState;
class TimelineState;

/// DeviceOptions with every gap filled from the environment and the defaults.
struct ResolvedOptions {
  bool automatic_barriers = true;
  bool profile = false;
  bool profile_barriers = false;
  bool unretained = false;
  bool no_residency = false;
  std::string log_level = "warn";
  unsigned queue_count = 1;
  ErrorHandler error_handler;
};

/// The one place where environment variables are read.
///
/// @error kInvalidArgument  A variable has a value that is not understood; the message names it and
/// what is.
[[nodiscard]] Result<ResolvedOptions> resolve_options(const DeviceOptions& options);

/// Counters as threads update them. Each update also goes to the process's own.
class CounterSet {
 public:
  struct Atomics {
    std::atomic<std::uint64_t> syncs{0}, dispatches_recorded{0}, dispatches_executed{0},
        command_buffers{0}, barriers_issued{0}, barriers_inferred{0}, concurrent{0},
        boundary_waits{0}, barrier_ns{0}, residency_flushes{0};
  };
  /// Adds every field of `delta` here and to the process's counters.
  void add(const Counters& delta);
  [[nodiscard]] Counters read() const;
  void reset();

 private:
  Atomics atomics_;
};

/// Device time by label, summed up as submissions complete. Thread-safe.
class LabelTimes {
 public:
  void add(const DispatchTime& time);
  [[nodiscard]] std::vector<LabelTime> read() const;
  void reset();

 private:
  mutable std::mutex mutex_;
  std::map<std::string, LabelTime> times_;
};

/// What buffers need of their device: no queue and no thread, so that the last buffer may go on any
/// thread, a queue's own included. Thread-safe.
class DeviceCore {
 public:
  DeviceCore(std::shared_ptr<hal::Device> device, ResolvedOptions options);
  ~DeviceCore();

  [[nodiscard]] hal::Device& hal() const { return *hal_; }
  [[nodiscard]] const std::shared_ptr<hal::Device>& shared_hal() const { return hal_; }
  [[nodiscard]] const ResolvedOptions& options() const { return options_; }

  CounterSet counters;
  LabelTimes label_times;
  base::IndexAllocator storage_indices;
  std::atomic<std::uint64_t> used_bytes{0};
  MemoryMap memories;
  std::mutex backing_mutex;  ///< Of those who give deferred buffers their memory.
  const base::Logger log;

  void set_error_handler(ErrorHandler handler);
  /// Hands an error that nobody waits for to the error handler.
  void report(const Error& error);

  /// The error of a lost device once it is lost; every call that needs the device asks first.
  [[nodiscard]] Result<> check_alive() const;
  /// Makes all timelines fail, too.
  void mark_lost() noexcept;

  /// @name Recordings, used again and again. Kept here and not with the queues, because whoever
  /// waits for a buffer may hold the last reference to one when the queues are gone.
  /// @{
  [[nodiscard]] base::Ref<SubmissionState> acquire_recording(bool retain);
  void recycle(SubmissionState* recording) noexcept;
  /// @}

  /// @name Submissions not completed yet.
  /// @{
  /// Gives the submission its serial and shows it to whoever looks for conflicts. Takes a
  /// reference.
  ///
  /// @error kBusy  The host maps a buffer that the submission uses.
  /// @error as check_order() in timeline_order.hpp.
  [[nodiscard]] Result<> register_submission(SubmissionState& submission);
  /// From now on nobody but its owner reads the submission's command list.
  void retire_submission(SubmissionState& submission);
  /// Forgets the submission, drops its reference and marks it as completed, after which whoever has
  /// a reference may use it again. True: nobody has one, so the caller recycles it.
  [[nodiscard]] bool unregister_submission(SubmissionState& submission);
  /// Returns when no unfinished submission conflicts with `range`, or kBusy if told not to wait.
  [[nodiscard]] Result<> wait_until_free(const AccessRange& range, WaitMode mode,
                                         std::string_view label);
  /// Whether an unfinished submission uses the storage in any way.
  [[nodiscard]] bool in_use(const ir::Storage& storage);
  /// Unfinished submissions that conflict with `resources`, appended to `conflicts` in the order of
  /// submission.
  void find_conflicts(std::span<const ir::ResourceUse> resources,
                      std::vector<base::Ref<SubmissionState>>& conflicts);
  /// The serial below which every submission has completed.
  [[nodiscard]] std::uint64_t completed_below();
  [[nodiscard]] std::uint64_t last_serial();
  /// The submission that was first of those in flight; null if there is none.
  [[nodiscard]] base::Ref<SubmissionState> oldest_in_flight();
  /// Waits until fewer are in flight than the device allows.
  ///
  /// @error kBusy  None completes before a timeline is signalled by somebody else.
  [[nodiscard]] Result<> make_room();
  /// Fails if the submission is in flight and cannot complete before a timeline is signalled by
  /// somebody else, so that waiting for it may take for ever.
  ///
  /// @error kBusy
  [[nodiscard]] Result<> check_progress(const SubmissionState& submission);
  /// @}

  /// @name Timelines
  /// @{
  /// For as long as it lives.
  void add_timeline(TimelineState& timeline);
  void remove_timeline(TimelineState& timeline) noexcept;
  /// @error as Timeline::signal.
  [[nodiscard]] Result<> signal_timeline(TimelineState& timeline, std::uint64_t value);
  /// Makes timelines fail that submissions wait for and nobody can signal any more. To be called
  /// when a last handle has gone, and when a submission with timelines completed while some are
  /// hopeless.
  void release_stalled() noexcept;
  /// Makes the timelines fail that a submission was to signal which has failed.
  void fail_signals(SubmissionState& submission) noexcept;
  /// Living timelines that the host cannot signal: failed, or without a handle.
  std::atomic<std::uint32_t> hopeless_timelines{0};
  /// @}

 private:
  std::shared_ptr<hal::Device> hal_;
  ResolvedOptions options_;
  std::atomic<bool> lost_{false};
  std::mutex error_mutex_;
  ErrorHandler error_handler_;
  std::mutex free_mutex_;
  std::vector<SubmissionState*> free_;  // recordings that nobody uses
  std::mutex in_flight_mutex_;
  std::vector<SubmissionState*> in_flight_;  // in the order of submission
  std::uint64_t last_serial_ = 0;
  std::mutex timelines_mutex_;
  std::vector<TimelineState*> timelines_;
};

}  // namespace segue::runtime
