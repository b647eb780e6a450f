// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace segue::vulkan {

/// Hands out ranges of `[0, size)` and takes them back: best fit, free neighbours are merged. All
/// ranges begin at multiples of one granule and take whole granules, so that no alignment can fail.
/// Logarithmic in the number of free ranges. Knows no device; not thread-safe.
class BlockAllocator {
 public:
  /// @pre  `granule` is a power of two.
  BlockAllocator(std::uint64_t size, std::uint64_t granule);

  /// Where a range of at least `size` bytes begins, or nothing if no free range is long enough.
  [[nodiscard]] std::optional<std::uint64_t> take(std::uint64_t size);
  /// @pre  `offset` and `size` are those of a range that was taken and not given back.
  void give_back(std::uint64_t offset, std::uint64_t size);

  [[nodiscard]] bool empty() const { return used_ == 0; }
  [[nodiscard]] std::uint64_t used_bytes() const { return used_; }
  [[nodiscard]] std::uint64_t largest_free() const {
    return by_size_.empty() ? 0 : by_size_.rbegin()->first;
  }
  [[nodiscard]] std::size_t free_ranges() const { return by_offset_.size(); }

 private:
  using Range = std::map<std::uint64_t, std::uint64_t>::iterator;

  [[nodiscard]] std::uint64_t rounded(std::uint64_t size) const;
  void insert(std::uint64_t offset, std::uint64_t size);
  void erase(Range range);

  std::uint64_t granule_;
  std::uint64_t used_ = 0;
  std::map<std::uint64_t, std::uint64_t> by_offset_;           // free ranges: offset to size
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_size_;  // the same: size, offset
};

}  // namespace segue::vulkan
