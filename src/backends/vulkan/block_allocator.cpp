// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/block_allocator.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <iterator>

namespace segue::vulkan {

BlockAllocator::BlockAllocator(std::uint64_t size, std::uint64_t granule) : granule_(granule) {
  assert(std::has_single_bit(granule));
  const std::uint64_t whole = size / granule * granule;
  if (whole != 0) insert(0, whole);
}

std::uint64_t BlockAllocator::rounded(std::uint64_t size) const {
  // An empty range takes a granule as well, so that every range has a place of its own.
  return (std::max<std::uint64_t>(size, 1) + granule_ - 1) / granule_ * granule_;
}

void BlockAllocator::insert(std::uint64_t offset, std::uint64_t size) {
  by_offset_.emplace(offset, size);
  by_size_.emplace(size, offset);
}

void BlockAllocator::erase(Range range) {
  by_size_.erase({range->second, range->first});
  by_offset_.erase(range);
}

std::optional<std::uint64_t> BlockAllocator::take(std::uint64_t size) {
  if (size > largest_free()) return std::nullopt;  // Also where rounding up would overflow.
  const std::uint64_t wanted = rounded(size);
  const auto best = by_size_.lower_bound({wanted, 0});
  if (best == by_size_.end()) return std::nullopt;
  const auto [free_size, offset] = *best;
  erase(by_offset_.find(offset));
  if (free_size > wanted) insert(offset + wanted, free_size - wanted);
  used_ += wanted;
  return offset;
}

void BlockAllocator::give_back(std::uint64_t offset, std::uint64_t size) {
  std::uint64_t merged_size = rounded(size);
  assert(used_ >= merged_size);
  used_ -= merged_size;
  const auto next = by_offset_.lower_bound(offset);
  assert(next == by_offset_.end() || next->first >= offset + merged_size);
  if (next != by_offset_.begin()) {
    const auto previous = std::prev(next);
    assert(previous->first + previous->second <= offset);
    if (previous->first + previous->second == offset) {
      offset = previous->first;
      merged_size += previous->second;
      erase(previous);
    }
  }
  if (next != by_offset_.end() && next->first == offset + merged_size) {
    merged_size += next->second;
    erase(next);
  }
  insert(offset, merged_size);
}

}  // namespace segue::vulkan
