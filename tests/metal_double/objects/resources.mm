// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <Block.h>

#include "metal_double/objects/private.h"

namespace metal_double {

BufferState::~BufferState() {
  core->stop_counting();
  if (core->residency_sets > 0) {
    violation("{} is freed while {} residency sets contain it.", core->title(),
              core->residency_sets.load());
  }
  if (deallocator == nullptr) return;
  deallocator(core->data, core->size);
  Block_release(deallocator);
}

ResidencyState::~ResidencyState() {
  {
    const std::scoped_lock lock(Scheduler::get().mutex());
    for (const auto& buffer : core->pending) --buffer->residency_sets;
    core->pending.clear();
  }
  Scheduler::get().commit_residency(core);
}

void take_label(Named& named, NSString* label) {
  if (label != nil) named.set_label(from_ns(label));
}

bool check_given(const char* call, id object) {
  if (object == nil) violation("{} is called with nil.", call);
  return object != nil;
}

}  // namespace metal_double

using namespace metal_double;

namespace {

/// Other allocations than buffers are always resident here.
std::shared_ptr<BufferCore> buffer_core(id allocation) {
  const bool known = [allocation isKindOfClass:[MetalDoubleBuffer class]];
  return known ? core_of<BufferState>(allocation) : nullptr;
}

}  // namespace

@implementation MetalDoubleObject

- (NSString*)label {
  return label_or_nil(state<DeviceObjectState>(self).name->label());
}
- (void)setLabel:(NSString*)label {
  auto& mine = state<DeviceObjectState>(self);
  if (const auto refusal = mine.label_refusal()) {
    violation("setLabel is called on {} {}.", mine.name->title(), *refusal);
    return;
  }
  mine.name->set_label(from_ns(label));
}
- (id<MTLDevice>)device {
  return state<DeviceObjectState>(self).device_object.get();
}
- (NSString*)description {
  return to_ns(state<DeviceObjectState>(self).name->title());
}

@end

@implementation MetalDoubleBuffer

- (void*)contents {
  return [self storageMode] == MTLStorageModePrivate ? nullptr : core_of<BufferState>(self)->data;
}
- (NSUInteger)length {
  return core_of<BufferState>(self)->size;
}
- (NSUInteger)allocatedSize {
  return core_of<BufferState>(self)->size;
}
- (MTLGPUAddress)gpuAddress {
  const std::shared_ptr<BufferCore> core = core_of<BufferState>(self);
  note_address_taken(core);
  return reinterpret_cast<MTLGPUAddress>(core->data);
}
- (MTLResourceOptions)resourceOptions {
  return core_of<BufferState>(self)->options;
}
- (MTLCPUCacheMode)cpuCacheMode {
  return static_cast<MTLCPUCacheMode>([self resourceOptions] & 0xF);
}
- (MTLStorageMode)storageMode {
  return static_cast<MTLStorageMode>(([self resourceOptions] >> 4) & 0xF);
}
- (MTLHazardTrackingMode)hazardTrackingMode {
  return core_of<BufferState>(self)->tracked ? MTLHazardTrackingModeTracked
                                             : MTLHazardTrackingModeUntracked;
}

@end

@implementation MetalDoubleFence
@end

@implementation MetalDoubleSharedEvent

- (uint64_t)signaledValue {
  return Scheduler::get().value(*core_of<EventState>(self));
}
- (void)setSignaledValue:(uint64_t)value {
  const std::shared_ptr<EventCore> core = core_of<EventState>(self);
  core->device().record("setSignaledValue {} {}", core->name(), value);
  Scheduler::get().set_value(*core, value);
}
- (BOOL)waitUntilSignaledValue:(uint64_t)value timeoutMS:(uint64_t)milliseconds {
  const std::shared_ptr<EventCore> core = core_of<EventState>(self);
  return Scheduler::get().wait_value(*core, value, milliseconds);
}
- (MTLSharedEventHandle*)newSharedEventHandle {
  if (World::get().creation_fails("newSharedEventHandle")) return nil;
  return make_object<EventHandleState, MTLSharedEventHandle>(core_of<EventState>(self));
}

@end

@implementation MTLSharedEventHandle

- (NSString*)label {
  return label_or_nil(state<EventHandleState>(self).event->label());
}

@end

@implementation MetalDoubleResidencySet

- (void)setLabel:(NSString*)label {
  (void)label;
  violation("setLabel is not understood by a residency set; its descriptor has the label.");
}
- (uint64_t)allocatedSize {
  const std::scoped_lock lock(Scheduler::get().mutex());
  std::uint64_t size = 0;
  for (const auto& buffer : core_of<ResidencyState>(self)->committed) size += buffer->size;
  return size;
}
- (void)requestResidency {
  const auto core = core_of<ResidencyState>(self);
  core->device().record("requestResidency {}", core->name());
}
- (void)endResidency {
  const auto core = core_of<ResidencyState>(self);
  core->device().record("endResidency {}", core->name());
}
- (void)addAllocation:(id<MTLAllocation>)allocation {
  if (!check_given("addAllocation", allocation)) return;
  const auto core = core_of<ResidencyState>(self);
  const auto buffer = buffer_core(allocation);
  if (!buffer) return;
  core->device().record("addAllocation {} {}", core->name(), buffer->name());
  const std::scoped_lock lock(Scheduler::get().mutex());
  state<ResidencyState>(self).objects[buffer] = allocation;
  if (core->pending.insert(buffer).second) ++buffer->residency_sets;
}
- (void)addAllocations:(const id<MTLAllocation>[])allocations count:(NSUInteger)count {
  for (NSUInteger i = 0; i < count; ++i) [self addAllocation:allocations[i]];
}
- (void)removeAllocation:(id<MTLAllocation>)allocation {
  if (!check_given("removeAllocation", allocation)) return;
  const auto core = core_of<ResidencyState>(self);
  const auto buffer = buffer_core(allocation);
  if (!buffer) return;
  core->device().record("removeAllocation {} {}", core->name(), buffer->name());
  const std::scoped_lock lock(Scheduler::get().mutex());
  state<ResidencyState>(self).objects.erase(buffer);
  if (core->pending.erase(buffer) == 0) {
    violation("{} is removed from {}, which does not contain it.", buffer->title(), core->title());
    return;
  }
  --buffer->residency_sets;
}
- (void)removeAllocations:(const id<MTLAllocation>[])allocations count:(NSUInteger)count {
  for (NSUInteger i = 0; i < count; ++i) [self removeAllocation:allocations[i]];
}
- (void)removeAllAllocations {
  const auto core = core_of<ResidencyState>(self);
  core->device().record("removeAllAllocations {}", core->name());
  const std::scoped_lock lock(Scheduler::get().mutex());
  for (const auto& buffer : core->pending) --buffer->residency_sets;
  core->pending.clear();
  state<ResidencyState>(self).objects.clear();
}
- (BOOL)containsAllocation:(id<MTLAllocation>)allocation {
  const std::scoped_lock lock(Scheduler::get().mutex());
  return core_of<ResidencyState>(self)->pending.contains(buffer_core(allocation));
}
- (NSArray<id<MTLAllocation>>*)allAllocations {
  std::vector<id> all;
  const std::scoped_lock lock(Scheduler::get().mutex());
  for (const auto& [buffer, object] : state<ResidencyState>(self).objects) all.push_back(object);
  return [NSArray arrayWithObjects:all.data() count:all.size()];
}
- (NSUInteger)allocationCount {
  const std::scoped_lock lock(Scheduler::get().mutex());
  return core_of<ResidencyState>(self)->pending.size();
}
- (void)commit {
  const auto core = core_of<ResidencyState>(self);
  core->device().record("commit {}", core->name());
  Scheduler::get().commit_residency(core);
}

@end
