// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include "metal_double/objects/private.h"

namespace metal_double {
namespace {

struct BindingState : ObjectState {
  explicit BindingState(const msl::Binding& given) : binding(given) {}
  msl::Binding binding;
};

struct ReflectionState : ObjectState {
  explicit ReflectionState(NSArray* all) : bindings(all) {}
  Retained<NSArray*> bindings;
};

}  // namespace
}  // namespace metal_double

@interface MetalDoubleBinding : NSObject <MTLBufferBinding, MTLThreadgroupBinding>
@end

using namespace metal_double;

namespace metal_double {
namespace {

MTLComputePipelineReflection* reflect(const msl::FunctionInfo& info) {
  std::vector<id> bindings;
  for (const msl::Binding& binding : info.bindings) {
    bindings.push_back([make_object<BindingState, MetalDoubleBinding>(binding) autorelease]);
  }
  NSArray* const all = [NSArray arrayWithObjects:bindings.data() count:bindings.size()];
  return [make_object<ReflectionState, MTLComputePipelineReflection>(all) autorelease];
}

/// What a pipeline may run, from the kernel, its descriptor and the device, smallest first.
std::uint64_t thread_limit(const msl::FunctionInfo& info, NSUInteger wanted) {
  std::uint64_t limit = World::get().options()->max_threads_per_threadgroup;
  if (info.max_total_threads != 0) limit = std::min<std::uint64_t>(limit, info.max_total_threads);
  if (wanted != 0) limit = std::min<std::uint64_t>(limit, wanted);
  return limit;
}

std::optional<std::string> pipeline_fault(id<MTLFunction> function) {
  const auto& mine = state<FunctionState>(function);
  if (!mine.specialised) {
    for (const msl::FunctionConstant& constant : mine.info.constants) {
      if (!constant.required) continue;
      return fmt::format("Function {} has constant {}, for which no value was given.",
                         mine.info.name, constant.name);
    }
  }
  const std::uint64_t most = World::get().options()->max_threadgroup_memory;
  if (mine.info.static_threadgroup_bytes > most) {
    return fmt::format("Threadgroup memory size ({}) exceeds the maximum threadgroup memory "
                       "allowed ({})",
                       mine.info.static_threadgroup_bytes, most);
  }
  return std::nullopt;
}

std::shared_ptr<PipelineCore> make_core(id device, const FunctionState& source,
                                        MTLComputePipelineDescriptor* descriptor) {
  auto core =
      std::make_shared<PipelineCore>(state<DeviceState>(device).core, "computePipelineState");
  core->labelled = descriptor.label != nil;
  core->set_label(core->labelled ? from_ns(descriptor.label) : source.info.name);
  core->module = source.module;
  core->info = source.info;
  core->constants = source.constants;
  core->max_threads = thread_limit(source.info, descriptor.maxTotalThreadsPerThreadgroup);
  core->multiple_of_width = descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth;
  core->indirect = descriptor.supportIndirectCommandBuffers;
  if (core->indirect && !World::get().options()->indirect_command_buffers) {
    violation("supportIndirectCommandBuffers is set, but the device has none.");
  }
  return core;
}

}  // namespace

id<MTLComputePipelineState> new_pipeline(id device, MTLComputePipelineDescriptor* descriptor,
                                         MTLPipelineOption options,
                                         MTLAutoreleasedComputePipelineReflection* reflection,
                                         NSError** error) {
  constexpr NSInteger kCompilerFailed = 2;
  static NSErrorDomain const domain = @"AGXMetal";
  if (World::get().creation_fails("newComputePipelineState")) {
    set_error(error, domain, kCompilerFailed, "The test makes this call fail.");
    return nil;
  }
  id<MTLFunction> const function = descriptor.computeFunction;
  if (function == nil) {
    violation("newComputePipelineStateWithDescriptor: computeFunction is nil.");
    set_error(error, domain, kCompilerFailed, "computeFunction must not be nil.");
    return nil;
  }
  if (const auto fault = pipeline_fault(function)) {
    set_error(error, domain, kCompilerFailed, *fault);
    return nil;
  }
  const auto& source = state<FunctionState>(function);
  auto core = make_core(device, source, descriptor);
  core->device().record("newComputePipelineState {}", core->name());
  const bool wanted = (options & MTLPipelineOptionBindingInfo) != 0 && reflection != nullptr;
  if (wanted) *reflection = reflect(source.info);
  return make_object<PipelineState, MetalDoubleComputePipelineState>(device, std::move(core));
}

}  // namespace metal_double

@implementation MetalDoubleComputePipelineState

- (NSString*)label {
  return core_of<PipelineState>(self)->labelled ? [super label] : nil;
}
- (void)setLabel:(NSString*)label {
  (void)label;
  violation("setLabel is not understood by a compute pipeline; its descriptor has the label.");
}
- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return core_of<PipelineState>(self)->max_threads;
}
- (NSUInteger)threadExecutionWidth {
  return 32;
}
- (NSUInteger)staticThreadgroupMemoryLength {
  return core_of<PipelineState>(self)->info.static_threadgroup_bytes;
}
- (BOOL)supportIndirectCommandBuffers {
  return core_of<PipelineState>(self)->indirect;
}
- (NSUInteger)allocatedSize {
  return 0;
}

@end

@implementation MTLComputePipelineReflection

- (NSArray<id<MTLBinding>>*)bindings {
  return state<ReflectionState>(self).bindings.get();
}

@end

@implementation MetalDoubleBinding

- (NSString*)name {
  return to_ns(state<BindingState>(self).binding.name);
}
- (MTLBindingType)type {
  return state<BindingState>(self).binding.kind == msl::BindingKind::kBuffer
             ? MTLBindingTypeBuffer
             : MTLBindingTypeThreadgroupMemory;
}
- (MTLBindingAccess)access {
  switch (state<BindingState>(self).binding.access) {
    case msl::Access::kRead: return MTLBindingAccessReadOnly;
    case msl::Access::kWrite: return MTLBindingAccessWriteOnly;
    case msl::Access::kReadWrite: break;
  }
  return MTLBindingAccessReadWrite;
}
- (NSUInteger)index {
  return state<BindingState>(self).binding.index;
}
- (BOOL)isUsed {
  return YES;
}
- (BOOL)isArgument {
  return YES;
}
- (NSUInteger)bufferAlignment {
  return state<BindingState>(self).binding.alignment;
}
- (NSUInteger)bufferDataSize {
  return state<BindingState>(self).binding.data_size;
}
- (MTLDataType)bufferDataType {
  return state<BindingState>(self).binding.is_struct ? MTLDataTypeStruct : MTLDataTypeNone;
}
- (NSUInteger)threadgroupMemoryAlignment {
  return state<BindingState>(self).binding.alignment;
}
- (NSUInteger)threadgroupMemoryDataSize {
  return state<BindingState>(self).binding.data_size;
}

@end
