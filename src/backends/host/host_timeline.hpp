// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "backends/host/host_context.hpp"
#include "hal/hal.hpp"

namespace segue::host {

/// A number under a mutex. Whoever waits for one that is reached takes no lock; others spin for a
/// moment and then sleep.
class HostTimeline final : public hal::Timeline {
 public:
  HostTimeline(std::shared_ptr<HostContext> context, std::uint64_t initial)
      : context_(std::move(context)), value_(initial) {}

  [[nodiscard]] Result<std::uint64_t> value() override {
    return value_.load(std::memory_order_acquire);
  }
  /// Does nothing after fail().
  ///
  /// @error kInvalidState  The value is not above the present one.
  Result<> signal(std::uint64_t value) override;
  Result<bool> wait(std::uint64_t value,
                    std::optional<std::chrono::steady_clock::time_point> deadline) override;
  void fail(std::uint64_t value, const Error& error) noexcept override;
  [[nodiscard]] NativeHandle native_handle() const override { return {"host.none", nullptr, 0}; }
  /// @error kUnsupported
  [[nodiscard]] Result<NativeHandle> export_handle() override;

 private:
  std::shared_ptr<HostContext> context_;
  std::atomic<std::uint64_t> value_;
  std::atomic<bool> failed_{false};  // error_ is set
  std::mutex mutex_;                 // of writers, and of those who sleep
  std::optional<Error> error_;
  std::condition_variable changed_;
};

}  // namespace segue::host
