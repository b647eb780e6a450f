// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/device_core.hpp"
#include "segue/residency.hpp"

namespace segue::runtime {

/// The device's residency set: staged changes, flushed by DeviceState::submit() once per commit.
/// Thread-safe.
class ResidencyState {
 public:
  ResidencyState(std::shared_ptr<DeviceCore> core, bool enabled)
      : core_(std::move(core)), enabled_(enabled) {}
  ResidencyState(const ResidencyState&) = delete;
  ResidencyState& operator=(const ResidencyState&) = delete;
  /// Memory must not be resident any more when it goes.
  ~ResidencyState();

  [[nodiscard]] bool enabled() const { return enabled_; }
  void add(const Buffer& buffer);
  void remove(const Buffer& buffer);
  /// Applies what is staged. Called once per commit, after the pass ended and before submission.
  void flush();
  [[nodiscard]] ResidencySet::Stats stats() const;

 private:
  struct Entry {
    Buffer buffer;
    std::uint64_t remove_after = 0;  ///< Serial that must have completed; 0 while resident.
    /// What the backend keeps resident for it; null where that is switched off, and as long as a
    /// deferred buffer has no memory.
    hal::Memory* memory = nullptr;
  };
  [[nodiscard]] bool gone(const Entry& entry) const;
  bool erase_gone();
  void erase_from(std::size_t first);
  bool tell_backend();

  const std::shared_ptr<DeviceCore> core_;
  const bool enabled_;
  std::atomic<bool> pending_{false};  // whether a flush has anything to do
  mutable std::mutex mutex_;
  std::vector<Buffer> staged_adds_;
  std::vector<Buffer> staged_removes_;
  std::vector<Entry> resident_;
  std::uint64_t flushes_ = 0;
};

}  // namespace segue::runtime
