// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstdint>
#include <vector>

#include "backends/metal/context.hpp"
#include "hal/hal.hpp"

namespace segue::metal {

/// The device's counter set of timestamps, if it samples where passes start and end; else nil.
[[nodiscard]] id<MTLCounterSet> timestamp_counters(id<MTLDevice> device);

/// Device times of single commands. Apple's GPUs sample their clock only where a pass starts or
/// ends, so each timed command gets a pass of its own, which keeps commands from overlapping: the
/// sum is more than an untimed run takes. A process can have 32 sample buffers (Metal feature set
/// tables), so one timer serves one job after the other.
class PassTimer {
 public:
  /// For `commands` passes.
  ///
  /// @error kOutOfMemory  The driver gives no room for samples.
  [[nodiscard]] Result<> prepare(const ContextPointer& context, std::size_t commands);

  /// How to open the pass of the next command, at `command` of its list.
  [[nodiscard]] Retained<MTLComputePassDescriptor*> next_pass(std::uint32_t command);

  /// The times, once all passes are done. Commands whose clock the device could not read are left
  /// out.
  [[nodiscard]] std::vector<hal::CommandTime> times() const;

 private:
  /// Two clocks at one moment.
  struct Moment {
    double host_seconds = 0;
    double device_ticks = 0;
  };
  [[nodiscard]] Moment now() const;

  ContextPointer context_;
  std::vector<Retained<id<MTLCounterSampleBuffer>>> samples_;
  std::vector<std::uint32_t> commands_;
  Moment start_;
};

}  // namespace segue::metal
