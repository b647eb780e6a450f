// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/staging.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/vulkan/barrier.hpp"

namespace segue::vulkan {
namespace {

constexpr StageSet kDevice =
    StageSet::kDispatch | StageSet::kIndirect | StageSet::kTransfer | StageSet::kParameters;

void barrier(const Context& context, VkCommandBuffer commands, StageSet before, StageSet after) {
  const VkMemoryBarrier2 memory = memory_barrier(before, after);
  VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &memory;
  context.api.CmdPipelineBarrier2(commands, &dependency);
}

void copy(const Context& context, VkCommandBuffer commands, const BufferRange& source,
          VkDeviceSize source_offset, const BufferRange& destination,
          VkDeviceSize destination_offset, VkDeviceSize size) {
  const VkBufferCopy region{source.offset + source_offset, destination.offset + destination_offset,
                            size};
  context.api.CmdCopyBuffer(commands, source.buffer, destination.buffer, 1, &region);
}

}  // namespace

StagingRing::StagingRing(ContextPointer context, std::shared_ptr<MemoryAllocator> allocator,
                         NativeQueue& queue, const StagingOptions& options)
    : context_(std::move(context)),
      allocator_(std::move(allocator)),
      queue_(queue),
      options_(options) {}

StagingRing::~StagingRing() { release(); }

Result<> StagingRing::write(const BufferRange& destination, std::uint64_t offset,
                            std::span<const std::byte> source) {
  const std::lock_guard lock(mutex_);
  return settle(write_locked(destination, offset, source));
}

Result<> StagingRing::read(const BufferRange& source, std::uint64_t offset,
                           std::span<std::byte> destination) {
  const std::lock_guard lock(mutex_);
  return settle(read_locked(source, offset, destination));
}

Result<> StagingRing::fill(const BufferRange& destination, std::uint64_t offset,
                           std::uint64_t size_bytes, std::byte value) {
  const std::lock_guard lock(mutex_);
  return settle(fill_locked(destination, offset, size_bytes, value));
}

/// After a failure nothing may be in flight, and command buffers may be in any state: everything
/// native goes, and the next call makes it anew.
Result<> StagingRing::settle(Result<> result) {
  if (!result) release();
  return result;
}

Result<> StagingRing::write_locked(const BufferRange& destination, std::uint64_t offset,
                                   std::span<const std::byte> source) {
  if (source.empty()) return {};
  SEGUE_TRY(prepare());
  for (std::size_t turn = 0; !source.empty(); ++turn) {
    Chunk& chunk = write_chunks_[turn % write_chunks_.size()];
    SEGUE_TRY(prepare(chunk, MemoryUse::kUpload, options_.write_chunk_bytes));
    const auto part =
        source.first(std::min<std::size_t>(source.size(), chunk.memory->range().size));
    std::memcpy(chunk.memory->host, part.data(), part.size());
    SEGUE_TRY(begin(chunk));
    copy(*context_, chunk.commands, chunk.memory->range(), 0, destination, offset, part.size());
    barrier(*context_, chunk.commands, StageSet::kTransfer, kDevice);
    SEGUE_TRY(submit(chunk));
    source = source.subspan(part.size());
    offset += part.size();
  }
  return wait_for(submitted_);
}

Result<> StagingRing::read_locked(const BufferRange& source, std::uint64_t offset,
                                  std::span<std::byte> destination) {
  if (destination.empty()) return {};
  SEGUE_TRY(prepare());
  std::array<std::span<std::byte>, std::tuple_size_v<Chunks>> arriving;
  const auto take = [&](std::size_t i) -> Result<> {
    const Chunk& chunk = read_chunks_[i];
    SEGUE_TRY(wait_for(chunk.done_at));
    if (!arriving[i].empty())
      std::memcpy(arriving[i].data(), chunk.memory->host, arriving[i].size());
    arriving[i] = {};
    return {};
  };
  std::size_t turn = 0;
  for (; !destination.empty(); ++turn) {
    const std::size_t i = turn % read_chunks_.size();
    Chunk& chunk = read_chunks_[i];
    SEGUE_TRY(take(i));
    SEGUE_TRY(prepare(chunk, MemoryUse::kReadback, options_.read_chunk_bytes));
    const std::size_t size = std::min<std::size_t>(destination.size(), chunk.memory->range().size);
    SEGUE_TRY(begin(chunk));
    copy(*context_, chunk.commands, source, offset, chunk.memory->range(), 0, size);
    barrier(*context_, chunk.commands, StageSet::kTransfer, StageSet::kHost);
    SEGUE_TRY(submit(chunk));
    arriving[i] = destination.first(size);
    destination = destination.subspan(size);
    offset += size;
  }
  for (std::size_t left = 0; left < read_chunks_.size(); ++left)
    SEGUE_TRY(take((turn + left) % read_chunks_.size()));  // The oldest first.
  return {};
}

Result<> StagingRing::fill_locked(const BufferRange& destination, std::uint64_t offset,
                                  std::uint64_t size_bytes, std::byte value) {
  if (size_bytes == 0) return {};
  // vkCmdFillBuffer writes words at multiples of their size; what sticks out is copied.
  constexpr std::uint64_t kWord = 4;
  const std::uint64_t head = std::min((kWord - offset % kWord) % kWord, size_bytes);
  const std::uint64_t words = (size_bytes - head) / kWord * kWord;
  const std::uint64_t tail = size_bytes - head - words;
  SEGUE_TRY(prepare());
  Chunk& chunk = write_chunks_[0];
  SEGUE_TRY(prepare(chunk, MemoryUse::kUpload, options_.write_chunk_bytes));
  const BufferRange& staged = chunk.memory->range();
  std::memset(chunk.memory->host, std::to_integer<int>(value), 2 * kWord);
  SEGUE_TRY(begin(chunk));
  if (words != 0) {
    const std::uint32_t pattern = std::to_integer<std::uint32_t>(value) * 0x01010101U;
    context_->api.CmdFillBuffer(chunk.commands, destination.buffer,
                                destination.offset + offset + head, words, pattern);
  }
  if (head != 0) copy(*context_, chunk.commands, staged, 0, destination, offset, head);
  if (tail != 0) {
    copy(*context_, chunk.commands, staged, 0, destination, offset + size_bytes - tail, tail);
  }
  barrier(*context_, chunk.commands, StageSet::kTransfer, kDevice);
  SEGUE_TRY(submit(chunk));
  return wait_for(submitted_);
}

Result<> StagingRing::prepare() {
  SEGUE_TRY(context_->check_alive());
  if (pool_ == VK_NULL_HANDLE) {
    VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    info.flags =
        VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    info.queueFamilyIndex = context_->family.index;
    VkCommandPool pool = VK_NULL_HANDLE;
    SEGUE_VK_TRY(*context_, CreateCommandPool, context_->device, &info, nullptr, &pool);
    pool_ = pool;
    context_->set_name(VK_OBJECT_TYPE_COMMAND_POOL, pool_, "segue staging");
  }
  if (timeline_ == VK_NULL_HANDLE) {
    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    info.pNext = &type;
    VkSemaphore timeline = VK_NULL_HANDLE;
    SEGUE_VK_TRY(*context_, CreateSemaphore, context_->device, &info, nullptr, &timeline);
    timeline_ = timeline;
    context_->set_name(VK_OBJECT_TYPE_SEMAPHORE, timeline_, "segue staging");
  }
  return {};
}

/// Makes a chunk at its first use, or waits until the device has done with it.
Result<> StagingRing::prepare(Chunk& chunk, MemoryUse use, std::uint64_t size_bytes) {
  if (chunk.memory == nullptr) {
    AllocationRequest request;
    request.size_bytes = size_bytes;
    request.use = use;
    request.label = "segue staging";
    SEGUE_TRY_ASSIGN(chunk.memory, allocator_->allocate(request));
  }
  if (chunk.commands == VK_NULL_HANDLE) {
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    SEGUE_VK_TRY(*context_, AllocateCommandBuffers, context_->device, &info, &commands);
    chunk.commands = commands;
  }
  return wait_for(chunk.done_at);
}

Result<> StagingRing::begin(Chunk& chunk) {
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  SEGUE_VK_TRY(*context_, BeginCommandBuffer, chunk.commands, &info);
  // The caller has waited for the work that used the bytes, so this waits for nothing that matters;
  // it makes what that work wrote visible to the copies.
  barrier(*context_, chunk.commands, kDevice, StageSet::kTransfer);
  return {};
}

Result<> StagingRing::submit(Chunk& chunk) {
  SEGUE_VK_TRY(*context_, EndCommandBuffer, chunk.commands);
  VkCommandBufferSubmitInfo commands{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO};
  commands.commandBuffer = chunk.commands;
  VkSemaphoreSubmitInfo signal{VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
  signal.semaphore = timeline_;
  signal.value = submitted_ + 1;
  signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  VkSubmitInfo2 info{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  info.commandBufferInfoCount = 1;
  info.pCommandBufferInfos = &commands;
  info.signalSemaphoreInfoCount = 1;
  info.pSignalSemaphoreInfos = &signal;
  {
    const std::lock_guard lock(queue_.mutex);
    SEGUE_VK_TRY(*context_, QueueSubmit2, queue_.handle, 1, &info, VK_NULL_HANDLE);
  }
  chunk.done_at = ++submitted_;
  return {};
}

Result<> StagingRing::wait_for(std::uint64_t value) {
  if (value == 0) return {};
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &timeline_;
  info.pValues = &value;
  SEGUE_VK_TRY(*context_, WaitSemaphores, context_->device, &info, UINT64_MAX);
  return {};
}

/// Waits for what is in flight, in whatever way still works, and gives everything back.
void StagingRing::release() {
  if (submitted_ != 0 && !wait_for(submitted_) && !context_->lost()) {
    const std::lock_guard lock(queue_.mutex);
    static_cast<void>(context_->api.QueueWaitIdle(queue_.handle));
  }
  for (Chunks* const chunks : {&write_chunks_, &read_chunks_}) *chunks = {};
  if (timeline_ != VK_NULL_HANDLE)
    context_->api.DestroySemaphore(context_->device, timeline_, nullptr);
  if (pool_ != VK_NULL_HANDLE) context_->api.DestroyCommandPool(context_->device, pool_, nullptr);
  timeline_ = VK_NULL_HANDLE;
  pool_ = VK_NULL_HANDLE;
  submitted_ = 0;
}

}  // namespace segue::vulkan
