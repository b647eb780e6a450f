// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/metal_timeline.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>

#include "base/fail.hpp"

namespace segue::metal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kHandleType = "metal.shared_event_handle";
// How long the system waits before fail() is noticed, which does not raise the number to whatever
// the host waits for.
constexpr std::chrono::milliseconds kLookUp{50};

}  // namespace

Result<std::unique_ptr<MetalTimeline>> MetalTimeline::create(ContextPointer context,
                                                             std::uint64_t initial,
                                                             std::string_view label) {
  auto event = adopt([context->device.get() newSharedEvent]);
  if (!event) {
    return base::fail(ErrorCode::kOutOfMemory, "Device \"{}\" gives no event for timeline \"{}\".",
                      context->name, label);
  }
  [event.get() setLabel:to_ns(label)];
  [event.get() setSignaledValue:initial];
  return std::unique_ptr<MetalTimeline>(new MetalTimeline(std::move(context), std::move(event)));
}

Result<std::unique_ptr<MetalTimeline>> MetalTimeline::import(ContextPointer context,
                                                             const NativeHandle& handle,
                                                             std::string_view label) {
  if (handle.type != kHandleType || handle.object == nullptr) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "A timeline is imported from a handle of type \"{}\"; \"{}\" is allowed.",
                      handle.type, kHandleType);
  }
  auto* const shared = static_cast<MTLSharedEventHandle*>(handle.object);
  auto event = adopt([context->device.get() newSharedEventWithHandle:shared]);
  if (!event) {
    return base::fail(ErrorCode::kUnsupported, "Device \"{}\" does not import timeline \"{}\".",
                      context->name, label);
  }
  [shared release];
  return std::unique_ptr<MetalTimeline>(new MetalTimeline(std::move(context), std::move(event)));
}

Result<std::uint64_t> MetalTimeline::value() {
  SEGUE_TRY(context_->check_alive());
  @autoreleasepool {
    return [event_.get() signaledValue];
  }
}

Result<> MetalTimeline::signal(std::uint64_t value) {
  SEGUE_TRY(context_->check_alive());
  const std::lock_guard lock(mutex_);
  @autoreleasepool {
    if (!error_) [event_.get() setSignaledValue:value];
  }
  return {};
}

Result<bool> MetalTimeline::wait(std::uint64_t value,
                                 std::optional<std::chrono::steady_clock::time_point> deadline) {
  for (;;) {
    auto until = Clock::now() + kLookUp;
    if (deadline) until = std::min(until, *deadline);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    const bool reached = is_reached(value) || wait_for(value, left);
    if (auto error = failure(value)) return std::unexpected(*std::move(error));
    SEGUE_TRY(context_->check_alive());
    if (reached || until == deadline) return reached;
  }
}

bool MetalTimeline::is_reached(std::uint64_t value) const {
  @autoreleasepool {
    return [event_.get() signaledValue] >= value;
  }
}

bool MetalTimeline::wait_for(std::uint64_t value, std::chrono::milliseconds time) const {
  if (time.count() <= 0) return false;
  @autoreleasepool {
    return [event_.get() waitUntilSignaledValue:value
                                      timeoutMS:static_cast<std::uint64_t>(time.count())];
  }
}

std::optional<Error> MetalTimeline::failure(std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  return error_ && value > reached_at_failure_ ? error_ : std::nullopt;
}

void MetalTimeline::fail(std::uint64_t value, const Error& error) noexcept {
  const std::lock_guard lock(mutex_);
  @autoreleasepool {
    const std::uint64_t now = [event_.get() signaledValue];
    if (!error_) {
      error_ = error;
      reached_at_failure_ = now;
    }
    if (now < value) [event_.get() setSignaledValue:value];
  }
}

NativeHandle MetalTimeline::native_handle() const { return {"MTLSharedEvent", event_.get(), 0}; }

Result<NativeHandle> MetalTimeline::export_handle() {
  @autoreleasepool {
    MTLSharedEventHandle* const handle = [event_.get() newSharedEventHandle];
    if (handle == nil) {
      return base::fail(ErrorCode::kBackend, "Device \"{}\" does not export a timeline.",
                        context_->name);
    }
    return NativeHandle{std::string(kHandleType), handle, 0};
  }
}

}  // namespace segue::metal
