// SPDX-License-Identifier: Apache-2.0
#include "backends/host/host_timeline.hpp"

#include "backends/host/spin.hpp"
#include "base/fail.hpp"

namespace segue::host {
namespace {

// What signals is mostly a job that runs already; such jobs take tens to hundreds of microseconds.
constexpr SpinLimits kSignalWait{200, 50};

}  // namespace

Result<> HostTimeline::signal(std::uint64_t value) {
  SEGUE_TRY(context_->check_fault("signal_timeline", ErrorCode::kBackend));
  {
    const std::lock_guard lock(mutex_);
    if (error_) return {};
    if (value <= value_.load(std::memory_order_relaxed)) {
      return base::fail(ErrorCode::kInvalidState,
                        "A timeline is signalled value {} but has reached {}; it only grows.",
                        value, value_.load(std::memory_order_relaxed));
    }
    value_.store(value, std::memory_order_release);
  }
  changed_.notify_all();
  return {};
}

Result<bool> HostTimeline::wait(std::uint64_t value,
                                std::optional<std::chrono::steady_clock::time_point> deadline) {
  const auto reached = [&] { return value_.load(std::memory_order_acquire) >= value; };
  const auto over = [&] { return reached() || failed_.load(std::memory_order_acquire); };
  if (!spin_until(kSignalWait, over)) {
    std::unique_lock lock(mutex_);
    if (!deadline)
      changed_.wait(lock, over);
    else if (!changed_.wait_until(lock, *deadline, over))
      return false;
  }
  if (reached()) return true;
  const std::lock_guard lock(mutex_);
  return std::unexpected(*error_);
}

void HostTimeline::fail(std::uint64_t /*value*/, const Error& error) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
    failed_.store(true, std::memory_order_release);
  }
  changed_.notify_all();
}

Result<NativeHandle> HostTimeline::export_handle() {
  return base::fail(ErrorCode::kUnsupported, "Timelines of the host device cannot be exported.");
}

}  // namespace segue::host
