// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace segue::base {

/// Hands out small numbers that are unique among the living, and takes them back. Thread-safe.
class IndexAllocator {
 public:
  [[nodiscard]] std::uint32_t take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      if (free_.capacity() <= next_)
        free_.reserve(std::size_t{next_} * 2 + 16);  // give_back() never allocates
      return next_++;
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }

  void give_back(std::uint32_t index) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(index);
  }

 private:
  std::mutex mutex_;
  std::vector<std::uint32_t> free_;
  std::uint32_t next_ = 0;
};

}  // namespace segue::base
