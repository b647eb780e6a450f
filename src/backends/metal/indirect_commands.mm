// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/indirect_commands.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backends/metal/metal_errors.hpp"

namespace segue::metal {

bool fits_indirect(const Step& step, const DeviceTraits& traits) {
  if (step.indirect.buffer != nil) return false;
  if (step.threadgroup_count != 0 && !traits.indirect_threadgroup_memory) return false;
  return std::all_of(
      step.bindings.begin(), step.bindings.begin() + step.binding_count,
      [](const Binding& binding) { return binding.buffer != nil && binding.offset <= UINT32_MAX; });
}

Result<IndirectCommands> IndirectCommands::create(const Context& context, std::uint32_t count,
                                                  std::uint32_t max_bindings,
                                                  std::uint32_t max_threadgroups) {
  const auto descriptor = adopt([[MTLIndirectCommandBufferDescriptor alloc] init]);
  [descriptor.get() setCommandTypes:MTLIndirectCommandTypeConcurrentDispatch |
                                    MTLIndirectCommandTypeConcurrentDispatchThreads];
  [descriptor.get() setInheritBuffers:NO];
  [descriptor.get() setInheritPipelineState:NO];
  [descriptor.get() setMaxKernelBufferBindCount:std::max(max_bindings, 1U)];
  if (SEGUE_ON_MACOS_14) {
    if (max_threadgroups != 0)
      [descriptor.get() setMaxKernelThreadgroupMemoryBindCount:max_threadgroups];
  }
  IndirectCommands commands;
  commands.buffer_ = adopt([context.device.get()
      newIndirectCommandBufferWithDescriptor:descriptor.get()
                             maxCommandCount:count
                                     options:MTLResourceStorageModeShared |
                                             MTLResourceHazardTrackingModeUntracked]);
  if (!commands.buffer_) {
    return std::unexpected(make_error(
        ErrorCode::kOutOfMemory,
        fmt::format("The device gives no indirect command buffer for {} commands.", count), nil));
  }
  return commands;
}

void IndirectCommands::clear(std::uint32_t index) const {
  [[buffer_.get() indirectComputeCommandAtIndex:index] reset];
}

void IndirectCommands::set(std::uint32_t index, const Step& step) const {
  clear(index);
  if (step.pipeline == nullptr) return;
  const id<MTLIndirectComputeCommand> command = [buffer_.get() indirectComputeCommandAtIndex:index];
  [command setComputePipelineState:step.pipeline->state.get()];
  for (std::uint32_t i = 0; i < step.binding_count; ++i)
    [command setKernelBuffer:step.bindings[i].buffer offset:step.bindings[i].offset atIndex:i];
  for (std::uint32_t i = 0; i < step.threadgroup_count; ++i)
    [command setThreadgroupMemoryLength:step.threadgroup_bytes[i]
                                atIndex:step.threadgroup_index[i]];
  if (step.exact_threads) {
    [command concurrentDispatchThreads:step.grid threadsPerThreadgroup:step.group];
  } else {
    [command concurrentDispatchThreadgroups:step.grid threadsPerThreadgroup:step.group];
  }
}

}  // namespace segue::metal
