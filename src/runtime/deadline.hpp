// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace segue::runtime {

/// The moment `timeout` from now; the last there is if it lies beyond.
[[nodiscard]] inline std::chrono::steady_clock::time_point deadline_after(
    std::chrono::nanoseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point now = Clock::now();
  return timeout < Clock::time_point::max() - now ? now + timeout : Clock::time_point::max();
}

}  // namespace segue::runtime
