// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

namespace metal_double {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class Lifetimes : public DoubleTest {
 protected:
  /// A committed command buffer that appends to `target`.
  id<MTLCommandBuffer> commit_append(id<MTLBuffer> target, bool retained) {
    hold_execution(true);
    id<MTLCommandBuffer> const commands =
        retained ? [queue commandBuffer] : [queue commandBufferWithUnretainedReferences];
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    const std::uint32_t value = 1;
    [made setComputePipelineState:pipeline("append")];
    [made setBuffer:target offset:0 atIndex:0];
    [made setBytes:&value length:4 atIndex:1];
    [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
    [made endEncoding];
    [commands commit];
    return commands;
  }
  void finish(id<MTLCommandBuffer> commands) {
    hold_execution(false);
    [commands waitUntilCompleted];
  }
};

TEST_F(Lifetimes, ObjectsAreCounted) {
  const auto before = live_objects();
  id<MTLFence> const fence = [device newFence];
  auto after = live_objects();
  EXPECT_EQ(after["MTLFence"], 1);
  EXPECT_EQ(after["MTLBuffer"], 1);
  EXPECT_EQ(after["MTLCommandQueue"], 1);
  EXPECT_EQ(after["MTLDevice"], 1);
  [fence release];
  EXPECT_EQ(live_objects(), before);
}

TEST_F(Lifetimes, CommandBuffersRetainWhatTheyUse) {
  id<MTLBuffer> const target = [device newBufferWithLength:64 options:0];
  id<MTLCommandBuffer> const commands = commit_append(target, true);
  EXPECT_EQ(target.retainCount, 2U);
  [target release];
  EXPECT_EQ(live_objects()["MTLBuffer"], 2);
  finish(commands);
  EXPECT_EQ(live_objects()["MTLBuffer"], 1);
}

TEST_F(Lifetimes, UnretainedReferencesMustOutliveTheWork) {
  id<MTLBuffer> const target = [device newBufferWithLength:64 options:0];
  target.label = @"early";
  id<MTLCommandBuffer> const commands = commit_append(target, false);
  EXPECT_EQ(target.retainCount, 1U);
  [target release];
  expect_violation("Buffer \"early\" is freed while 1 command buffers in flight use it");
  finish(commands);
}

TEST_F(Lifetimes, PipelinesToo) {
  id<MTLLibrary> const library = [device newLibraryWithSource:@"all" options:nil error:nil];
  id<MTLFunction> const function = [library newFunctionWithName:@"fails"];
  id<MTLComputePipelineState> const made = [device newComputePipelineStateWithFunction:function
                                                                                 error:nil];
  hold_execution(true);
  id<MTLCommandBuffer> const commands = [queue commandBufferWithUnretainedReferences];
  id<MTLComputeCommandEncoder> const pass = encoder(commands);
  [pass setComputePipelineState:made];
  [pass dispatchThreads:kOne threadsPerThreadgroup:kOne];
  [pass endEncoding];
  [commands commit];
  [made release];
  expect_violation("ComputePipelineState \"fails\" is freed while 1 command buffers");
  finish(commands);
  expect_violation("A barrier diverges.");
  [function release];
  [library release];
}

TEST_F(Lifetimes, WhatIsGoneBeforeCommitIsFound) {
  id<MTLBuffer> const target = [device newBufferWithLength:64 options:0];
  target.label = @"gone";
  id<MTLCommandBuffer> const commands = [queue commandBufferWithUnretainedReferences];
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  [made setBuffer:target offset:0 atIndex:0];
  [made endEncoding];
  [target release];
  expect_no_violation();
  [commands commit];
  expect_violation("uses Buffer \"gone\", which is freed already");
  [commands waitUntilCompleted];
}

TEST_F(Lifetimes, CommandBuffersInFlightLiveOn) {
  @autoreleasepool {
    commit_append(log_buffer, true);
  }
  EXPECT_EQ(live_objects()["MTLCommandBuffer"], 1);
  hold_execution(false);
  EXPECT_EQ(live_objects().count("MTLCommandBuffer"), 0U);
  EXPECT_THAT(journal(), ElementsAre(1));
}

TEST_F(Lifetimes, TheDeallocatorGetsItsMemoryBack) {
  std::vector<std::byte> storage(3 * 4096);
  void* const page = reinterpret_cast<void*>(
      (reinterpret_cast<std::uint64_t>(storage.data()) + 4095) / 4096 * 4096);
  Options options;
  options.page_size = 4096;
  use(options);
  std::vector<std::pair<void*, NSUInteger>> freed;
  auto* const calls = &freed;
  id<MTLBuffer> const target = [device newBufferWithBytesNoCopy:page
                                                         length:4096
                                                        options:0
                                                    deallocator:^(void* memory, NSUInteger size) {
                                                      calls->push_back({memory, size});
                                                    }];
  EXPECT_EQ(target.contents, page);
  id<MTLCommandBuffer> const commands = commit_append(target, true);
  [target release];
  EXPECT_TRUE(freed.empty());
  finish(commands);
  EXPECT_THAT(freed, ElementsAre(Pair(page, 4096U)));
}

TEST_F(Lifetimes, DeviceObjectsAreOne) {
  id<MTLDevice> const again = MTLCreateSystemDefaultDevice();
  EXPECT_EQ(again, device);
  [again release];
  NSArray<id<MTLDevice>>* const all = MTLCopyAllDevices();
  EXPECT_EQ([all firstObject], device);
  [all release];
}

}  // namespace
}  // namespace metal_double
