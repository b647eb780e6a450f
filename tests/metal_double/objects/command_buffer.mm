// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <Block.h>

#include <array>

#include "metal_double/objects/private.h"

NSErrorDomain const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";
NSErrorUserInfoKey const MTLCommandBufferEncoderInfoErrorKey =
    @"MTLCommandBufferEncoderInfoErrorKey";

@interface MetalDoubleCommandBufferEncoderInfo : NSObject <MTLCommandBufferEncoderInfo>
@end

using namespace metal_double;

namespace metal_double {
namespace {

struct EncoderInfoState : ObjectState {
  std::string label;
  std::vector<std::string> signposts;
  MTLCommandEncoderErrorState error_state = MTLCommandEncoderErrorStateUnknown;
};

MTLCommandEncoderErrorState error_state(PassState state) {
  switch (state) {
    case PassState::kDone: return MTLCommandEncoderErrorStateCompleted;
    case PassState::kFaulted: return MTLCommandEncoderErrorStateFaulted;
    case PassState::kRunning: return MTLCommandEncoderErrorStateAffected;
    case PassState::kPending: break;
  }
  return MTLCommandEncoderErrorStatePending;
}

NSArray* encoder_infos(const CommandBufferCore& core) {
  std::vector<id> infos;
  for (const Item& item : core.items) {
    const auto* const pass = std::get_if<std::shared_ptr<Pass>>(&item);
    if (pass == nullptr) continue;
    auto* const info =
        [make_object<EncoderInfoState, MetalDoubleCommandBufferEncoderInfo>() autorelease];
    auto& mine = state<EncoderInfoState>(info);
    mine.label = (*pass)->label;
    mine.signposts = (*pass)->signposts;
    mine.error_state = error_state((*pass)->state);
    infos.push_back(info);
  }
  return [NSArray arrayWithObjects:infos.data() count:infos.size()];
}

NSError* make_error(const CommandBufferCore& core) {
  NSMutableDictionary* const info = [NSMutableDictionary dictionary];
  [info setObject:to_ns(core.failure_reason) forKey:NSLocalizedDescriptionKey];
  if (core.wants_encoder_info) {
    [info setObject:encoder_infos(core) forKey:MTLCommandBufferEncoderInfoErrorKey];
  }
  return [NSError errorWithDomain:MTLCommandBufferErrorDomain code:core.failure userInfo:info];
}

void call_handlers(std::vector<MTLCommandBufferHandler>& handlers, id command_buffer) {
  @autoreleasepool {
    for (MTLCommandBufferHandler handler : std::exchange(handlers, {})) {
      handler(command_buffer);
      Block_release(handler);
    }
  }
}

/// False, with a violation, if nothing can be added to the command buffer.
bool check_open(const CommandBufferCore& core, const char* call) {
  if (core.commit_called) {
    violation("{} is called on {} after commit.", call, core.title());
    return false;
  }
  if (core.encoder_open) {
    violation("{} is called on {} while an encoder is open.", call, core.title());
    return false;
  }
  return true;
}

std::vector<Pass::Samples> samples_of(MTLComputePassDescriptor* descriptor) {
  constexpr NSUInteger kAttachments = 4;
  std::vector<Pass::Samples> samples;
  for (NSUInteger i = 0; i < kAttachments; ++i) {
    MTLComputePassSampleBufferAttachmentDescriptor* const attachment =
        [descriptor.sampleBufferAttachments objectAtIndexedSubscript:i];
    if (attachment.sampleBuffer == nil) continue;
    const auto buffer = core_of<CounterState>(attachment.sampleBuffer);
    const Pass::Samples wanted{buffer, attachment.startOfEncoderSampleIndex,
                               attachment.endOfEncoderSampleIndex};
    for (const std::uint64_t index : {wanted.start, wanted.end}) {
      if (index == MTLCounterDontSample || index < buffer->samples.size()) continue;
      violation("Sample index {} is past the end of {}, which has {} samples.", index,
                buffer->title(), buffer->samples.size());
    }
    samples.push_back(wanted);
  }
  return samples;
}

}  // namespace

CommandBufferState::~CommandBufferState() {
  Scheduler::get().abandon(*core);
  for (auto* handlers : {&scheduled_handlers, &completed_handlers}) {
    for (MTLCommandBufferHandler handler : *handlers) Block_release(handler);
  }
}

std::optional<std::string> CommandBufferState::label_refusal() const {
  if (core->commit_called) return "after commit";
  return std::nullopt;
}

void CommandBufferState::keep(id object) {
  if (core->retains && object != nil) kept.try_emplace(object, object);
}

}  // namespace metal_double

@implementation MetalDoubleCommandBuffer

- (id<MTLCommandQueue>)commandQueue {
  return state<CommandBufferState>(self).queue.get();
}
- (BOOL)retainedReferences {
  return core_of<CommandBufferState>(self)->retains;
}
- (MTLCommandBufferErrorOption)errorOptions {
  return core_of<CommandBufferState>(self)->wants_encoder_info
             ? MTLCommandBufferErrorOptionEncoderExecutionStatus
             : MTLCommandBufferErrorOptionNone;
}
- (MTLCommandBufferStatus)status {
  static constexpr std::array kStatus{
      MTLCommandBufferStatusNotEnqueued, MTLCommandBufferStatusEnqueued,
      MTLCommandBufferStatusCommitted,   MTLCommandBufferStatusScheduled,
      MTLCommandBufferStatusCompleted,   MTLCommandBufferStatusError};
  const std::scoped_lock lock(Scheduler::get().mutex());
  return kStatus[static_cast<std::size_t>(core_of<CommandBufferState>(self)->phase)];
}
- (NSError*)error {
  const auto core = core_of<CommandBufferState>(self);
  const std::scoped_lock lock(Scheduler::get().mutex());
  return core->phase == Phase::kFailed ? make_error(*core) : nil;
}
- (CFTimeInterval)GPUStartTime {
  const std::scoped_lock lock(Scheduler::get().mutex());
  const auto& core = *core_of<CommandBufferState>(self);
  return core.phase >= Phase::kDone ? core.start_seconds : 0;
}
- (CFTimeInterval)GPUEndTime {
  const std::scoped_lock lock(Scheduler::get().mutex());
  return core_of<CommandBufferState>(self)->end_seconds;
}
- (CFTimeInterval)kernelStartTime {
  return [self GPUStartTime];
}
- (CFTimeInterval)kernelEndTime {
  return [self GPUEndTime];
}

- (void)enqueue {
  const auto core = core_of<CommandBufferState>(self);
  core->device().record("enqueue {}", core->name());
  if (core->commit_called) {
    violation("enqueue is called on {} after commit.", core->title());
    return;
  }
  Scheduler::get().enqueue(core);
}
- (void)commit {
  auto& mine = state<CommandBufferState>(self);
  const auto core = mine.core;
  if (core->commit_called) {
    violation("commit is called on {} twice.", core->title());
    return;
  }
  if (core->encoder_open) {
    violation("commit is called on {} while an encoder is open.", core->title());
  }
  core->device().record("commit {}", core->name());
  core->commit_called = true;
  // The device owns a reference until it is done.
  const Retained<id> owner(self);
  core->on_scheduled = [owner] {
    call_handlers(state<CommandBufferState>(owner.get()).scheduled_handlers, owner.get());
  };
  core->on_completed = [owner] {
    auto& done = state<CommandBufferState>(owner.get());
    call_handlers(done.completed_handlers, owner.get());
    done.kept.clear();
  };
  Scheduler::get().commit(core);
}

- (void)addScheduledHandler:(MTLCommandBufferHandler)block {
  auto& mine = state<CommandBufferState>(self);
  if (mine.core->commit_called) {
    violation("addScheduledHandler is called on {} after commit.", mine.core->title());
    return;
  }
  mine.scheduled_handlers.push_back(Block_copy(block));
}
- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
  auto& mine = state<CommandBufferState>(self);
  if (mine.core->commit_called) {
    violation("addCompletedHandler is called on {} after commit.", mine.core->title());
    return;
  }
  mine.completed_handlers.push_back(Block_copy(block));
}
- (BOOL)mayWait:(const char*)call {
  const auto core = core_of<CommandBufferState>(self);
  if (!core->commit_called) {
    violation("{} is called on {} before commit.", call, core->title());
    return NO;
  }
  if (Scheduler::get().on_callback_thread()) {
    violation("{} is called on {} by a handler, and would wait forever.", call, core->title());
    return NO;
  }
  return YES;
}
- (void)waitUntilScheduled {
  if (![self mayWait:"waitUntilScheduled"]) return;
  Scheduler::get().wait_scheduled(*core_of<CommandBufferState>(self));
}
- (void)waitUntilCompleted {
  if (![self mayWait:"waitUntilCompleted"]) return;
  Scheduler::get().wait_completed(*core_of<CommandBufferState>(self));
}

- (id<MTLComputeCommandEncoder>)makeEncoder:(BOOL)concurrent
                                    samples:(std::vector<Pass::Samples>)samples {
  if (World::get().creation_fails("computeCommandEncoder")) return nil;
  auto& mine = state<CommandBufferState>(self);
  if (!check_open(*mine.core, "computeCommandEncoder")) return nil;
  mine.core->device().record("computeCommandEncoderWithDispatchType {}{}",
                             concurrent ? "concurrent" : "serial",
                             samples.empty() ? "" : " sampled");
  for (const Pass::Samples& each : samples) mine.core->uses.insert(each.buffer);
  auto core = std::make_shared<ComputeEncoder>(mine.core, concurrent, std::move(samples));
  MetalDoubleComputeCommandEncoder* const encoder =
      make_object<EncoderState, MetalDoubleComputeCommandEncoder>(mine.device_object.get(),
                                                                  std::move(core));
  state<EncoderState>(encoder).command_buffer = static_cast<id<MTLCommandBuffer>>(self);
  return [encoder autorelease];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  return [self makeEncoder:NO samples:{}];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDispatchType:(MTLDispatchType)type {
  return [self makeEncoder:type == MTLDispatchTypeConcurrent samples:{}];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDescriptor:
    (MTLComputePassDescriptor*)descriptor {
  for (NSUInteger i = 0; i < 4; ++i) {
    state<CommandBufferState>(self).keep(
        [descriptor.sampleBufferAttachments objectAtIndexedSubscript:i].sampleBuffer);
  }
  return [self makeEncoder:descriptor.dispatchType == MTLDispatchTypeConcurrent
                   samples:samples_of(descriptor)];
}

- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value {
  auto& mine = state<CommandBufferState>(self);
  const auto core = core_of<EventState>(event);
  if (!check_open(*mine.core, "encodeWaitForEvent") || !check_given("encodeWaitForEvent", event))
    return;
  mine.core->device().record("encodeWaitForEvent {} {}", core->name(), value);
  mine.core->uses.insert(core);
  mine.keep(event);
  mine.core->items.emplace_back(WaitEvent{core, value});
}
- (void)encodeSignalEvent:(id<MTLEvent>)event value:(uint64_t)value {
  auto& mine = state<CommandBufferState>(self);
  const auto core = core_of<EventState>(event);
  if (!check_open(*mine.core, "encodeSignalEvent") || !check_given("encodeSignalEvent", event))
    return;
  mine.core->device().record("encodeSignalEvent {} {}", core->name(), value);
  mine.core->uses.insert(core);
  mine.keep(event);
  mine.core->items.emplace_back(SignalEvent{core, value});
}

- (void)useResidencySet:(id<MTLResidencySet>)set {
  auto& mine = state<CommandBufferState>(self);
  const auto core = core_of<ResidencyState>(set);
  if (!has_residency_sets("useResidencySet") || !check_given("useResidencySet", set)) return;
  if (mine.core->commit_called) {
    violation("useResidencySet is called on {} after commit.", mine.core->title());
    return;
  }
  core->device().record("useResidencySet {}", core->name());
  mine.keep(set);
  mine.core->uses.insert(core);
  mine.core->residency.push_back(core);
}
- (void)useResidencySets:(const id<MTLResidencySet>[])sets count:(NSUInteger)count {
  for (NSUInteger i = 0; i < count; ++i) [self useResidencySet:sets[i]];
}

- (void)pushDebugGroup:(NSString*)string {
  core_of<CommandBufferState>(self)->device().record("pushDebugGroup {}", from_ns(string));
}
- (void)popDebugGroup {
  core_of<CommandBufferState>(self)->device().record("popDebugGroup");
}

@end

@implementation MetalDoubleCommandBufferEncoderInfo

- (NSString*)label {
  return to_ns(state<EncoderInfoState>(self).label);
}
- (NSArray<NSString*>*)debugSignposts {
  std::vector<id> names;
  for (const std::string& name : state<EncoderInfoState>(self).signposts) {
    names.push_back(to_ns(name));
  }
  return [NSArray arrayWithObjects:names.data() count:names.size()];
}
- (MTLCommandEncoderErrorState)errorState {
  return state<EncoderInfoState>(self).error_state;
}

@end
