// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/staging.hpp"

#include <algorithm>
#include <cstring>

#include "backends/metal/metal_errors.hpp"
#include "base/fail.hpp"
#include "ir/command_list.hpp"

namespace segue::metal {
namespace {

constexpr std::uint64_t kRingBytes = std::uint64_t{8} << 20;

const ir::CommandList& no_commands() {
  static const ir::CommandList kNone;
  return kNone;
}

}  // namespace

Result<> Staging::prepare() {
  const Context& context = *device_->context;
  SEGUE_TRY(context.check_alive());
  if (ring_ != nullptr) return {};
  auto queue = adopt([context.device.get() newCommandQueue]);
  auto fence = adopt([context.device.get() newFence]);
  if (!queue || !fence) {
    return base::fail(ErrorCode::kOutOfMemory, "Device \"{}\" gives no command queue for copies.",
                      context.name);
  }
  [queue.get() setLabel:@"segue staging"];
  SEGUE_TRY_ASSIGN(ring_, allocate_memory(context, kRingBytes, true, "segue staging"));
  queue_ = std::move(queue);
  order_.fence = std::move(fence);
  return {};
}

/// Encodes one command buffer and waits for it.
template <class Encode>
Result<> Staging::run(Encode&& encode) {
  arena_.reset();
  builder_.begin(no_commands(), arena_, BytesMode::kInCommandBuffer);
  const auto commands = share([queue_.get() commandBuffer]);
  if (!commands) {
    return base::fail(ErrorCode::kOutOfMemory, "Device \"{}\" gives no command buffer for copies.",
                      device_->context->name);
  }
  [commands.get() setLabel:@"segue staging"];
  const bool fence_was_updated = order_.updated;
  PassWriter pass(commands.get(), order_, "segue staging", nullptr);
  const Result<> encoded = encode([&pass](const Step& step) { return pass.dispatch(step); });
  pass.finish();
  if (!encoded) {
    order_.updated = fence_was_updated;  // the command buffer is given up
    return encoded;
  }
  [commands.get() commit];
  [commands.get() waitUntilCompleted];
  if ([commands.get() status] != MTLCommandBufferStatusError) return {};
  if (means_lost([commands.get() error])) device_->context->give_up();
  return std::unexpected(command_buffer_error([commands.get() error], "segue staging"));
}

Result<> Staging::write(BufferPlace destination, std::span<const std::byte> source) {
  @autoreleasepool {
    const std::lock_guard lock(mutex_);
    SEGUE_TRY(prepare());
    while (!source.empty()) {
      const std::size_t count = std::min<std::size_t>(source.size(), kRingBytes);
      std::memcpy(ring_->host, source.data(), count);
      SEGUE_TRY(run([&](const StepBuilder::Sink& sink) {
        return builder_.copy_steps({ring_->buffer(), 0}, destination, count, sink);
      }));
      destination.offset += count;
      source = source.subspan(count);
    }
    return {};
  }
}

Result<> Staging::read(BufferPlace source, std::span<std::byte> destination) {
  @autoreleasepool {
    const std::lock_guard lock(mutex_);
    SEGUE_TRY(prepare());
    while (!destination.empty()) {
      const std::size_t count = std::min<std::size_t>(destination.size(), kRingBytes);
      SEGUE_TRY(run([&](const StepBuilder::Sink& sink) {
        return builder_.copy_steps(source, {ring_->buffer(), 0}, count, sink);
      }));
      std::memcpy(destination.data(), ring_->host, count);
      source.offset += count;
      destination = destination.subspan(count);
    }
    return {};
  }
}

Result<> Staging::fill(BufferPlace destination, std::uint64_t size, std::byte value) {
  @autoreleasepool {
    const std::lock_guard lock(mutex_);
    SEGUE_TRY(prepare());
    return run([&](const StepBuilder::Sink& sink) {
      return builder_.fill_steps(destination, size, static_cast<std::uint8_t>(value), sink);
    });
  }
}

}  // namespace segue::metal
