// SPDX-License-Identifier: Apache-2.0
#include "raw_loop.hpp"

#include <cstring>
#include <utility>

namespace segue::bench {
namespace {

using namespace vulkan;

constexpr std::size_t kMostParameters = 4096;
constexpr std::uint64_t kParameterStride = 256;

Result<const Pipeline*> pipeline_of(const base::Ref<ir::Kernel>& kernel) {
  return static_cast<CompiledKernel&>(*kernel).pipeline({64, 1, 1}, {}, BindingMode::kPush);
}

void barrier(const Api& api, VkCommandBuffer commands) {
  VkMemoryBarrier2 memory{};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2;
  memory.srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
  memory.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
  memory.dstStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
  memory.dstAccessMask = VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
  VkDependencyInfo dependency{};
  dependency.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO;
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &memory;
  api.CmdPipelineBarrier2(commands, &dependency);
}

}  // namespace

Result<std::unique_ptr<RawLoop>> RawLoop::create(ContextPointer context) {
  std::unique_ptr<RawLoop> loop(new RawLoop(std::move(context)));
  SEGUE_TRY(loop->prepare());
  return loop;
}

Result<> RawLoop::prepare() {
  const Context& context = *context_;
  SEGUE_TRY_ASSIGN(allocator_, MemoryAllocator::create(context_));
  for (std::size_t i = 0; i < kBuffers; ++i) {
    SEGUE_TRY_ASSIGN(auto memory, allocator_->allocate({kBufferBytes, MemoryUse::kDevice, "raw"}));
    if (memory->host != nullptr) std::memset(memory->host, 0, kBufferBytes);
    buffers_.push_back(std::move(memory));
  }
  SEGUE_TRY_ASSIGN(parameters_, allocator_->allocate({kMostParameters * kParameterStride,
                                                      MemoryUse::kParameters, "raw"}));
  const auto indices = std::make_shared<base::IndexAllocator>();
  SEGUE_TRY_ASSIGN(plain_, compile_kernel(context_, add_kernel(false), {}, indices));
  SEGUE_TRY_ASSIGN(with_parameters_, compile_kernel(context_, add_kernel(true), {}, indices));
  SEGUE_TRY_ASSIGN(plain_pipeline_, pipeline_of(plain_));
  SEGUE_TRY_ASSIGN(parameter_pipeline_, pipeline_of(with_parameters_));
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = context.family.index;
  SEGUE_VK_TRY(context, CreateCommandPool, context.device, &pool, nullptr, &pool_);
  VkCommandBufferAllocateInfo buffer{};
  buffer.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  buffer.commandPool = pool_;
  buffer.commandBufferCount = 1;
  SEGUE_VK_TRY(context, AllocateCommandBuffers, context.device, &buffer, &commands_);
  VkSemaphoreTypeCreateInfo type{};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo semaphore{};
  semaphore.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  semaphore.pNext = &type;
  SEGUE_VK_TRY(context, CreateSemaphore, context.device, &semaphore, nullptr, &timeline_);
  return {};
}

RawLoop::~RawLoop() {
  const Api& api = context_->api;
  if (timeline_ != VK_NULL_HANDLE) api.DestroySemaphore(context_->device, timeline_, nullptr);
  if (pool_ != VK_NULL_HANDLE) api.DestroyCommandPool(context_->device, pool_, nullptr);
}

Result<> RawLoop::record(std::span<const Call> calls, bool parameters) {
  const Context& context = *context_;
  const Api& api = context.api;
  SEGUE_VK_TRY(context, ResetCommandPool, context.device, pool_, 0);
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  SEGUE_VK_TRY(context, BeginCommandBuffer, commands_, &begin);
  const Pipeline& pipeline = parameters ? *parameter_pipeline_ : *plain_pipeline_;
  api.CmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.handle);
  VkDescriptorBufferInfo infos[4];
  VkWriteDescriptorSet writes[2]{};
  for (VkWriteDescriptorSet& write : writes) write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
  writes[0].descriptorCount = 3;
  writes[0].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  writes[0].pBufferInfo = infos;
  writes[1].dstBinding = 3;
  writes[1].descriptorCount = 1;
  writes[1].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
  writes[1].pBufferInfo = infos + 3;
  std::uint32_t index = 0;
  for (const Call& call : calls) {
    if (call.barrier) barrier(api, commands_);
    for (std::size_t i = 0; i < 3; ++i) {
      const BufferRange& range = buffers_[call.slices[i].buffer]->range();
      infos[i] = {range.buffer, range.offset + call.slices[i].offset, kViewBytes};
    }
    if (parameters) {
      const std::uint64_t offset = kParameterStride * (index % kMostParameters);
      const Parameters values{{index, 1, 2, 3}};
      std::memcpy(parameters_->host + offset, &values, sizeof(values));
      infos[3] = {parameters_->range().buffer, parameters_->range().offset + offset,
                  sizeof(values)};
    }
    api.CmdPushDescriptorSetKHR(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0,
                                parameters ? 2 : 1, writes);
    api.CmdDispatch(commands_, 1, 1, 1);
    ++index;
  }
  SEGUE_VK_TRY(context, EndCommandBuffer, commands_);
  return {};
}

Result<> RawLoop::submit() {
  VkCommandBufferSubmitInfo buffer{};
  buffer.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
  buffer.commandBuffer = commands_;
  VkSemaphoreSubmitInfo signal{};
  signal.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
  signal.semaphore = timeline_;
  signal.value = ++submitted_;
  signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  VkSubmitInfo2 info{};
  info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
  info.commandBufferInfoCount = 1;
  info.pCommandBufferInfos = &buffer;
  info.signalSemaphoreInfoCount = 1;
  info.pSignalSemaphoreInfos = &signal;
  SEGUE_VK_TRY(*context_, QueueSubmit2, context_->queues.front()->handle, 1, &info, VK_NULL_HANDLE);
  return {};
}

Result<> RawLoop::wait() {
  VkSemaphoreWaitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  info.semaphoreCount = 1;
  info.pSemaphores = &timeline_;
  info.pValues = &submitted_;
  SEGUE_VK_TRY(*context_, WaitSemaphores, context_->device, &info, UINT64_MAX);
  return {};
}

}  // namespace segue::bench
