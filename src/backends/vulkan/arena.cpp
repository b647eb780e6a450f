// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/arena.hpp"

#include <algorithm>

namespace segue::vulkan {
namespace {

constexpr std::uint64_t kChunkBytes = std::uint64_t{64} << 10;

}  // namespace

void Arena::use(std::size_t chunk) {
  current_ = chunk;
  const VulkanMemory& memory = *chunks_[chunk];
  base_ = {memory.host, memory.range().buffer, memory.range().offset};
  used_ = 0;
  capacity_ = memory.range().size;
}

void Arena::reset() {
  if (!chunks_.empty()) use(0);
}

Result<Placement> Arena::place_in_next(std::uint64_t size) {
  for (std::size_t next = current_ + 1; next < chunks_.size(); ++next) {
    if (chunks_[next]->range().size < size) continue;
    std::swap(chunks_[next], chunks_[current_ + 1]);
    use(current_ + 1);
    used_ = size;
    return base_;
  }
  AllocationRequest request;
  request.size_bytes = std::max(size, kChunkBytes);
  request.use = use_;
  request.label = use_ == MemoryUse::kParameters ? "parameter block" : "scratch";
  SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanMemory> memory, allocator_->allocate(request));
  chunks_.push_back(std::move(memory));
  if (chunks_.size() > 1) std::swap(chunks_.back(), chunks_[current_ + 1]);
  use(chunks_.size() > 1 ? current_ + 1 : 0);
  used_ = size;
  return base_;
}

}  // namespace segue::vulkan
