// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/slot_sets.hpp"

#include <algorithm>

#include "backends/vulkan/vulkan_memory.hpp"

namespace segue::vulkan {
namespace {

/// The commands, ascending and each once, whose kernels take a view that is a slot.
std::vector<std::uint32_t> find_commands(const ir::CommandList& list) {
  std::vector<std::uint32_t> commands;
  for (const ir::SlotUse& use : list.slot_uses()) {
    const ir::Command& command = list.commands()[use.command];
    if (list.slots()[use.slot].kind != ir::SlotKind::kView || !command.is_dispatch()) continue;
    const bool counts = command.kind == ir::CommandKind::kDispatchIndirect &&
                        use.argument + 1U == command.argument_count;
    if (counts || (!commands.empty() && commands.back() == use.command)) continue;
    commands.push_back(use.command);
  }
  return commands;
}

}  // namespace

SlotSets::~SlotSets() {
  if (pool_ != VK_NULL_HANDLE)
    context_->api.DestroyDescriptorPool(context_->device, pool_, nullptr);
}

Result<> SlotSets::allocate(const ir::CommandList& list) {
  if (!context_->traits.update_after_bind) return {};
  const std::vector<std::uint32_t> commands = find_commands(list);
  if (commands.empty()) return {};
  std::vector<VkDescriptorSetLayout> layouts;
  std::uint32_t descriptors = 0;
  for (const std::uint32_t index : commands) {
    const ir::Command& command = list.commands()[index];
    auto& kernel = static_cast<CompiledKernel&>(*command.kernel);
    SEGUE_TRY_ASSIGN(const Pipeline* const pipeline,
                     kernel.pipeline(command.group_size, list.shared_sizes(command),
                                     BindingMode::kUpdateAfterBind));
    layouts.push_back(pipeline->set_layout);
    descriptors += static_cast<std::uint32_t>(kernel.bindings().size()) + 1;
  }
  const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, descriptors},
                                        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, descriptors}};
  VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  info.flags = VK_DESCRIPTOR_POOL_CREATE_UPDATE_AFTER_BIND_BIT;
  info.maxSets = static_cast<std::uint32_t>(commands.size());
  info.poolSizeCount = 2;
  info.pPoolSizes = sizes;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  SEGUE_VK_TRY(*context_, CreateDescriptorPool, context_->device, &info, nullptr, &pool);
  pool_ = pool;
  VkDescriptorSetAllocateInfo allocation{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  allocation.descriptorPool = pool_;
  allocation.descriptorSetCount = info.maxSets;
  allocation.pSetLayouts = layouts.data();
  std::vector<VkDescriptorSet> allocated(commands.size());
  SEGUE_VK_TRY(*context_, AllocateDescriptorSets, context_->device, &allocation, allocated.data());
  sets_.assign(list.size(), VK_NULL_HANDLE);
  for (std::size_t i = 0; i < commands.size(); ++i) sets_[commands[i]] = allocated[i];
  return {};
}

bool SlotSets::update(const ir::CommandList& list, const ir::SlotUse& use) {
  if (sets_.empty() || sets_[use.command] == VK_NULL_HANDLE) return false;
  const ir::Command& command = list.commands()[use.command];
  const auto& kernel = static_cast<const CompiledKernel&>(*command.kernel);
  if (use.argument >= kernel.bindings().size()) return false;
  const ir::Argument& view = list.arguments(command)[use.argument];
  if (view.size == 0) return true;
  const BufferRange& range = range_of(*view.storage);
  const VkDescriptorBufferInfo info{
      range.buffer, range.offset + view.storage->native_offset + view.offset, view.size};
  if (info.offset % context_->traits.storage_alignment != 0) return false;
  VkWriteDescriptorSet write{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
  write.dstSet = sets_[use.command];
  write.dstBinding = use.argument;
  write.descriptorCount = 1;
  write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  write.pBufferInfo = &info;
  context_->api.UpdateDescriptorSets(context_->device, 1, &write, 0, nullptr);
  return true;
}

}  // namespace segue::vulkan
