// SPDX-License-Identifier: Apache-2.0
#include "segue/timeline.hpp"

#include <utility>

#include "base/fail.hpp"
#include "runtime/deadline.hpp"
#include "runtime/device_core.hpp"
#include "runtime/timeline_state.hpp"

namespace segue {
namespace {

std::unexpected<Error> no_timeline() {
  return base::fail(ErrorCode::kInvalidState,
                    "The timeline handle is empty; Device::create_timeline() makes one.");
}

}  // namespace

Timeline::Timeline(std::shared_ptr<runtime::DeviceState> device,
                   runtime::TimelineState* state) noexcept
    : device_(std::move(device)), state_(state) {
  if (state_ != nullptr) state_->add_handle();
}

Timeline::Timeline(Timeline&& other) noexcept
    : device_(std::move(other.device_)), state_(std::exchange(other.state_, nullptr)) {}

Timeline& Timeline::operator=(Timeline other) noexcept {
  std::swap(device_, other.device_);
  std::swap(state_, other.state_);
  return *this;
}

// Before the device, whose end would wait for submissions that this very handle lets fail.
Timeline::~Timeline() {
  if (state_ != nullptr) state_->drop_handle();
}

Result<std::uint64_t> Timeline::value() const {
  if (state_ == nullptr) return no_timeline();
  return state_->value();
}

Result<> Timeline::signal(std::uint64_t value) const {
  if (state_ == nullptr) return no_timeline();
  return state_->core().signal_timeline(*state_, value);
}

Result<> Timeline::wait(std::uint64_t value) const {
  if (state_ == nullptr) return no_timeline();
  SEGUE_TRY(state_->wait(value, std::nullopt));
  return {};
}

Result<> Timeline::wait_for(std::uint64_t value, std::chrono::nanoseconds timeout) const {
  if (state_ == nullptr) return no_timeline();
  SEGUE_TRY_ASSIGN(const bool reached, state_->wait(value, runtime::deadline_after(timeout)));
  if (reached) return {};
  return base::fail(ErrorCode::kTimeout, "Timeline \"{}\" has not reached value {} within {} ns.",
                    state_->label(), value, timeout.count());
}

std::string_view Timeline::label() const {
  return state_ == nullptr ? std::string_view() : std::string_view(state_->label());
}

NativeHandle Timeline::native_handle() const {
  return state_ == nullptr ? NativeHandle{"none", nullptr, 0} : state_->native().native_handle();
}

Result<NativeHandle> Timeline::export_handle() const {
  if (state_ == nullptr) return no_timeline();
  return state_->export_handle();
}

}  // namespace segue
