// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metal_double/core/command_buffer.hpp"
#include "metal_double/core/encoder.hpp"
#include "metal_double/core/scheduler.hpp"
#include "metal_double/objects/object.h"

// The classes behind Metal's protocols, and what their objects have.

namespace metal_double {

struct DataState : ObjectState {
  DataState(const void* data, std::size_t length);
  std::vector<std::byte> bytes;
};

/// What all objects of a device have.
struct DeviceObjectState : ObjectState {
  DeviceObjectState(id<MTLDevice> device, std::shared_ptr<Named> named)
      : device_object(device), name(std::move(named)) {}
  /// A sentence about why a label comes too late.
  [[nodiscard]] virtual std::optional<std::string> label_refusal() const { return std::nullopt; }

  Retained<id<MTLDevice>> device_object;
  std::shared_ptr<Named> name;
};

/// The state of an object that is a Core to command buffers.
template <typename Core>
struct CoreState : DeviceObjectState {
  CoreState(id<MTLDevice> device, std::shared_ptr<Core> made)
      : DeviceObjectState(device, made), core(std::move(made)) {
    core->object_made();
  }
  ~CoreState() override { core->object_freed(); }
  std::shared_ptr<Core> core;
};

struct DeviceState : ObjectState {
  explicit DeviceState(std::shared_ptr<DeviceCore> made) : core(std::move(made)) {}
  std::shared_ptr<DeviceCore> core;
};

using BufferDeallocator = void (^)(void*, NSUInteger);
struct BufferState : CoreState<BufferCore> {
  using CoreState::CoreState;
  ~BufferState() override;
  BufferDeallocator deallocator = nullptr;
};

/// What a handle stands for; the event's memory lives as long as any handle.
struct EventHandleState : ObjectState {
  explicit EventHandleState(std::shared_ptr<EventCore> made) : event(std::move(made)) {}
  std::shared_ptr<EventCore> event;
};

using PipelineState = CoreState<PipelineCore>;
using FenceState = CoreState<FenceCore>;
using EventState = CoreState<EventCore>;
using CounterState = CoreState<CounterCore>;
using IndirectState = CoreState<IndirectCore>;
struct ResidencyState : CoreState<ResidencyCore> {
  using CoreState::CoreState;
  ~ResidencyState() override;
  std::map<std::shared_ptr<BufferCore>, id> objects;  ///< Not owned; of the pending content.
};

struct LibraryState : DeviceObjectState {
  using DeviceObjectState::DeviceObjectState;
  std::shared_ptr<msl::Module> module;
};

struct FunctionState : DeviceObjectState {
  using DeviceObjectState::DeviceObjectState;
  std::shared_ptr<msl::Module> module;
  msl::FunctionInfo info;
  std::vector<msl::ConstantValue> constants;
  bool specialised = false;
};

struct QueueState : DeviceObjectState {
  QueueState(id<MTLDevice> device, std::shared_ptr<QueueCore> made)
      : DeviceObjectState(device, made), core(std::move(made)) {}
  std::shared_ptr<QueueCore> core;
  std::vector<Retained<id<MTLResidencySet>>> residency_sets;
};

struct CommandBufferState : DeviceObjectState {
  CommandBufferState(id<MTLDevice> device, std::shared_ptr<CommandBufferCore> made)
      : DeviceObjectState(device, made), core(std::move(made)) {}
  ~CommandBufferState() override;
  [[nodiscard]] std::optional<std::string> label_refusal() const override;
  /// Retains what a command names, unless references are unretained.
  void keep(id object);

  std::shared_ptr<CommandBufferCore> core;
  Retained<id<MTLCommandQueue>> queue;
  std::map<id, Retained<id>> kept;
  std::vector<MTLCommandBufferHandler> scheduled_handlers;
  std::vector<MTLCommandBufferHandler> completed_handlers;
};

struct EncoderState : DeviceObjectState {
  EncoderState(id<MTLDevice> device, std::shared_ptr<ComputeEncoder> made)
      : DeviceObjectState(device, made), core(std::move(made)) {}
  ~EncoderState() override;
  [[nodiscard]] std::optional<std::string> label_refusal() const override;

  std::shared_ptr<ComputeEncoder> core;
  Retained<id<MTLCommandBuffer>> command_buffer;
};

/// The core of an object that a caller passed, or null for nil.
template <typename State>
auto core_of(id object) {
  return object == nil ? decltype(State::core){} : state<State>(object).core;
}

/// The label of a descriptor, if it has one.
void take_label(Named& named, NSString* label);

// Parts of a device, in the files of what they make.
id<MTLLibrary> new_library_from_source(id device, NSString* source, MTLCompileOptions* options,
                                       NSError** error);
id<MTLLibrary> new_library_from_url(id device, NSURL* url, NSError** error);
id<MTLLibrary> new_library_from_data(id device, dispatch_data_t data, NSError** error);
id<MTLComputePipelineState> new_pipeline(id device, MTLComputePipelineDescriptor* descriptor,
                                         MTLPipelineOption options,
                                         MTLAutoreleasedComputePipelineReflection* reflection,
                                         NSError** error);
id<MTLIndirectCommandBuffer> new_indirect(id device,
                                          MTLIndirectCommandBufferDescriptor* descriptor,
                                          NSUInteger count);
NSArray<id<MTLCounterSet>>* counter_sets();
id<MTLCounterSampleBuffer> new_counter_samples(id device,
                                               MTLCounterSampleBufferDescriptor* descriptor,
                                               NSError** error);

/// False, with a violation, for nil.
bool check_given(const char* call, id object);
/// False, with a violation, if the system does not have residency sets.
bool has_residency_sets(const char* call);

}  // namespace metal_double

/// Label and device.
@interface MetalDoubleObject : NSObject
@property(copy, atomic) NSString* label;
@property(readonly) id<MTLDevice> device;
@end

@interface MetalDoubleDevice : NSObject <MTLDevice>
@end
@interface MetalDoubleBuffer : MetalDoubleObject <MTLBuffer>
@end
@interface MetalDoubleLibrary : MetalDoubleObject <MTLLibrary>
@end
@interface MetalDoubleFunction : MetalDoubleObject <MTLFunction>
@end
@interface MetalDoubleComputePipelineState : MetalDoubleObject <MTLComputePipelineState>
@end
@interface MetalDoubleFence : MetalDoubleObject <MTLFence>
@end
@interface MetalDoubleSharedEvent : MetalDoubleObject <MTLSharedEvent>
@end
@interface MetalDoubleResidencySet : MetalDoubleObject <MTLResidencySet>
@end
@interface MetalDoubleCounterSampleBuffer : MetalDoubleObject <MTLCounterSampleBuffer>
@end
@interface MetalDoubleIndirectCommandBuffer : MetalDoubleObject <MTLIndirectCommandBuffer>
@end
@interface MetalDoubleCommandQueue : MetalDoubleObject <MTLCommandQueue>
@end
@interface MetalDoubleCommandBuffer : MetalDoubleObject <MTLCommandBuffer>
@end
@interface MetalDoubleComputeCommandEncoder : MetalDoubleObject <MTLComputeCommandEncoder>
@end
@interface MetalDoubleOSDispatchData : NSObject <OS_dispatch_data>
@end
