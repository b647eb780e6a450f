// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include "metal_double/core/dispatch_rules.hpp"
#include "metal_double/objects/private.h"

@interface MetalDoubleIndirectComputeCommand : NSObject <MTLIndirectComputeCommand>
@end

namespace metal_double {
namespace {

constexpr NSUInteger kMaxOffset = 0xFFFFFFFF;

struct CommandState : ObjectState {
  CommandState(id<MTLIndirectCommandBuffer> parent, NSUInteger at)
      : buffer(parent), core(core_of<IndirectState>(parent)), index(at) {}
  Retained<id<MTLIndirectCommandBuffer>> buffer;
  std::shared_ptr<IndirectCore> core;
  NSUInteger index;
};

std::string where(const CommandState& self) {
  return fmt::format("Command {} of {}", self.index, self.core->title());
}

/// False, with a violation, if the device may be reading the commands.
bool check_idle(const IndirectCore& core, const char* call) {
  if (core.in_flight == 0) return true;
  violation("{} is called on {}, which a command buffer in flight uses.", call, core.title());
  return false;
}

bool check_descriptor(MTLIndirectCommandBufferDescriptor* descriptor, NSUInteger count) {
  constexpr const char* kCall = "newIndirectCommandBuffer";
  constexpr MTLIndirectCommandType kCompute =
      MTLIndirectCommandTypeConcurrentDispatch | MTLIndirectCommandTypeConcurrentDispatchThreads;
  const auto options = World::get().options();
  if (!options->indirect_command_buffers) {
    violation("{}: the device has no indirect command buffers for compute.", kCall);
    return false;
  }
  const MTLIndirectCommandType types = descriptor.commandTypes;
  if (types == 0 || (types & ~kCompute) != 0) {
    violation("{}: command types {:#x} are not those of compute.", kCall, types);
    return false;
  }
  if (count == 0 || count > options->max_indirect_commands) {
    violation("{}: {} commands are asked for; 1 to {} are allowed.", kCall, count,
              options->max_indirect_commands);
    return false;
  }
  if (descriptor.maxKernelBufferBindCount > kMaxBindings ||
      descriptor.maxKernelThreadgroupMemoryBindCount > kMaxBindings) {
    violation("{}: {} buffers and {} threadgroup arguments are asked for; {} are allowed.", kCall,
              descriptor.maxKernelBufferBindCount, descriptor.maxKernelThreadgroupMemoryBindCount,
              kMaxBindings);
    return false;
  }
  return true;
}

void set_dispatch(id self, bool by_threads, MTLSize grid, MTLSize group) {
  auto& mine = state<CommandState>(self);
  const char* const call =
      by_threads ? "concurrentDispatchThreads" : "concurrentDispatchThreadgroups";
  const MTLIndirectCommandType type = by_threads ? MTLIndirectCommandTypeConcurrentDispatchThreads
                                                 : MTLIndirectCommandTypeConcurrentDispatch;
  if (!check_idle(*mine.core, call)) return;
  const GridSize grid_size{grid.width, grid.height, grid.depth};
  const GridSize group_size{group.width, group.height, group.depth};
  mine.core->device().record("{}[{}] {} {} by {}", mine.core->name(), mine.index, call,
                             to_string(grid_size), to_string(group_size));
  if ((mine.core->command_types & type) == 0) {
    violation("{}: {} is not among the command types of its descriptor.", where(mine), call);
    return;
  }
  if (by_threads && !has_nonuniform_groups(*World::get().options())) {
    violation("{}: {} needs nonuniform threadgroups, which the family lacks.", where(mine), call);
    return;
  }
  for (const GridSize& size : {grid_size, group_size}) {
    if (size.x != 0 && size.y != 0 && size.z != 0) continue;
    violation("{}: {} {} by {} has no threads.", where(mine), call, to_string(grid_size),
              to_string(group_size));
    return;
  }
  IndirectCore::Command& command = mine.core->commands[mine.index];
  command.grid = grid_size;
  command.group_size = group_size;
  command.by_threads = by_threads;
  command.dispatches = true;
}

}  // namespace

id<MTLIndirectCommandBuffer> new_indirect(id device, MTLIndirectCommandBufferDescriptor* descriptor,
                                          NSUInteger count) {
  if (World::get().creation_fails("newIndirectCommandBuffer")) return nil;
  if (!check_descriptor(descriptor, count)) return nil;
  auto core =
      std::make_shared<IndirectCore>(state<DeviceState>(device).core, "indirectCommandBuffer");
  core->command_types = descriptor.commandTypes;
  core->inherits_pipeline = descriptor.inheritPipelineState;
  core->inherits_buffers = descriptor.inheritBuffers;
  core->max_buffers = descriptor.maxKernelBufferBindCount;
  core->max_threadgroup_bindings = descriptor.maxKernelThreadgroupMemoryBindCount;
  core->commands.resize(count);
  core->device().record("newIndirectCommandBuffer {} -> {}", count, core->name());
  return make_object<IndirectState, MetalDoubleIndirectCommandBuffer>(device, std::move(core));
}

}  // namespace metal_double

using namespace metal_double;

@implementation MetalDoubleIndirectCommandBuffer

- (NSUInteger)size {
  return core_of<IndirectState>(self)->commands.size();
}
- (NSUInteger)allocatedSize {
  return [self size] * sizeof(IndirectCore::Command);
}
- (MTLCPUCacheMode)cpuCacheMode {
  return MTLCPUCacheModeDefaultCache;
}
- (MTLStorageMode)storageMode {
  return MTLStorageModeShared;
}
- (MTLHazardTrackingMode)hazardTrackingMode {
  return MTLHazardTrackingModeUntracked;
}
- (MTLResourceOptions)resourceOptions {
  return MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked;
}
- (void)resetWithRange:(NSRange)range {
  const auto core = core_of<IndirectState>(self);
  if (!check_idle(*core, "resetWithRange")) return;
  core->device().record("resetWithRange {} [{}, {})", core->name(), range.location,
                        range.location + range.length);
  const std::size_t size = core->commands.size();
  if (range.location > size || range.length > size - range.location) {
    violation("resetWithRange: range [{}, {}) does not fit {}, which has {} commands.",
              range.location, range.location + range.length, core->title(), size);
    return;
  }
  for (NSUInteger i = 0; i < range.length; ++i) core->commands[range.location + i] = {};
}
- (id<MTLIndirectComputeCommand>)indirectComputeCommandAtIndex:(NSUInteger)index {
  const auto core = core_of<IndirectState>(self);
  if (index >= core->commands.size()) {
    violation("indirectComputeCommandAtIndex: {} has {} commands, and none at {}.", core->title(),
              core->commands.size(), index);
    return nil;
  }
  return [make_object<CommandState, MetalDoubleIndirectComputeCommand>(self, index) autorelease];
}

@end

@implementation MetalDoubleIndirectComputeCommand

- (void)setComputePipelineState:(id<MTLComputePipelineState>)pipeline {
  auto& mine = state<CommandState>(self);
  if (!check_idle(*mine.core, "setComputePipelineState")) return;
  if (mine.core->inherits_pipeline) {
    violation("{}: a pipeline is set, but its descriptor inherits the pipeline.", where(mine));
    return;
  }
  const auto core = core_of<PipelineState>(pipeline);
  if (!core || !core->indirect) {
    violation("{}: {} does not support indirect command buffers.", where(mine),
              core ? core->title() : "nil");
    return;
  }
  core->device().record("{}[{}] setComputePipelineState {}", mine.core->name(), mine.index,
                        core->name());
  mine.core->commands[mine.index].bindings.pipeline = core;
}
- (void)setKernelBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
  auto& mine = state<CommandState>(self);
  if (!check_idle(*mine.core, "setKernelBuffer")) return;
  if (mine.core->inherits_buffers) {
    violation("{}: a buffer is set, but its descriptor inherits the buffers.", where(mine));
    return;
  }
  if (index >= mine.core->max_buffers) {
    violation("{}: a buffer is set at index {}, but maxKernelBufferBindCount is {}.", where(mine),
              index, mine.core->max_buffers);
    return;
  }
  if (offset > kMaxOffset) {
    violation("{}: offset {} of a buffer does not fit 32 bits.", where(mine), offset);
    return;
  }
  if (!check_given("setKernelBuffer", buffer)) return;
  const auto core = core_of<BufferState>(buffer);
  if (!check_buffer("setKernelBuffer", core.get(), offset)) return;
  core->device().record("{}[{}] setKernelBuffer {}+{} @{}", mine.core->name(), mine.index,
                        core->name(), offset, index);
  mine.core->commands[mine.index].bindings.buffers[index] = {core, offset, nullptr};
}
- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
  auto& mine = state<CommandState>(self);
  constexpr const char* kCall = "setThreadgroupMemoryLength";
  if (!check_idle(*mine.core, kCall)) return;
  if (index >= mine.core->max_threadgroup_bindings) {
    violation("{}: threadgroup memory is set at index {}, but "
              "maxKernelThreadgroupMemoryBindCount is {}.",
              where(mine), index, mine.core->max_threadgroup_bindings);
    return;
  }
  if (!check_threadgroup_length(kCall, length)) return;
  mine.core->device().record("{}[{}] {} {} @{}", mine.core->name(), mine.index, kCall, length,
                             index);
  mine.core->commands[mine.index].bindings.threadgroup_bytes[index] = length;
}
- (void)concurrentDispatchThreadgroups:(MTLSize)grid threadsPerThreadgroup:(MTLSize)group {
  set_dispatch(self, false, grid, group);
}
- (void)concurrentDispatchThreads:(MTLSize)grid threadsPerThreadgroup:(MTLSize)group {
  set_dispatch(self, true, grid, group);
}
- (void)setBarrier {
  auto& mine = state<CommandState>(self);
  if (!check_idle(*mine.core, "setBarrier")) return;
  mine.core->device().record("{}[{}] setBarrier", mine.core->name(), mine.index);
  mine.core->commands[mine.index].barrier = true;
}
- (void)clearBarrier {
  auto& mine = state<CommandState>(self);
  if (!check_idle(*mine.core, "clearBarrier")) return;
  mine.core->device().record("{}[{}] clearBarrier", mine.core->name(), mine.index);
  mine.core->commands[mine.index].barrier = false;
}
- (void)reset {
  auto& mine = state<CommandState>(self);
  if (!check_idle(*mine.core, "reset")) return;
  mine.core->device().record("{}[{}] reset", mine.core->name(), mine.index);
  mine.core->commands[mine.index] = {};
}

@end
