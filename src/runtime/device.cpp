// SPDX-License-Identifier: Apache-2.0
#include "segue/device.hpp"

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/device_state.hpp"
#include "runtime/encoder_state.hpp"
#include "runtime/pool_state.hpp"
#include "runtime/timeline_state.hpp"

namespace segue {

namespace {

std::unexpected<Error> no_device() {
  return base::fail(ErrorCode::kInvalidState, "The device handle is empty; no device is open.");
}

}  // namespace

std::string_view Device::name() const { return state_->core()->hal().name(); }

std::string_view Device::backend() const { return state_->core()->hal().backend(); }

std::string_view Device::clock_name() const { return state_->core()->hal().clock_name(); }

const Limits& Device::limits() const { return state_->core()->hal().limits(); }

const Features& Device::features() const { return state_->core()->hal().features(); }

MemoryInfo Device::memory_info() const {
  const runtime::DeviceCore& core = *state_->core();
  return {core.used_bytes.load(std::memory_order_relaxed), core.hal().memory_budget()};
}

unsigned Device::queue_count() const { return state_->queue_count(); }

Result<Buffer> Device::create_buffer(const BufferDesc& desc) const {
  if (!state_) return no_device();
  return runtime::create_buffer(state_->core(), desc);
}

Result<Buffer> Device::import_host_memory(std::span<std::byte> memory,
                                          const ImportOptions& options) const {
  if (!state_) return no_device();
  return runtime::import_buffer(state_->core(), memory.data(), memory.size(), options);
}

Result<Buffer> Device::import_host_memory(std::span<const std::byte> memory,
                                          const ImportOptions& options) const {
  if (!state_) return no_device();
  if (options.writable) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "The import \"{}\" asks for kernels that write but gives constant memory; give a span of "
        "std::byte.",
        options.label);
  }
  // Nothing writes through the pointer: a buffer that is not writable refuses to be written.
  return runtime::import_buffer(state_->core(), const_cast<std::byte*>(memory.data()),
                                memory.size(), options);
}

Result<> Device::upload(const BufferView& destination, std::span<const std::byte> source,
                        WaitMode mode) const {
  if (!state_) return no_device();
  return runtime::upload(*state_->core(), destination, source, mode);
}

Result<> Device::download(const BufferView& source, std::span<std::byte> destination,
                          WaitMode mode) const {
  if (!state_) return no_device();
  return runtime::download(*state_->core(), source, destination, mode);
}

KernelLibrary& Device::kernels() const { return state_->library(); }

Result<CommandEncoder> Device::create_encoder(const EncoderOptions& options) const {
  if (!state_) return no_device();
  SEGUE_TRY(state_->core()->check_alive());
  if (options.queue >= queue_count()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The encoder asks for queue {} but the device has {}, counted from 0.",
                      options.queue, queue_count());
  }
  return CommandEncoder(std::make_unique<runtime::EncoderState>(state_, options));
}

Result<Timeline> Device::create_timeline(std::uint64_t initial, std::string_view label) const {
  if (!state_) return no_device();
  SEGUE_TRY(state_->core()->check_alive());
  SEGUE_TRY_ASSIGN(std::unique_ptr<hal::Timeline> native,
                   state_->core()->hal().create_timeline(initial, label));
  return Timeline(state_, new runtime::TimelineState(state_->core(), std::move(native),
                                                     std::string(label), initial, false));
}

Result<Timeline> Device::import_timeline(const NativeHandle& handle, std::string_view label) const {
  if (!state_) return no_device();
  SEGUE_TRY(state_->core()->check_alive());
  SEGUE_TRY_ASSIGN(std::unique_ptr<hal::Timeline> native,
                   state_->core()->hal().import_timeline(handle, label));
  // The driver has taken the handle over: nothing may fail any more.
  const std::uint64_t reached = native->value().value_or(0);
  return Timeline(state_, new runtime::TimelineState(state_->core(), std::move(native),
                                                     std::string(label), reached, true));
}

Result<Pool> Device::create_pool(const PoolOptions& options) const {
  if (!state_) return no_device();
  SEGUE_TRY_ASSIGN(std::shared_ptr<runtime::PoolState> pool,
                   runtime::PoolState::create(state_->core(), options));
  return Pool(std::move(pool));
}

ResidencySet Device::residency() const { return ResidencySet(state_->residency()); }

Counters Device::counters() const { return state_->core()->counters.read(); }

void Device::reset_counters() const { state_->core()->counters.reset(); }

std::vector<LabelTime> Device::label_times() const { return state_->core()->label_times.read(); }

void Device::reset_label_times() const { state_->core()->label_times.reset(); }

void Device::set_error_handler(ErrorHandler handler) const {
  state_->core()->set_error_handler(std::move(handler));
}

Result<> Device::wait_idle() const {
  if (!state_) return no_device();
  return state_->wait_idle();
}

NativeHandle Device::native_handle() const {
  return state_ ? state_->core()->hal().native_handle() : NativeHandle{};
}

}  // namespace segue
