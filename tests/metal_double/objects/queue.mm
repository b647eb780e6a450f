// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <Block.h>

#include <algorithm>

#include "metal_double/objects/private.h"

namespace metal_double {
namespace {

id<MTLCommandBuffer> make_command_buffer(id queue, bool retains, bool wants_encoder_info) {
  if (World::get().creation_fails("commandBuffer")) return nil;
  auto& mine = state<QueueState>(queue);
  auto core = std::make_shared<CommandBufferCore>(mine.core->shared_device(), "commandBuffer");
  core->queue = mine.core;
  core->retains = retains;
  core->wants_encoder_info = wants_encoder_info;
  Scheduler::get().begin(core);
  core->device().record("commandBuffer {} {}", core->name(), retains ? "retained" : "unretained");
  auto* const made =
      make_object<CommandBufferState, MetalDoubleCommandBuffer>(mine.device_object.get(), core);
  state<CommandBufferState>(made).queue = static_cast<id<MTLCommandQueue>>(queue);
  return [made autorelease];
}

}  // namespace
}  // namespace metal_double

using namespace metal_double;

@implementation MetalDoubleCommandQueue

- (id<MTLCommandBuffer>)commandBuffer {
  return make_command_buffer(self, true, false);
}
- (id<MTLCommandBuffer>)commandBufferWithUnretainedReferences {
  return make_command_buffer(self, false, false);
}
- (id<MTLCommandBuffer>)commandBufferWithDescriptor:(MTLCommandBufferDescriptor*)descriptor {
  return make_command_buffer(
      self, descriptor.retainedReferences,
      (descriptor.errorOptions & MTLCommandBufferErrorOptionEncoderExecutionStatus) != 0);
}

- (void)addResidencySet:(id<MTLResidencySet>)set {
  if (!has_residency_sets("addResidencySet") || !check_given("addResidencySet", set)) return;
  const auto core = core_of<ResidencyState>(set);
  core->device().record("addResidencySet {}", core->name());
  state<QueueState>(self).residency_sets.emplace_back(set);
  Scheduler::get().add_residency(*core_of<QueueState>(self), core);
}
- (void)addResidencySets:(const id<MTLResidencySet>[])sets count:(NSUInteger)count {
  for (NSUInteger i = 0; i < count; ++i) [self addResidencySet:sets[i]];
}
- (void)removeResidencySet:(id<MTLResidencySet>)set {
  if (!has_residency_sets("removeResidencySet") || !check_given("removeResidencySet", set)) return;
  const auto core = core_of<ResidencyState>(set);
  core->device().record("removeResidencySet {}", core->name());
  Scheduler::get().remove_residency(*core_of<QueueState>(self), core);
  std::erase_if(state<QueueState>(self).residency_sets,
                [&](const auto& each) { return each.get() == set; });
}
- (void)removeResidencySets:(const id<MTLResidencySet>[])sets count:(NSUInteger)count {
  for (NSUInteger i = 0; i < count; ++i) [self removeResidencySet:sets[i]];
}

@end
