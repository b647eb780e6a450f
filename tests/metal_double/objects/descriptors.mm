// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <array>

#include "metal_double/objects/private.h"

// Descriptors: plain values and objects that a caller sets and a call reads.

// A value, an object that is copied, an object that is retained; with `from` before a setter's
// name.
#define SEGUE_VALUE(State, Type, name, Setter) \
  -(Type)name {                                \
    return state<State>(self).name;            \
  }                                            \
  -(void)Setter : (Type)value {                \
    state<State>(self).name = value;           \
  }
#define SEGUE_COPIED(State, Type, name, Setter) \
  -(Type)name {                                 \
    return state<State>(self).name.get();       \
  }                                             \
  -(void)Setter : (Type)value {                 \
    state<State>(self).name = copied(value);    \
  }
#define SEGUE_RETAINED(State, Type, name, Setter)    \
  -(Type)name {                                      \
    return state<State>(self).name.get();            \
  }                                                  \
  -(void)Setter : (Type)value {                      \
    state<State>(self).name = Retained<Type>(value); \
  }
// Starts with a new state, and copies it.
#define SEGUE_STATE(State)                         \
  -(instancetype)init {                            \
    self = [super init];                           \
    emplace_state<State>(self);                    \
    return self;                                   \
  }                                                \
  -(id)copyWithZone : (NSZone*)zone {              \
    (void)zone;                                    \
    id copy = [[[self class] alloc] init];         \
    state<State>(copy).assign(state<State>(self)); \
    return copy;                                   \
  }

namespace metal_double {
namespace {

/// Values with a way to copy them, which ObjectState has none of.
template <typename Values>
struct ValueState : ObjectState, Values {
  void assign(const Values& other) { static_cast<Values&>(*this) = other; }
};

struct CompileValues {
  Retained<NSDictionary*> preprocessorMacros;
  MTLMathMode mathMode = MTLMathModeFast;
  MTLLanguageVersion languageVersion = MTLLanguageVersion3_2;
};
struct PipelineValues {
  Retained<NSString*> label;
  Retained<id<MTLFunction>> computeFunction;
  BOOL threadGroupSizeIsMultipleOfThreadExecutionWidth = NO;
  NSUInteger maxTotalThreadsPerThreadgroup = 0;
  BOOL supportIndirectCommandBuffers = NO;
};
struct CommandBufferValues {
  BOOL retainedReferences = YES;
  MTLCommandBufferErrorOption errorOptions = MTLCommandBufferErrorOptionNone;
};
struct ResidencyValues {
  Retained<NSString*> label;
  NSUInteger initialCapacity = 0;
};
struct IndirectValues {
  MTLIndirectCommandType commandTypes = 0;
  BOOL inheritPipelineState = NO;
  BOOL inheritBuffers = NO;
  NSUInteger maxKernelBufferBindCount = 0;
  NSUInteger maxKernelThreadgroupMemoryBindCount = 0;
};
struct SampleBufferValues {
  Retained<id<MTLCounterSet>> counterSet;
  Retained<NSString*> label;
  MTLStorageMode storageMode = MTLStorageModeShared;
  NSUInteger sampleCount = 0;
};
struct AttachmentValues {
  Retained<id<MTLCounterSampleBuffer>> sampleBuffer;
  NSUInteger startOfEncoderSampleIndex = 0;
  NSUInteger endOfEncoderSampleIndex = 0;
};
struct AttachmentsValues {
  std::array<Retained<MTLComputePassSampleBufferAttachmentDescriptor*>, 4> items;
};
struct PassValues {
  MTLDispatchType dispatchType = MTLDispatchTypeSerial;
  Retained<MTLComputePassSampleBufferAttachmentDescriptorArray*> sampleBufferAttachments;
};
struct CaptureValues {
  Retained<id> captureObject;
  MTLCaptureDestination destination = MTLCaptureDestinationDeveloperTools;
  Retained<NSURL*> outputURL;
};

using CompileState = ValueState<CompileValues>;
using PipelineDescriptorState = ValueState<PipelineValues>;
using CommandBufferDescriptorState = ValueState<CommandBufferValues>;
using ResidencyDescriptorState = ValueState<ResidencyValues>;
using IndirectDescriptorState = ValueState<IndirectValues>;
using SampleBufferState = ValueState<SampleBufferValues>;
using AttachmentState = ValueState<AttachmentValues>;
using AttachmentsState = ValueState<AttachmentsValues>;
using PassDescriptorState = ValueState<PassValues>;
using CaptureDescriptorState = ValueState<CaptureValues>;

}  // namespace
}  // namespace metal_double

using namespace metal_double;

// clang-format off
@implementation MTLCompileOptions
SEGUE_STATE(CompileState)
SEGUE_COPIED(CompileState, NSDictionary*, preprocessorMacros, setPreprocessorMacros)
SEGUE_VALUE(CompileState, MTLLanguageVersion, languageVersion, setLanguageVersion)
- (BOOL)fastMathEnabled {
  return state<CompileState>(self).mathMode == MTLMathModeFast;
}
- (void)setFastMathEnabled:(BOOL)value {
  state<CompileState>(self).mathMode = value ? MTLMathModeFast : MTLMathModeSafe;
}
- (MTLMathMode)mathMode {
  return state<CompileState>(self).mathMode;
}
- (void)setMathMode:(MTLMathMode)value {
  if (World::get().options()->os_major < 15) {
    violation("setMathMode needs macOS 15, but the system is macOS {}.",
              World::get().options()->os_major);
  }
  state<CompileState>(self).mathMode = value;
}
@end

@implementation MTLComputePipelineDescriptor
SEGUE_STATE(PipelineDescriptorState)
SEGUE_COPIED(PipelineDescriptorState, NSString*, label, setLabel)
SEGUE_RETAINED(PipelineDescriptorState, id<MTLFunction>, computeFunction, setComputeFunction)
SEGUE_VALUE(PipelineDescriptorState, BOOL, threadGroupSizeIsMultipleOfThreadExecutionWidth,
            setThreadGroupSizeIsMultipleOfThreadExecutionWidth)
SEGUE_VALUE(PipelineDescriptorState, NSUInteger, maxTotalThreadsPerThreadgroup,
            setMaxTotalThreadsPerThreadgroup)
SEGUE_VALUE(PipelineDescriptorState, BOOL, supportIndirectCommandBuffers,
            setSupportIndirectCommandBuffers)
@end

@implementation MTLCommandBufferDescriptor
SEGUE_STATE(CommandBufferDescriptorState)
SEGUE_VALUE(CommandBufferDescriptorState, BOOL, retainedReferences, setRetainedReferences)
SEGUE_VALUE(CommandBufferDescriptorState, MTLCommandBufferErrorOption, errorOptions,
            setErrorOptions)
@end

@implementation MTLResidencySetDescriptor
SEGUE_STATE(ResidencyDescriptorState)
SEGUE_COPIED(ResidencyDescriptorState, NSString*, label, setLabel)
SEGUE_VALUE(ResidencyDescriptorState, NSUInteger, initialCapacity, setInitialCapacity)
@end

@implementation MTLIndirectCommandBufferDescriptor
SEGUE_STATE(IndirectDescriptorState)
SEGUE_VALUE(IndirectDescriptorState, MTLIndirectCommandType, commandTypes, setCommandTypes)
SEGUE_VALUE(IndirectDescriptorState, BOOL, inheritPipelineState, setInheritPipelineState)
SEGUE_VALUE(IndirectDescriptorState, BOOL, inheritBuffers, setInheritBuffers)
SEGUE_VALUE(IndirectDescriptorState, NSUInteger, maxKernelBufferBindCount,
            setMaxKernelBufferBindCount)
SEGUE_VALUE(IndirectDescriptorState, NSUInteger, maxKernelThreadgroupMemoryBindCount,
            setMaxKernelThreadgroupMemoryBindCount)
@end

@implementation MTLCounterSampleBufferDescriptor
SEGUE_STATE(SampleBufferState)
SEGUE_RETAINED(SampleBufferState, id<MTLCounterSet>, counterSet, setCounterSet)
SEGUE_COPIED(SampleBufferState, NSString*, label, setLabel)
SEGUE_VALUE(SampleBufferState, MTLStorageMode, storageMode, setStorageMode)
SEGUE_VALUE(SampleBufferState, NSUInteger, sampleCount, setSampleCount)
@end

@implementation MTLComputePassSampleBufferAttachmentDescriptor
SEGUE_STATE(AttachmentState)
SEGUE_RETAINED(AttachmentState, id<MTLCounterSampleBuffer>, sampleBuffer, setSampleBuffer)
SEGUE_VALUE(AttachmentState, NSUInteger, startOfEncoderSampleIndex, setStartOfEncoderSampleIndex)
SEGUE_VALUE(AttachmentState, NSUInteger, endOfEncoderSampleIndex, setEndOfEncoderSampleIndex)
@end

@implementation MTLComputePassSampleBufferAttachmentDescriptorArray
SEGUE_STATE(AttachmentsState)
- (MTLComputePassSampleBufferAttachmentDescriptor*)objectAtIndexedSubscript:(NSUInteger)index {
  auto& items = state<AttachmentsState>(self).items;
  if (index >= items.size()) {
    violation("A compute pass has {} sample buffer attachments, and none at {}.", items.size(),
              index);
    return nil;
  }
  if (!items[index]) {
    auto* const made = [[MTLComputePassSampleBufferAttachmentDescriptor alloc] init];
    items[index] = Retained<MTLComputePassSampleBufferAttachmentDescriptor*>(made);
    [made release];
  }
  return items[index].get();
}
- (void)setObject:(MTLComputePassSampleBufferAttachmentDescriptor*)attachment
    atIndexedSubscript:(NSUInteger)index {
  auto& items = state<AttachmentsState>(self).items;
  if (index < items.size()) items[index] = copied(attachment);
}
@end

@implementation MTLComputePassDescriptor
SEGUE_STATE(PassDescriptorState)
SEGUE_VALUE(PassDescriptorState, MTLDispatchType, dispatchType, setDispatchType)
+ (MTLComputePassDescriptor*)computePassDescriptor {
  return [[[MTLComputePassDescriptor alloc] init] autorelease];
}
- (MTLComputePassSampleBufferAttachmentDescriptorArray*)sampleBufferAttachments {
  auto& held = state<PassDescriptorState>(self).sampleBufferAttachments;
  if (!held) {
    auto* const made = [[MTLComputePassSampleBufferAttachmentDescriptorArray alloc] init];
    held = Retained<MTLComputePassSampleBufferAttachmentDescriptorArray*>(made);
    [made release];
  }
  return held.get();
}
@end

@implementation MTLCaptureDescriptor
SEGUE_STATE(CaptureDescriptorState)
SEGUE_RETAINED(CaptureDescriptorState, id, captureObject, setCaptureObject)
SEGUE_VALUE(CaptureDescriptorState, MTLCaptureDestination, destination, setDestination)
SEGUE_COPIED(CaptureDescriptorState, NSURL*, outputURL, setOutputURL)
@end
// clang-format on
