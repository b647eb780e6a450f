// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <Block.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "metal_double/objects/private.h"

namespace metal_double {
namespace {

/// The device objects that are alive, by index; not owned.
struct DeviceObjects {
  std::mutex mutex;
  std::map<unsigned, id> by_index;
};

DeviceObjects& device_objects() {
  static auto* const all = new DeviceObjects;
  return *all;
}

/// The one object of a device, which the caller owns a reference of.
id<MTLDevice> copy_device(unsigned index) {
  DeviceObjects& all = device_objects();
  const std::scoped_lock lock(all.mutex);
  const auto found = all.by_index.find(index);
  if (found != all.by_index.end()) return [found->second retain];
  MetalDoubleDevice* const made =
      make_object<DeviceState, MetalDoubleDevice>(World::get().device(index));
  all.by_index[index] = made;
  return made;
}

bool fails(const char* call) { return World::get().creation_fails(call); }

DeviceCore& device_of(id self) { return *state<DeviceState>(self).core; }

constexpr MTLResourceOptions kStorageMask = 0xF0;
constexpr MTLResourceOptions kTrackingMask = 0x300;

std::shared_ptr<BufferCore> make_buffer_core(id device, MTLResourceOptions options) {
  auto core = std::make_shared<BufferCore>(state<DeviceState>(device).core, "buffer");
  core->options = options;
  core->tracked = (options & kTrackingMask) != MTLResourceHazardTrackingModeUntracked;
  return core;
}

MetalDoubleBuffer* make_buffer(id device, std::shared_ptr<BufferCore> core) {
  return make_object<BufferState, MetalDoubleBuffer>(device, std::move(core));
}

std::string options_name(MTLResourceOptions options) {
  std::string name = "shared";
  if ((options & kStorageMask) == MTLResourceStorageModePrivate) name = "private";
  if ((options & kStorageMask) == MTLResourceStorageModeManaged) name = "managed";
  if ((options & kTrackingMask) == MTLResourceHazardTrackingModeUntracked) name += " untracked";
  return name;
}

std::uint64_t page_size() {
  const std::uint64_t wanted = World::get().options()->page_size;
  return wanted != 0 ? wanted : static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

bool check_no_copy(const void* pointer, NSUInteger length, MTLResourceOptions options) {
  constexpr const char* kCall = "newBufferWithBytesNoCopy";
  const std::uint64_t page = page_size();
  if (pointer == nullptr || reinterpret_cast<std::uint64_t>(pointer) % page != 0) {
    violation("{}: pointer {} is no multiple of the page size {}.", kCall, pointer, page);
    return false;
  }
  if (length == 0 || length % page != 0) {
    violation("{}: length {} is no multiple of the page size {}.", kCall, length, page);
    return false;
  }
  if ((options & kStorageMask) == MTLResourceStorageModePrivate) {
    violation("{}: private storage cannot be the caller's memory.", kCall);
    return false;
  }
  return true;
}

bool check_length(const char* call, NSUInteger length) {
  if (length == 0) violation("{}: a buffer of no bytes cannot be made.", call);
  return length != 0 && length <= World::get().options()->max_buffer_length;
}

}  // namespace

bool has_residency_sets(const char* call) {
  const unsigned major = World::get().options()->os_major;
  if (major >= 15) return true;
  violation("{} needs macOS 15, but the system is macOS {}.", call, major);
  return false;
}

}  // namespace metal_double

using namespace metal_double;

id<MTLDevice> MTLCreateSystemDefaultDevice(void) {
  if (fails("MTLCreateSystemDefaultDevice")) return nil;
  return World::get().options()->devices.empty() ? nil : copy_device(0);
}

NSArray<id<MTLDevice>>* MTLCopyAllDevices(void) {
  std::vector<id> devices;
  for (unsigned i = 0; i < World::get().options()->devices.size(); ++i) {
    devices.push_back(copy_device(i));
  }
  NSArray* const all = [[NSArray alloc] initWithObjects:devices.data() count:devices.size()];
  for (const id device : devices) [device release];
  return all;
}

@implementation MetalDoubleDevice

- (oneway void)release {
  // Nobody may get the object from the list between its last release and its end.
  DeviceObjects& all = device_objects();
  std::unique_lock lock(all.mutex);
  if ([self retainCount] == 1) {
    all.by_index.erase(device_of(self).index());
    lock.unlock();
  }
  [super release];
}

- (NSString*)name {
  const auto options = World::get().options();
  const unsigned index = device_of(self).index();
  return to_ns(index < options->devices.size() ? options->devices[index] : "gone");
}
- (uint64_t)registryID {
  return 0x100000100ULL + device_of(self).index();
}
- (MTLSize)maxThreadsPerThreadgroup {
  const std::uint64_t most = World::get().options()->max_threads_per_threadgroup;
  return MTLSizeMake(most, most, most);
}
- (BOOL)isLowPower {
  return NO;
}
- (BOOL)isHeadless {
  return NO;
}
- (BOOL)isRemovable {
  return NO;
}
- (BOOL)hasUnifiedMemory {
  return World::get().options()->unified_memory;
}
- (uint64_t)recommendedMaxWorkingSetSize {
  return World::get().options()->recommended_working_set;
}
- (NSUInteger)maxThreadgroupMemoryLength {
  return World::get().options()->max_threadgroup_memory;
}
- (NSUInteger)currentAllocatedSize {
  return device_of(self).allocated_bytes;
}
- (NSUInteger)maxBufferLength {
  return World::get().options()->max_buffer_length;
}
- (BOOL)supportsFamily:(MTLGPUFamily)family {
  const auto options = World::get().options();
  return std::ranges::count(options->families, static_cast<long>(family)) != 0;
}

- (id<MTLCommandQueue>)newCommandQueue {
  return
      [self newCommandQueueWithMaxCommandBufferCount:World::get().options()->max_command_buffers];
}
- (id<MTLCommandQueue>)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)count {
  if (fails("newCommandQueue")) return nil;
  if (count == 0) {
    violation("newCommandQueueWithMaxCommandBufferCount: a queue needs command buffers.");
    return nil;
  }
  auto core = std::make_shared<QueueCore>(state<DeviceState>(self).core, "commandQueue");
  core->max_command_buffers = count;
  device_of(self).record("newCommandQueue {}", core->name());
  return make_object<QueueState, MetalDoubleCommandQueue>(self, std::move(core));
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  if (fails("newBufferWithLength") || !check_length("newBufferWithLength", length)) return nil;
  if (device_of(self).allocated_bytes + length > World::get().options()->memory_limit) return nil;
  std::shared_ptr<BufferCore> core = make_buffer_core(self, options);
  if (!core->allocate(length)) return nil;
  device_of(self).record("newBufferWithLength {} {} -> {}", length, options_name(options),
                         core->name());
  return make_buffer(self, std::move(core));
}
- (id<MTLBuffer>)newBufferWithBytes:(const void*)pointer
                             length:(NSUInteger)length
                            options:(MTLResourceOptions)options {
  id<MTLBuffer> const buffer = [self newBufferWithLength:length options:options];
  if (buffer == nil) return nil;
  const auto* const bytes = static_cast<const std::byte*>(pointer);
  std::copy(bytes, bytes + length, core_of<BufferState>(buffer)->data);
  return buffer;
}
- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void*)pointer
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(BufferDeallocator)deallocator {
  if (fails("newBufferWithBytesNoCopy") || !check_no_copy(pointer, length, options)) return nil;
  if (length > World::get().options()->max_buffer_length) return nil;
  std::shared_ptr<BufferCore> core = make_buffer_core(self, options);
  core->import(static_cast<std::byte*>(pointer), length);
  device_of(self).record("newBufferWithBytesNoCopy {} {} -> {}", length, options_name(options),
                         core->name());
  MetalDoubleBuffer* const buffer = make_buffer(self, std::move(core));
  if (deallocator != nullptr) {
    state<BufferState>(buffer).deallocator = Block_copy(deallocator);
  }
  return buffer;
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString*)source
                               options:(MTLCompileOptions*)options
                                 error:(NSError**)error {
  return new_library_from_source(self, source, options, error);
}
- (id<MTLLibrary>)newLibraryWithURL:(NSURL*)url error:(NSError**)error {
  return new_library_from_url(self, url, error);
}
- (id<MTLLibrary>)newLibraryWithData:(dispatch_data_t)data error:(NSError**)error {
  return new_library_from_data(self, data, error);
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                                             error:(NSError**)error {
  MTLComputePipelineDescriptor* const descriptor = [[MTLComputePipelineDescriptor alloc] init];
  descriptor.computeFunction = function;
  id<MTLComputePipelineState> const made =
      new_pipeline(self, descriptor, MTLPipelineOptionNone, nil, error);
  [descriptor release];
  return made;
}
- (id<MTLComputePipelineState>)
    newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                  options:(MTLPipelineOption)options
                               reflection:(MTLAutoreleasedComputePipelineReflection*)reflection
                                    error:(NSError**)error {
  return new_pipeline(self, descriptor, options, reflection, error);
}

- (id<MTLIndirectCommandBuffer>)newIndirectCommandBufferWithDescriptor:
                                    (MTLIndirectCommandBufferDescriptor*)descriptor
                                                       maxCommandCount:(NSUInteger)count
                                                               options:(MTLResourceOptions)options {
  (void)options;
  return new_indirect(self, descriptor, count);
}

- (NSArray<id<MTLCounterSet>>*)counterSets {
  return counter_sets();
}
- (BOOL)supportsCounterSampling:(MTLCounterSamplingPoint)point {
  return World::get().options()->timestamp_counters &&
         point == MTLCounterSamplingPointAtStageBoundary;
}
- (id<MTLCounterSampleBuffer>)newCounterSampleBufferWithDescriptor:
                                  (MTLCounterSampleBufferDescriptor*)descriptor
                                                             error:(NSError**)error {
  return new_counter_samples(self, descriptor, error);
}

- (id<MTLFence>)newFence {
  if (fails("newFence")) return nil;
  auto core = std::make_shared<FenceCore>(state<DeviceState>(self).core, "fence");
  return make_object<FenceState, MetalDoubleFence>(self, std::move(core));
}
- (id<MTLSharedEvent>)newSharedEvent {
  if (fails("newSharedEvent")) return nil;
  auto core = std::make_shared<EventCore>(state<DeviceState>(self).core, "sharedEvent");
  return make_object<EventState, MetalDoubleSharedEvent>(self, std::move(core));
}
- (id<MTLSharedEvent>)newSharedEventWithHandle:(MTLSharedEventHandle*)handle {
  if (fails("newSharedEventWithHandle")) return nil;
  if (!check_given("newSharedEventWithHandle", handle)) return nil;
  return make_object<EventState, MetalDoubleSharedEvent>(self,
                                                         state<EventHandleState>(handle).event);
}

- (id<MTLResidencySet>)newResidencySetWithDescriptor:(MTLResidencySetDescriptor*)descriptor
                                               error:(NSError**)error {
  if (!has_residency_sets("newResidencySetWithDescriptor")) return nil;
  if (fails("newResidencySetWithDescriptor")) {
    set_error(error, NSCocoaErrorDomain, 1, "The test makes this call fail.");
    return nil;
  }
  auto core = std::make_shared<ResidencyCore>(state<DeviceState>(self).core, "residencySet");
  take_label(*core, [descriptor label]);
  device_of(self).record("newResidencySet {}", core->name());
  return make_object<ResidencyState, MetalDoubleResidencySet>(self, std::move(core));
}

- (void)sampleTimestamps:(MTLTimestamp*)cpu gpuTimestamp:(MTLTimestamp*)gpu {
  const double seconds = now_seconds();
  *cpu = static_cast<MTLTimestamp>(seconds * 1e9);
  *gpu = now_ticks();
}

@end
