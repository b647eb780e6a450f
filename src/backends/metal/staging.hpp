// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>

#include "backends/metal/device_shared.hpp"
#include "backends/metal/pass_writer.hpp"
#include "backends/metal/step_builder.hpp"

namespace segue::metal {

/// Moves bytes between the host and memory that only the device sees, through a buffer of bounded
/// size. Thread-safe; each call returns when all is done.
class Staging {
 public:
  explicit Staging(DeviceSharedPointer device)
      : device_(std::move(device)),
        arena_(device_->context),
        builder_(device_->context, *device_->internal) {}

  [[nodiscard]] Result<> write(BufferPlace destination, std::span<const std::byte> source);
  [[nodiscard]] Result<> read(BufferPlace source, std::span<std::byte> destination);
  [[nodiscard]] Result<> fill(BufferPlace destination, std::uint64_t size, std::byte value);

 private:
  Result<> prepare();
  template <class Encode>
  Result<> run(Encode&& encode);

  DeviceSharedPointer device_;
  std::mutex mutex_;
  Arena arena_;
  StepBuilder builder_;
  Retained<id<MTLCommandQueue>> queue_;
  PassOrder order_;
  std::unique_ptr<MetalMemory> ring_;
};

}  // namespace segue::metal
