// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/command_frame.hpp"

#include <algorithm>

namespace segue::vulkan {

std::uint32_t DeviceShared::parameter_alignment() const {
  return std::max({context->traits.uniform_alignment, context->traits.storage_alignment, 16U});
}

CommandBuffer::~CommandBuffer() {
  if (pool_ != VK_NULL_HANDLE) context_->api.DestroyCommandPool(context_->device, pool_, nullptr);
}

Result<> CommandBuffer::prepare(const ContextPointer& context) {
  if (handle_ != VK_NULL_HANDLE) {
    return context->check("vkResetCommandPool",
                          context->api.ResetCommandPool(context->device, pool_, 0));
  }
  if (pool_ == VK_NULL_HANDLE) {
    VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    info.queueFamilyIndex = context->family.index;
    VkCommandPool pool = VK_NULL_HANDLE;
    SEGUE_VK_TRY(*context, CreateCommandPool, context->device, &info, nullptr, &pool);
    pool_ = pool;
    context_ = context;
  }
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool_;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer handle = VK_NULL_HANDLE;
  SEGUE_VK_TRY(*context, AllocateCommandBuffers, context->device, &info, &handle);
  handle_ = handle;
  return {};
}

Result<> CommandFrame::record(const DeviceShared& device, CommandRecorder& recorder,
                              const ir::Plan& plan, RecordOptions options) {
  const Context& context = *device.context;
  query_count_ = 0;
  timed_.clear();
  if (context.traits.timestamp_bits != 0) {
    query_count_ = 2;
    if (options.time_commands) {
      timed_ = plan.order;
      query_count_ += static_cast<std::uint32_t>(2 * timed_.size());
    }
    SEGUE_TRY(queries.prepare(device.context, query_count_));
    options.queries = queries.pool();
  } else {
    options.time_commands = false;
  }
  arena.reset();
  scratch.reset();
  SEGUE_TRY(commands.prepare(device.context));
  SEGUE_TRY_ASSIGN(counts_, recorder.record(commands.handle(), plan, arena, scratch, options));
  return {};
}

Result<> CommandFrame::rewind(const DeviceShared& device) {
  if (query_count_ == 0) return {};
  return queries.prepare(device.context, query_count_);
}

hal::Outcome CommandFrame::outcome(const DeviceShared& device) const {
  hal::Outcome outcome;
  outcome.command_buffers = 1;
  outcome.barriers_issued = counts_.barriers;
  outcome.barrier_ns = counts_.barrier_ns;
  if (query_count_ == 0) return outcome;
  std::vector<std::uint64_t> ticks;
  if (Result<> read = queries.read(query_count_, ticks); !read) {
    outcome.error = std::move(read).error();
    return outcome;
  }
  outcome.start_seconds = device.clock.seconds(ticks[0]);
  outcome.end_seconds = device.clock.seconds(ticks[1]);
  for (std::size_t i = 0; i < timed_.size(); ++i) {
    outcome.command_times.push_back({timed_[i], device.clock.seconds(ticks[2 + 2 * i]),
                                     device.clock.seconds(ticks[3 + 2 * i])});
  }
  return outcome;
}

}  // namespace segue::vulkan
