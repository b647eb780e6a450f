// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "backends/metal/objc.hpp"
#include "base/index_allocator.hpp"
#include "segue/error.hpp"
#include "segue/limits.hpp"
#include "segue/metal.hpp"

namespace segue::metal {

/// Threads of a SIMD group, for which all built-in kernels are made.
inline constexpr std::uint32_t kSimdWidth = 32;
/// Entries of the buffer argument table (Metal feature set tables).
inline constexpr std::uint32_t kBufferTableSize = 31;
/// What setBytes:length:atIndex: takes at most (its documentation).
inline constexpr std::size_t kMaxSetBytes = 4096;

/// What a device has beyond what every device must have.
struct DeviceTraits {
  bool unified_memory = false;
  bool indirect_command_buffers = false;     ///< Of compute commands.
  bool indirect_threadgroup_memory = false;  ///< Arguments of that kind; macOS 14.
  /// M1 and M2: pipelines of indirect commands must have been set before, in the same pass.
  bool indirect_needs_pipelines = false;
  bool residency_sets = false;      ///< macOS 15.
  bool pass_timestamps = false;     ///< Counters are sampled where a pass starts and ends.
  std::uint64_t page_bytes = 4096;  ///< Of imported memory.
};

/// The device that everything of one hal::Device shares. Thread-safe where it is not immutable.
class Context {
 public:
  Retained<id<MTLDevice>> device;
  DeviceTraits traits;
  Limits limits;
  Features features;
  MetalOptions options;
  std::string name;
  std::shared_ptr<base::IndexAllocator> kernel_indices = std::make_shared<base::IndexAllocator>();

  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_acquire); }
  /// From now on the device counts as lost.
  void give_up() const { lost_.store(true, std::memory_order_release); }
  [[nodiscard]] Result<> check_alive() const;

 private:
  mutable std::atomic<bool> lost_{false};
};

using ContextPointer = std::shared_ptr<const Context>;

/// Chooses a device.
///
/// @error kUnsupported  No device qualifies; the message says for each what it lacks.
/// @error kNotFound     Fewer devices than `options.index` + 1 qualify.
[[nodiscard]] Result<ContextPointer> create_context(const MetalOptions& options);

}  // namespace segue::metal
