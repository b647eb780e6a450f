// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "segue/error.hpp"
#include "segue/limits.hpp"
#include "segue/ref.hpp"

namespace segue {

namespace runtime {
class DeviceState;
class SubmissionState;
}  // namespace runtime

/// When the device worked on a submission, in seconds on the clock that Device::clock_name() names.
struct GpuTime {
  double start_seconds = 0;
  double end_seconds = 0;
  [[nodiscard]] double elapsed_seconds() const { return end_seconds - start_seconds; }
};

/// When one dispatch ran, on the clock that Device::clock_name() names.
struct DispatchTime {
  std::string label;  ///< With its scopes, joined by '/'; its kernel's name without a label.
  /// Position in the recording; of an executable or an early start, in the order of execution.
  std::uint32_t command = 0;
  double start_seconds = 0;
  double end_seconds = 0;
  [[nodiscard]] double elapsed_seconds() const { return end_seconds - start_seconds; }
};

/// Gets the result of a submission.
using CompletionCallback = std::function<void(const Result<>& result)>;

enum class SubmissionStatus : std::uint8_t { kPending, kCompleted, kFailed };

/// Work handed to a device. Move-only. May be waited for from any thread, by one thread at a time;
/// dropping it neither waits nor cancels. If the work fails and nobody waited for it, the device's
/// error handler gets the error.
class Submission {
 public:
  Submission() noexcept;
  Submission(std::shared_ptr<runtime::DeviceState> device,
             base::Ref<runtime::SubmissionState> state);
  Submission(Submission&& other) noexcept;
  Submission& operator=(Submission&& other) noexcept;
  ~Submission();

  /// Waits until the device is done with the work.
  ///
  /// @error kInvalidState  Nothing was submitted.
  /// @error kDeviceLost    The device went away meanwhile; other codes: what the work itself failed
  /// with.
  Result<> wait();
  /// As wait(), but gives up after `timeout`.
  ///
  /// @error kTimeout  The work still runs. The submission stays as it was.
  Result<> wait_for(std::chrono::nanoseconds timeout);
  /// Calls `callback` once, with what wait() returns: when the work has completed, on whatever
  /// thread learns of it, before any wait for it returns; at once on this thread if it has
  /// completed already, or if nothing was submitted. Also if this object is dropped. Callbacks of
  /// one submission are called in the order given. An error counts as seen then.
  ///
  /// While a callback runs, work may be held up. It may record, signal timelines, and wake other
  /// threads; it must not submit, wait for work or timelines, access buffers from the host, or
  /// throw. What it captures lives until it was called: a timeline in the callback of the work that
  /// waits for it keeps that waiting.
  void on_complete(CompletionCallback callback);
  [[nodiscard]] bool is_done() const;
  [[nodiscard]] SubmissionStatus status() const;
  /// @error kInvalidState  The work has not completed, or nothing was submitted.
  [[nodiscard]] Result<GpuTime> gpu_time() const;
  /// The time of each dispatch, in order of execution, if profiling was on (DeviceOptions::profile,
  /// Executable::set_profiling); otherwise empty. Taking times costs some.
  ///
  /// @error kInvalidState  The work has not completed, or nothing was submitted.
  [[nodiscard]] Result<std::vector<DispatchTime>> dispatch_times() const;
  [[nodiscard]] std::string_view label() const;
  /// What counts the submissions of its queue, and in `value` the number that it has reached when
  /// this one is done: a "VkSemaphore" or an "MTLSharedEvent", which lives as long as the device.
  /// "serial" on the host, with a number of the library's own; "none" for an empty handle.
  [[nodiscard]] NativeHandle native_handle() const;

 private:
  std::shared_ptr<runtime::DeviceState> device_;
  base::Ref<runtime::SubmissionState> state_;
};

}  // namespace segue
