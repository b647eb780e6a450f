// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/pass_timer.hpp"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "backends/metal/metal_errors.hpp"

namespace segue::metal {
namespace {

// A sample buffer has at most 32 KiB (documentation of MTLCounterSampleBufferDescriptor), and a
// timestamp 8 bytes.
constexpr std::size_t kSamplesPerBuffer = 4096;

/// The clock of GPUStartTime.
double host_seconds() {
#if defined(__APPLE__)
  return 1e-9 * static_cast<double>(clock_gettime_nsec_np(CLOCK_UPTIME_RAW));
#else
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
#endif
}

}  // namespace

id<MTLCounterSet> timestamp_counters(id<MTLDevice> device) {
  if (![device supportsCounterSampling:MTLCounterSamplingPointAtStageBoundary]) return nil;
  for (id<MTLCounterSet> set in [device counterSets]) {
    if ([[set name] isEqualToString:MTLCommonCounterSetTimestamp]) return set;
  }
  return nil;
}

PassTimer::Moment PassTimer::now() const {
  MTLTimestamp host = 0;  // in which unit, the documentation says differently in different places
  MTLTimestamp device = 0;
  const double before = host_seconds();
  [context_->device.get() sampleTimestamps:&host gpuTimestamp:&device];
  return {(before + host_seconds()) / 2, static_cast<double>(device)};
}

Result<> PassTimer::prepare(const ContextPointer& context, std::size_t commands) {
  context_ = context;
  commands_.clear();
  const std::size_t buffers = (2 * commands + kSamplesPerBuffer - 1) / kSamplesPerBuffer;
  while (samples_.size() < buffers) {
    const auto descriptor = adopt([[MTLCounterSampleBufferDescriptor alloc] init]);
    [descriptor.get() setCounterSet:timestamp_counters(context->device.get())];
    [descriptor.get() setStorageMode:MTLStorageModeShared];
    [descriptor.get() setSampleCount:kSamplesPerBuffer];
    NSError* error = nil;
    auto samples =
        adopt([context->device.get() newCounterSampleBufferWithDescriptor:descriptor.get()
                                                                    error:&error]);
    if (!samples) {
      return std::unexpected(make_error(
          ErrorCode::kOutOfMemory, "The device gives no room for timestamps of commands.", error));
    }
    samples_.push_back(std::move(samples));
  }
  start_ = now();
  return {};
}

Retained<MTLComputePassDescriptor*> PassTimer::next_pass(std::uint32_t command) {
  const std::size_t sample = 2 * commands_.size();
  commands_.push_back(command);
  auto pass = share([MTLComputePassDescriptor computePassDescriptor]);
  [pass.get() setDispatchType:MTLDispatchTypeConcurrent];
  MTLComputePassSampleBufferAttachmentDescriptor* const attachment =
      [[pass.get() sampleBufferAttachments] objectAtIndexedSubscript:0];
  [attachment setSampleBuffer:samples_[sample / kSamplesPerBuffer].get()];
  [attachment setStartOfEncoderSampleIndex:sample % kSamplesPerBuffer];
  [attachment setEndOfEncoderSampleIndex:sample % kSamplesPerBuffer + 1];
  return pass;
}

/// Both clocks run evenly, so a straight line through two moments takes one to the other.
std::vector<hal::CommandTime> PassTimer::times() const {
  const Moment end = now();
  const double ticks = end.device_ticks - start_.device_ticks;
  const double scale = ticks > 0 ? (end.host_seconds - start_.host_seconds) / ticks : 0.0;
  const auto seconds = [&](MTLTimestamp stamp) {
    return start_.host_seconds + (static_cast<double>(stamp) - start_.device_ticks) * scale;
  };
  std::vector<hal::CommandTime> times;
  constexpr std::size_t kCommandsPerBuffer = kSamplesPerBuffer / 2;
  for (std::size_t first = 0; first < commands_.size(); first += kCommandsPerBuffer) {
    const std::size_t count = std::min(kCommandsPerBuffer, commands_.size() - first);
    NSData* const data =
        [samples_[first / kCommandsPerBuffer].get() resolveCounterRange:NSMakeRange(0, 2 * count)];
    std::vector<MTLCounterResultTimestamp> stamps(2 * count, {MTLCounterErrorValue});
    const std::size_t bytes = stamps.size() * sizeof(MTLCounterResultTimestamp);
    if ([data length] >= bytes) std::memcpy(stamps.data(), [data bytes], bytes);
    for (std::size_t i = 0; i < count; ++i) {
      const MTLTimestamp from = stamps[2 * i].timestamp;
      const MTLTimestamp to = stamps[2 * i + 1].timestamp;
      if (from == MTLCounterErrorValue || to == MTLCounterErrorValue) continue;
      times.push_back({commands_[first + i], seconds(from), seconds(to)});
    }
  }
  return times;
}

}  // namespace segue::metal
