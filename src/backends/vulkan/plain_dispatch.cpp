// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/plain_dispatch.hpp"

#include <algorithm>
#include <cstring>

#include "backends/vulkan/vulkan_memory.hpp"

namespace segue::vulkan {
namespace {

constexpr std::uint64_t kExtentBytes = 12;

}  // namespace

PlainDispatcher::PlainDispatcher(const Context& context)
    : api_(context.api), misaligned_(context.traits.storage_alignment - 1) {
  static_assert((kKernels & (kKernels - 1)) == 0);
}

void PlainDispatcher::begin(VkCommandBuffer commands, const ir::CommandList& list, Arena& arena) {
  ++recording_;
  commands_ = commands;
  list_ = &list;
  arena_ = &arena;
}

inline const PlainDispatcher::Prepared& PlainDispatcher::prepare(const ir::Command& command) {
  Prepared& prepared = prepared_[command.kernel->index & (kKernels - 1)];
  if (prepared.recording != recording_ || prepared.kernel != command.kernel ||
      prepared.group_size != command.group_size) [[unlikely]] {
    prepare(command, prepared);
  }
  return prepared;
}

void PlainDispatcher::prepare(const ir::Command& command, Prepared& prepared) {
  auto& kernel = static_cast<CompiledKernel&>(*command.kernel);
  prepared.recording = recording_;
  prepared.kernel = &kernel;
  prepared.group_size = command.group_size;
  prepared.pipeline = nullptr;
  prepared.run_count = 0;
  const std::span<const Binding> bindings = kernel.bindings();
  const std::size_t count = bindings.size() + (kernel.wants_grid() ? 1 : 0);
  if (count > kMostBindings) return;
  const auto type_of = [&](std::size_t i) {
    return i < bindings.size() ? bindings[i].type : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i != 0 && type_of(i) == type_of(i - 1)) {
      ++prepared.runs[prepared.run_count - 1].descriptorCount;
      continue;
    }
    if (prepared.run_count == kRuns) return;
    VkWriteDescriptorSet& run = prepared.runs[prepared.run_count++];
    run = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    run.dstBinding = i;
    run.descriptorCount = 1;
    run.descriptorType = type_of(i);
    run.pBufferInfo = &infos_[i];
  }
  // An error comes again on the long way, which reports it.
  const Result<const Pipeline*> pipeline =
      kernel.pipeline(command.group_size, {}, BindingMode::kPush);
  if (pipeline) prepared.pipeline = *pipeline;
}

/// Descriptors of the arguments in infos_; inline bytes go to the parameter block on the way.
inline bool PlainDispatcher::gather(const ir::Command& command, const CompiledKernel& kernel) {
  VkDescriptorBufferInfo* info = infos_.data();
  for (const ir::Argument& argument : list_->arguments(command)) {
    if (argument.is_view()) [[likely]] {
      const BufferRange& range = range_of(*argument.storage);
      const VkDeviceSize offset = range.offset + argument.storage->native_offset + argument.offset;
      if ((offset & misaligned_) != 0 || argument.size == 0) [[unlikely]]
        return false;
      *info++ = {range.buffer, offset, argument.size};
      continue;
    }
    const auto i = static_cast<std::size_t>(info - infos_.data());
    const std::uint64_t size =
        std::max<std::uint64_t>(argument.size, kernel.bindings()[i].min_range);
    const Placement placed = arena_->place_at_hand(size);
    if (placed.data == nullptr) [[unlikely]]
      return false;
    std::memcpy(placed.data, list_->bytes(argument), argument.size);
    *info++ = {placed.buffer, placed.offset, size};
  }
  if (kernel.wants_grid()) {
    const Placement placed = arena_->place_at_hand(kExtentBytes);
    if (placed.data == nullptr) [[unlikely]]
      return false;
    const Extent3& threads = command.thread_count;
    const std::uint32_t words[3] = {threads.x, threads.y, threads.z};
    std::memcpy(placed.data, words, sizeof(words));
    *info = {placed.buffer, placed.offset, kExtentBytes};
  }
  return true;
}

bool PlainDispatcher::record(const ir::Command& command, VkPipeline& bound) {
  if (command.kind != ir::CommandKind::kDispatch || command.shared_count != 0 ||
      command.group_count.empty()) [[unlikely]] {
    return false;
  }
  const Prepared& prepared = prepare(command);
  if (prepared.pipeline == nullptr || !gather(command, *prepared.kernel)) [[unlikely]]
    return false;
  if (prepared.pipeline->handle != bound) {
    bound = prepared.pipeline->handle;
    api_.CmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, bound);
  }
  if (prepared.run_count != 0) [[likely]] {
    api_.CmdPushDescriptorSetKHR(commands_, VK_PIPELINE_BIND_POINT_COMPUTE,
                                 prepared.pipeline->layout, 0, prepared.run_count,
                                 prepared.runs.data());
  }
  api_.CmdDispatch(commands_, command.group_count.x, command.group_count.y, command.group_count.z);
  return true;
}

}  // namespace segue::vulkan
