// SPDX-License-Identifier: Apache-2.0
#include "support/fake_timeline.hpp"

#include <utility>

#include "base/fail.hpp"

namespace segue::test {

FakeTimeline::FakeTimeline(std::shared_ptr<Payload> payload, std::shared_ptr<std::atomic<int>> live)
    : payload_(std::move(payload)), live_(std::move(live)) {
  ++*live_;
}

FakeTimeline::~FakeTimeline() { --*live_; }

Result<std::uint64_t> FakeTimeline::value() {
  const std::lock_guard lock(payload_->mutex);
  return payload_->value;
}

Result<> FakeTimeline::signal(std::uint64_t value) {
  const std::lock_guard lock(payload_->mutex);
  if (value <= payload_->value) {
    if (error_) return {};  // fail() has raised the number
    return base::fail(ErrorCode::kBackend, "The fake timeline goes from {} to {}.", payload_->value,
                      value);
  }
  payload_->value = value;
  payload_->changed.notify_all();
  return {};
}

Result<bool> FakeTimeline::wait(std::uint64_t value,
                                std::optional<std::chrono::steady_clock::time_point> deadline) {
  std::unique_lock lock(payload_->mutex);
  if (!deadline) {
    ++payload_->hosts_waiting;
    payload_->changed.wait(lock, [&] { return payload_->value >= value || error_; });
    --payload_->hosts_waiting;
  }
  if (payload_->value < value && error_) return std::unexpected(*error_);
  return payload_->value >= value;
}

void FakeTimeline::fail(std::uint64_t value, const Error& error) noexcept {
  const std::lock_guard lock(payload_->mutex);
  if (!error_) error_ = error;
  if (value > payload_->value) payload_->value = value;
  payload_->changed.notify_all();
}

NativeHandle FakeTimeline::native_handle() const { return {"fake.timeline", payload_.get(), 0}; }

Result<NativeHandle> FakeTimeline::export_handle() {
  return NativeHandle{"fake.timeline", new std::shared_ptr<Payload>(payload_), 0};
}

std::shared_ptr<FakeTimeline::Payload> FakeTimeline::take_over(const NativeHandle& handle) {
  auto* const exported = static_cast<std::shared_ptr<Payload>*>(handle.object);
  std::shared_ptr<Payload> payload = std::move(*exported);
  delete exported;
  return payload;
}

}  // namespace segue::test
