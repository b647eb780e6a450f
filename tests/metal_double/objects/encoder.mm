// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include "metal_double/objects/private.h"

namespace metal_double {

EncoderState::~EncoderState() { core->freed(); }

std::optional<std::string> EncoderState::label_refusal() const {
  if (core->buffer().commit_called) return "after its command buffer was committed";
  if (core->ended()) return "after endEncoding";
  return std::nullopt;
}

namespace {

GridSize grid_size(MTLSize size) { return {size.width, size.height, size.depth}; }

ComputeEncoder& encoder(id self) { return *state<EncoderState>(self).core; }

void keep(id self, id object) {
  state<CommandBufferState>(state<EncoderState>(self).command_buffer.get()).keep(object);
}

/// Buffers, and indirect command buffers.
std::shared_ptr<Named> resource_core(id<MTLResource> resource) {
  return resource == nil ? nullptr : state<DeviceObjectState>(resource).name;
}

}  // namespace
}  // namespace metal_double

using namespace metal_double;

@implementation MetalDoubleComputeCommandEncoder

- (MTLDispatchType)dispatchType {
  return encoder(self).concurrent() ? MTLDispatchTypeConcurrent : MTLDispatchTypeSerial;
}
- (void)setComputePipelineState:(id<MTLComputePipelineState>)pipeline {
  keep(self, pipeline);
  encoder(self).set_pipeline(core_of<PipelineState>(pipeline));
}
- (void)setBytes:(const void*)bytes length:(NSUInteger)length atIndex:(NSUInteger)index {
  encoder(self).set_bytes(bytes, length, index);
}
- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
  keep(self, buffer);
  encoder(self).set_buffer(core_of<BufferState>(buffer), offset, index);
}
- (void)setBufferOffset:(NSUInteger)offset atIndex:(NSUInteger)index {
  encoder(self).set_buffer_offset(offset, index);
}
- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
  encoder(self).set_threadgroup_length(length, index);
}

- (void)dispatchThreadgroups:(MTLSize)groups threadsPerThreadgroup:(MTLSize)threads {
  encoder(self).dispatch({grid_size(groups), grid_size(threads), false, {}});
}
- (void)dispatchThreads:(MTLSize)grid threadsPerThreadgroup:(MTLSize)threads {
  encoder(self).dispatch({grid_size(grid), grid_size(threads), true, {}});
}
- (void)dispatchThreadgroupsWithIndirectBuffer:(id<MTLBuffer>)buffer
                          indirectBufferOffset:(NSUInteger)offset
                         threadsPerThreadgroup:(MTLSize)threads {
  keep(self, buffer);
  encoder(self).dispatch_indirect(core_of<BufferState>(buffer), offset, grid_size(threads));
}

- (void)updateFence:(id<MTLFence>)fence {
  keep(self, fence);
  encoder(self).update_fence(core_of<FenceState>(fence));
}
- (void)waitForFence:(id<MTLFence>)fence {
  keep(self, fence);
  encoder(self).wait_fence(core_of<FenceState>(fence));
}

- (void)useResource:(id<MTLResource>)resource usage:(MTLResourceUsage)usage {
  keep(self, resource);
  encoder(self).use(resource_core(resource), (usage & MTLResourceUsageWrite) != 0);
}
- (void)useResources:(const id<MTLResource>[])resources
               count:(NSUInteger)count
               usage:(MTLResourceUsage)usage {
  for (NSUInteger i = 0; i < count; ++i) [self useResource:resources[i] usage:usage];
}
- (void)executeCommandsInBuffer:(id<MTLIndirectCommandBuffer>)commands withRange:(NSRange)range {
  keep(self, commands);
  encoder(self).execute(core_of<IndirectState>(commands), range.location, range.length);
}
- (void)memoryBarrierWithScope:(MTLBarrierScope)scope {
  encoder(self).barrier(scope);
}

- (void)pushDebugGroup:(NSString*)string {
  encoder(self).push_group(from_ns(string));
}
- (void)popDebugGroup {
  encoder(self).pop_group();
}
- (void)insertDebugSignpost:(NSString*)string {
  encoder(self).signpost(from_ns(string));
}
- (void)endEncoding {
  encoder(self).end();
}

@end
