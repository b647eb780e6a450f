// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "segue/buffer.hpp"

namespace segue {

namespace runtime {
class ResidencyState;
}

/// What a device should keep resident. Adds and removes are staged and take effect together, at
/// most once per commit; a removal only after the submissions that use the buffer completed. Where
/// the backend has no residency sets, it counts and does nothing else. A handle to the device's one
/// set; thread-safe.
class ResidencySet {
 public:
  explicit ResidencySet(std::shared_ptr<runtime::ResidencyState> state)
      : state_(std::move(state)) {}

  /// False where the backend has none or DeviceOptions::no_residency is set; calls then only count.
  [[nodiscard]] bool enabled() const;
  /// Adding a buffer twice counts once.
  void add(const Buffer& buffer);
  void remove(const Buffer& buffer);

  struct Stats {
    std::uint64_t resident = 0;  ///< Buffers resident after the last flush.
    std::uint64_t resident_bytes = 0;
    std::uint64_t pending_adds = 0;
    std::uint64_t pending_removes = 0;  ///< Staged, or waiting for submissions to complete.
    std::uint64_t flushes = 0;          ///< Commits at which something changed.
  };
  [[nodiscard]] Stats stats() const;

 private:
  std::shared_ptr<runtime::ResidencyState> state_;
};

}  // namespace segue
