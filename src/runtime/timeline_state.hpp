// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/hal.hpp"
#include "segue/ref.hpp"
#include "segue/timeline.hpp"

namespace segue::runtime {

class DeviceCore;

/// A timeline: the backend's, what is known of its failure, and whether the host can signal it yet.
class TimelineState final : public base::RefCounted {
 public:
  /// Shows itself to the device, which fails it when it is lost.
  TimelineState(std::shared_ptr<DeviceCore> core, std::unique_ptr<hal::Timeline> native,
                std::string label, std::uint64_t initial, bool shared);

  [[nodiscard]] DeviceCore& core() const { return *core_; }
  [[nodiscard]] hal::Timeline& native() const { return *native_; }
  [[nodiscard]] const std::string& label() const { return label_; }

  /// @name Handles. Together they hold one reference; submissions hold others.
  /// @{
  void add_handle() noexcept;
  /// The last one lets those submissions fail that wait for what nobody signals any more.
  void drop_handle() noexcept;
  /// @}

  /// Whether somebody besides what was submitted may signal: the host, or another process.
  [[nodiscard]] bool host_may_signal() const;
  /// Whether another process may.
  [[nodiscard]] bool shared() const { return shared_.load(std::memory_order_relaxed); }

  /// @name See Timeline.
  /// @{
  [[nodiscard]] Result<std::uint64_t> value();
  [[nodiscard]] Result<bool> wait(std::uint64_t value,
                                  std::optional<std::chrono::steady_clock::time_point> deadline);
  [[nodiscard]] Result<NativeHandle> export_handle();
  /// @}

  /// By the host; the device has checked the value.
  [[nodiscard]] Result<> signal(std::uint64_t value);
  /// Whether a wait for `value` has come to an end, good or bad.
  [[nodiscard]] bool is_over(std::uint64_t value);
  /// Why `value` is never reached, if the timeline failed before.
  [[nodiscard]] std::optional<Error> failure_at(std::uint64_t value);
  /// Why the timeline failed, if it did.
  [[nodiscard]] std::optional<Error> failure() { return failure_at(UINT64_MAX); }
  /// A submission has signalled `value`.
  void note_reached(std::uint64_t value) noexcept;
  /// The largest value below `limit` that is known to be reached.
  [[nodiscard]] std::uint64_t reached_below(std::uint64_t limit);
  /// From now on `first` and what is above is never reached: who asks gets the error. That given
  /// first stays.
  void mark_failed(std::uint64_t first, const Error& error) noexcept;
  /// Ends the waits for values that are not reached, up to `value` or all, of what failed.
  void end_waits(std::uint64_t value) noexcept;

 protected:
  ~TimelineState() override = default;
  void destroy() noexcept override;

 private:
  void count_as_hopeless() noexcept;

  const std::shared_ptr<DeviceCore> core_;
  const std::unique_ptr<hal::Timeline> native_;
  const std::string label_;
  std::atomic<std::uint32_t> handles_{0};
  std::atomic<bool> shared_;
  std::atomic<bool> hopeless_{false};  // counted by the device
  std::atomic<bool> failed_{false};    // failure_ is set
  std::mutex mutex_;                   // of what follows
  std::optional<Error> failure_;
  std::uint64_t first_failed_ = 0;
  std::uint64_t reached_;    // known to be, by success
  std::uint64_t ended_ = 0;  // waits up to this one were ended by failure
};

/// What a recording is to wait for and to signal. Holds handles, for what is recorded may still be
/// submitted.
class TimelinePoints {
 public:
  /// @error kInvalidArgument  An empty handle, another device's, or a value that this very
  /// recording
  ///                          signals.
  /// Otherwise why the timeline failed.
  [[nodiscard]] Result<> add_wait(const DeviceCore& core, const Timeline& timeline,
                                  std::uint64_t value);
  /// @error kInvalidArgument  As above; or the value is not above the present one, or is the second
  ///                          of its timeline.
  [[nodiscard]] Result<> add_signal(const DeviceCore& core, const Timeline& timeline,
                                    std::uint64_t value);
  void clear() {
    waits_.clear();
    signals_.clear();
  }
  [[nodiscard]] std::span<const TimelinePoint> waits() const { return waits_; }
  [[nodiscard]] std::span<const TimelinePoint> signals() const { return signals_; }

 private:
  std::vector<TimelinePoint> waits_;  // each timeline once
  std::vector<TimelinePoint> signals_;
};

/// The same of a submission, which keeps the timelines alive but no longer able to be signalled.
class TimelineUses {
 public:
  struct Point {
    base::Ref<TimelineState> timeline;
    std::uint64_t value = 0;
  };

  /// Also tells `job`.
  void assign(const TimelinePoints& points, hal::Job& job);
  void clear(hal::Job& job) noexcept;
  [[nodiscard]] bool empty() const { return points_.empty(); }
  [[nodiscard]] std::span<const Point> waits() const { return {points_.data(), wait_count_}; }
  [[nodiscard]] std::span<const Point> signals() const {
    return std::span(points_).subspan(wait_count_);
  }

 private:
  std::vector<Point> points_;  // waits first
  std::size_t wait_count_ = 0;
  std::vector<hal::TimelineUse> native_;
};

}  // namespace segue::runtime
