// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "backends/metal/context.hpp"
#include "hal/hal.hpp"

namespace segue::metal {

/// A shared event. Thread-safe.
class MetalTimeline final : public hal::Timeline {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MetalTimeline>> create(ContextPointer context,
                                                                     std::uint64_t initial,
                                                                     std::string_view label);
  [[nodiscard]] static Result<std::unique_ptr<MetalTimeline>> import(ContextPointer context,
                                                                     const NativeHandle& handle,
                                                                     std::string_view label);

  Result<std::uint64_t> value() override;
  Result<> signal(std::uint64_t value) override;
  Result<bool> wait(std::uint64_t value,
                    std::optional<std::chrono::steady_clock::time_point> deadline) override;
  void fail(std::uint64_t value, const Error& error) noexcept override;
  [[nodiscard]] NativeHandle native_handle() const override;
  [[nodiscard]] Result<NativeHandle> export_handle() override;

  [[nodiscard]] id<MTLSharedEvent> event() const { return event_.get(); }

 private:
  MetalTimeline(ContextPointer context, Retained<id<MTLSharedEvent>> event)
      : context_(std::move(context)), event_(std::move(event)) {}
  [[nodiscard]] bool is_reached(std::uint64_t value) const;
  [[nodiscard]] bool wait_for(std::uint64_t value, std::chrono::milliseconds time) const;
  [[nodiscard]] std::optional<Error> failure(std::uint64_t value);

  ContextPointer context_;
  Retained<id<MTLSharedEvent>> event_;
  std::mutex mutex_;
  std::optional<Error> error_;
  std::uint64_t reached_at_failure_ = 0;
};

}  // namespace segue::metal
