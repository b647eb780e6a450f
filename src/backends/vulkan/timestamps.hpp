// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/vulkan/context.hpp"

namespace segue::vulkan {

/// From ticks of the device to seconds: on CLOCK_MONOTONIC, read together with the device's clock
/// when the device was opened, where VK_EXT_calibrated_timestamps allows it; else since some moment
/// of the device's own. A device whose ticks wrap (timestampValidBits below 64) starts again from
/// that moment whenever they do.
class DeviceClock {
 public:
  [[nodiscard]] static Result<DeviceClock> create(const Context& context);

  [[nodiscard]] double seconds(std::uint64_t ticks) const {
    const auto since = static_cast<std::int64_t>((ticks - origin_ticks_) & mask_);
    return origin_seconds_ + static_cast<double>(since) * seconds_per_tick_;
  }
  [[nodiscard]] bool calibrated() const { return calibrated_; }

 private:
  std::uint64_t origin_ticks_ = 0;
  std::uint64_t mask_ = ~std::uint64_t{0};
  double origin_seconds_ = 0;
  double seconds_per_tick_ = 1e-9;
  bool calibrated_ = false;
};

/// Timestamp queries of one recording. Moves with its owner, which destroys it before the context.
class Queries {
 public:
  Queries() = default;
  Queries(const Queries&) = delete;
  Queries& operator=(const Queries&) = delete;
  ~Queries();

  /// Has room for `count` timestamps, and resets them. No commands that write them may be
  /// unfinished.
  [[nodiscard]] Result<> prepare(const ContextPointer& context, std::uint32_t count);
  [[nodiscard]] VkQueryPool pool() const { return pool_; }
  /// The timestamps `[0, count)` that commands have written.
  [[nodiscard]] Result<> read(std::uint32_t count, std::vector<std::uint64_t>& ticks) const;

 private:
  ContextPointer context_;
  VkQueryPool pool_ = VK_NULL_HANDLE;
  std::uint32_t capacity_ = 0;
};

}  // namespace segue::vulkan
