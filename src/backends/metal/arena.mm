// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/arena.hpp"

#include <algorithm>

namespace segue::metal {
namespace {

// What offsets of `constant` arguments divide by on every Mac (Metal feature set tables: 256 bytes
// on Mac 2, less on Apple silicon).
constexpr std::uint64_t kAlignment = 256;
constexpr std::uint64_t kChunkBytes = std::uint64_t{64} << 10;

}  // namespace

Result<Placement> Arena::place(std::uint64_t size) {
  for (; current_ < chunks_.size(); ++current_, used_ = 0) {
    const MetalMemory& chunk = *chunks_[current_];
    const std::uint64_t offset = (used_ + kAlignment - 1) & ~(kAlignment - 1);
    if (offset + size > [chunk.buffer() length]) continue;
    used_ = offset + size;
    return Placement{chunk.host + offset, chunk.buffer(), offset, size};
  }
  SEGUE_TRY_ASSIGN(
      std::unique_ptr<MetalMemory> chunk,
      allocate_memory(*context_, std::max(size, kChunkBytes), true, "segue parameters"));
  chunks_.push_back(std::move(chunk));
  used_ = size;
  return Placement{chunks_.back()->host, chunks_.back()->buffer(), 0, size};
}

void Arena::reset() {
  current_ = 0;
  used_ = 0;
}

}  // namespace segue::metal
