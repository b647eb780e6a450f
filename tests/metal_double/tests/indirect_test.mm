// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

namespace metal_double {
namespace {

using ::testing::ElementsAre;

class IndirectCommands : public DoubleTest {
 protected:
  void TearDown() override {
    [commands_ release];
    DoubleTest::TearDown();
  }
  MTLIndirectCommandBufferDescriptor* descriptor() {
    auto* const made = [[[MTLIndirectCommandBufferDescriptor alloc] init] autorelease];
    made.commandTypes = MTLIndirectCommandTypeConcurrentDispatch;
    made.inheritBuffers = NO;
    made.inheritPipelineState = NO;
    made.maxKernelBufferBindCount = 2;
    return made;
  }
  id<MTLIndirectCommandBuffer> make(MTLIndirectCommandBufferDescriptor* from, NSUInteger count) {
    [commands_ release];
    commands_ = [device newIndirectCommandBufferWithDescriptor:from
                                               maxCommandCount:count
                                                       options:0];
    return commands_;
  }
  /// Commands that append 1, 2 and so on.
  id<MTLIndirectCommandBuffer> appending(NSUInteger count) {
    values_ = buffer(4 * (count + 1), "values");
    make(descriptor(), count);
    for (NSUInteger i = 0; i < count; ++i) {
      static_cast<std::uint32_t*>(values_.contents)[i] = static_cast<std::uint32_t>(i + 1);
      id<MTLIndirectComputeCommand> const command = [commands_ indirectComputeCommandAtIndex:i];
      [command setComputePipelineState:pipeline("append", true)];
      [command setKernelBuffer:log_buffer offset:0 atIndex:0];
      [command setKernelBuffer:values_ offset:4 * i atIndex:1];
      [command concurrentDispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
    }
    return commands_;
  }
  void execute(NSRange range, bool resident = true) {
    id<MTLCommandBuffer> const buffer = command_buffer();
    id<MTLComputeCommandEncoder> const made = encoder(buffer);
    if (resident) {
      const id<MTLResource> read[] = {values_};
      [made useResources:read count:1 usage:MTLResourceUsageRead];
      [made useResource:log_buffer usage:MTLResourceUsageRead | MTLResourceUsageWrite];
    }
    [made executeCommandsInBuffer:commands_ withRange:range];
    [made endEncoding];
    run(buffer);
  }
  id<MTLIndirectCommandBuffer> commands_ = nil;
  id<MTLBuffer> values_ = nil;
};

TEST_F(IndirectCommands, RunInAnyOrderBetweenTheirBarriers) {
  Options options;
  options.order = Order::kReversed;
  use(options);
  appending(5);
  [[commands_ indirectComputeCommandAtIndex:2] setBarrier];
  [[commands_ indirectComputeCommandAtIndex:3] setBarrier];
  [[commands_ indirectComputeCommandAtIndex:3] clearBarrier];
  execute(NSMakeRange(0, 5));
  EXPECT_THAT(journal(), ElementsAre(2, 1, 5, 4, 3));
}

TEST_F(IndirectCommands, RunInARangeAndNotAfterReset) {
  appending(4);
  [[commands_ indirectComputeCommandAtIndex:2] reset];
  execute(NSMakeRange(1, 3));
  EXPECT_THAT(journal(), ElementsAre(2, 4));
  [commands_ resetWithRange:NSMakeRange(0, 4)];
  execute(NSMakeRange(0, 4));
  EXPECT_THAT(journal(), ElementsAre(2, 4));
}

TEST_F(IndirectCommands, InheritPipelineAndBuffers) {
  auto* const from = descriptor();
  from.inheritBuffers = YES;
  from.inheritPipelineState = YES;
  make(from, 1);
  [[commands_ indirectComputeCommandAtIndex:0] concurrentDispatchThreadgroups:kOne
                                                        threadsPerThreadgroup:kOne];
  id<MTLCommandBuffer> const buffer = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(buffer);
  const std::uint32_t value = 6;
  [made setComputePipelineState:pipeline("append", true)];
  [made setBuffer:log_buffer offset:0 atIndex:0];
  [made setBytes:&value length:4 atIndex:1];
  [made executeCommandsInBuffer:commands_ withRange:NSMakeRange(0, 1)];
  [made endEncoding];
  run(buffer);
  EXPECT_THAT(journal(), ElementsAre(6));
}

TEST_F(IndirectCommands, WhatIsInheritedIsNotSet) {
  auto* const from = descriptor();
  from.inheritBuffers = YES;
  from.inheritPipelineState = YES;
  make(from, 1);
  id<MTLIndirectComputeCommand> const command = [commands_ indirectComputeCommandAtIndex:0];
  [command setComputePipelineState:pipeline("append", true)];
  expect_violation("a pipeline is set, but its descriptor inherits the pipeline");
  [command setKernelBuffer:log_buffer offset:0 atIndex:0];
  expect_violation("a buffer is set, but its descriptor inherits the buffers");
  id<MTLCommandBuffer> const buffer = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(buffer);
  [made executeCommandsInBuffer:commands_ withRange:NSMakeRange(0, 1)];
  expect_violation("inherits the pipeline, but none is set");
  [made endEncoding];
  run(buffer);
}

TEST_F(IndirectCommands, APipelineMustSupportThem) {
  make(descriptor(), 1);
  [[commands_ indirectComputeCommandAtIndex:0] setComputePipelineState:pipeline("append")];
  expect_violation("ComputePipelineState \"append\" does not support indirect command buffers");
}

TEST_F(IndirectCommands, AnInheritedPipelineMustSupportThem) {
  auto* const from = descriptor();
  from.inheritPipelineState = YES;
  from.inheritBuffers = YES;
  make(from, 1);
  [[commands_ indirectComputeCommandAtIndex:0] concurrentDispatchThreadgroups:kOne
                                                        threadsPerThreadgroup:kOne];
  id<MTLCommandBuffer> const buffer = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(buffer);
  [made setComputePipelineState:pipeline("append")];
  [made executeCommandsInBuffer:commands_ withRange:NSMakeRange(0, 1)];
  [made endEncoding];
  run(buffer);
  expect_violation("ComputePipelineState \"append\" does not support indirect command buffers");
}

TEST_F(IndirectCommands, RangesFit) {
  appending(2);
  EXPECT_EQ([commands_ indirectComputeCommandAtIndex:2], nil);
  expect_violation("has 2 commands, and none at 2");
  [commands_ resetWithRange:NSMakeRange(1, 2)];
  expect_violation("resetWithRange: range [1, 3) does not fit");
  execute(NSMakeRange(1, 2));
  expect_violation("executeCommandsInBuffer: range [1, 3) does not fit");
  execute(NSMakeRange(0, 0));
  expect_violation("executeCommandsInBuffer: range [0, 0) does not fit");
}

TEST_F(IndirectCommands, OffsetsHave32Bits) {
  make(descriptor(), 1);
  id<MTLIndirectComputeCommand> const command = [commands_ indirectComputeCommandAtIndex:0];
  [command setKernelBuffer:log_buffer offset:1UL << 32 atIndex:0];
  expect_violation("offset 4294967296 of a buffer does not fit 32 bits");
  [command setKernelBuffer:log_buffer offset:4096 atIndex:0];
  expect_violation("offset 4096 is past the end");
  [command setKernelBuffer:log_buffer offset:0 atIndex:2];
  expect_violation("index 2, but maxKernelBufferBindCount is 2");
  [command setThreadgroupMemoryLength:16 atIndex:0];
  expect_violation("index 0, but maxKernelThreadgroupMemoryBindCount is 0");
}

TEST_F(IndirectCommands, GridsHaveThreadsAndAKind) {
  make(descriptor(), 1);
  id<MTLIndirectComputeCommand> const command = [commands_ indirectComputeCommandAtIndex:0];
  [command concurrentDispatchThreadgroups:MTLSizeMake(0, 1, 1) threadsPerThreadgroup:kOne];
  expect_violation("0x1x1 by 1x1x1 has no threads");
  [command concurrentDispatchThreads:kOne threadsPerThreadgroup:kOne];
  expect_violation("concurrentDispatchThreads is not among the command types");
}

TEST_F(IndirectCommands, BuffersMustBeResident) {
  appending(1);
  execute(NSMakeRange(0, 1), false);
  expect_violation("Buffer \"journal\" is not resident");
  EXPECT_EQ(dispatches_run(), 0U);
}

TEST_F(IndirectCommands, UseResourceComesFirst) {
  appending(1);
  id<MTLCommandBuffer> const buffer = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(buffer);
  [made useResource:log_buffer usage:MTLResourceUsageWrite];
  [made executeCommandsInBuffer:commands_ withRange:NSMakeRange(0, 1)];
  [made useResource:values_ usage:MTLResourceUsageRead];
  [made endEncoding];
  run(buffer);
  expect_violation("Buffer \"values\" is not resident");
}

TEST_F(IndirectCommands, AreNotChangedWhileInFlight) {
  appending(1);
  hold_execution(true);
  id<MTLCommandBuffer> const buffer = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(buffer);
  [made useResource:log_buffer usage:MTLResourceUsageWrite];
  [made useResource:values_ usage:MTLResourceUsageRead];
  [made executeCommandsInBuffer:commands_ withRange:NSMakeRange(0, 1)];
  [made endEncoding];
  [buffer commit];
  [[commands_ indirectComputeCommandAtIndex:0] setBarrier];
  expect_violation("setBarrier is called on IndirectCommandBuffer");
  hold_execution(false);
  [buffer waitUntilCompleted];
}

TEST_F(IndirectCommands, NeedADeviceThatHasThem) {
  Options options;
  options.indirect_command_buffers = false;
  use(options);
  EXPECT_EQ(make(descriptor(), 1), nil);
  expect_violation("the device has no indirect command buffers for compute");
}

TEST_F(IndirectCommands, DescriptorsHaveLimits) {
  EXPECT_EQ(make(descriptor(), 16385), nil);
  expect_violation("16385 commands are asked for; 1 to 16384 are allowed");
  auto* const from = descriptor();
  from.maxKernelBufferBindCount = 32;
  EXPECT_EQ(make(from, 1), nil);
  expect_violation("32 buffers and 0 threadgroup arguments are asked for");
  from.commandTypes = MTLIndirectCommandTypeDraw;
  EXPECT_EQ(make(from, 1), nil);
  expect_violation("command types 0x1 are not those of compute");
}

}  // namespace
}  // namespace metal_double
