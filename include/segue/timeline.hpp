// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "segue/error.hpp"
#include "segue/limits.hpp"

namespace segue {

namespace runtime {
class DeviceState;
class TimelineState;
}  // namespace runtime

/// A number that only grows. Submissions wait for values of it before they start and signal others
/// when they are done; the host does both as well, and so may other processes. A submission may
/// wait for a value that nobody has signalled or submitted yet.
///
/// A handle that shares ownership; thread-safe. Hazards between submissions are honoured with or
/// without timelines, so they are for what the device does not see: work of another queue that must
/// not run yet, the host, other programs.
///
/// Nothing waits for what cannot come:
/// - A submission that fails makes each timeline fail that it was to signal, and any waits for
///   values that are not reached yet end with its error: those of the host at once, submissions by
///   failing themselves. Where the device waits by itself (GPUs), their commands may have run.
///   A timeline that failed stays so; what was reached before stays reached.
/// - When the last handle is gone, submissions that wait for a value which no other can signal any
///   more fail, unless the timeline was exported or imported; the handles that a recording holds
///   count. So a device can go while work waits, and otherwise its end waits for what was
///   submitted.
/// - A commit that could never run, because the values it signals are waited for or passed by what
///   it comes after, is refused; so is one that would have to wait for room that only a later
///   signal makes. What cannot be seen then is whether the host, or a later commit, will signal at
///   all: waiting for a submission without a timeout waits for that as long as it takes.
///
/// Submissions that signal one timeline need an order, by a queue or by waits, so that its values
/// grow: where nothing orders them, the smaller value may come last, which Vulkan does not allow.
class Timeline {
 public:
  Timeline() noexcept = default;
  Timeline(std::shared_ptr<runtime::DeviceState> device, runtime::TimelineState* state) noexcept;
  Timeline(const Timeline& other) noexcept : Timeline(other.device_, other.state_) {}
  Timeline(Timeline&& other) noexcept;
  Timeline& operator=(Timeline other) noexcept;
  ~Timeline();

  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }

  /// The value reached.
  ///
  /// @error kInvalidState  The handle is empty.
  /// Otherwise why the timeline failed, or kDeviceLost.
  [[nodiscard]] Result<std::uint64_t> value() const;
  /// Raises the value from the host.
  ///
  /// @error kInvalidArgument  `value` is not above the present one, or not below one that an
  ///                          unfinished submission signals; the message names both.
  /// Otherwise as value().
  Result<> signal(std::uint64_t value) const;
  /// Waits until `value` is reached. Errors as value().
  Result<> wait(std::uint64_t value) const;
  /// As wait(), but gives up after `timeout`.
  ///
  /// @error kTimeout  The value is not reached.
  Result<> wait_for(std::uint64_t value, std::chrono::nanoseconds timeout) const;

  [[nodiscard]] std::string_view label() const;
  /// Vulkan: VkSemaphore.
  [[nodiscard]] NativeHandle native_handle() const;
  /// A handle for another process or API, such as an opaque file descriptor, which the caller owns.
  /// From then on others may signal, so that the library no longer knows what cannot come.
  ///
  /// @error kUnsupported  Without Features::shared_timelines.
  [[nodiscard]] Result<NativeHandle> export_handle() const;

  friend bool operator==(const Timeline& a, const Timeline& b) { return a.state_ == b.state_; }

  /// For the library itself.
  [[nodiscard]] runtime::TimelineState* state() const { return state_; }

 private:
  std::shared_ptr<runtime::DeviceState> device_;
  runtime::TimelineState* state_ = nullptr;
};

/// A value of a timeline, to be waited for or signalled.
struct TimelinePoint {
  Timeline timeline;
  std::uint64_t value = 0;
};

}  // namespace segue
