// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

namespace metal_double {
namespace {

class EncoderRules : public DoubleTest {
 protected:
  /// An encoder that could dispatch `append`, ended and committed by the test.
  id<MTLComputeCommandEncoder> ready() {
    commands = command_buffer();
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    const std::uint32_t value = 1;
    [made setComputePipelineState:pipeline("append")];
    [made setBuffer:log_buffer offset:0 atIndex:0];
    [made setBytes:&value length:sizeof value atIndex:1];
    return made;
  }
  /// Ends the encoder; nothing of it must have run.
  void finish(id<MTLComputeCommandEncoder> made) {
    [made endEncoding];
    run(commands);
    EXPECT_EQ(dispatches_run(), 0U);
  }
  id<MTLCommandBuffer> commands = nil;
};

TEST_F(EncoderRules, AnEncoderMustEnd) {
  @autoreleasepool {
    encoder(command_buffer());
  }
  expect_violation("is freed without endEncoding");
}

TEST_F(EncoderRules, CommitWithAnOpenEncoder) {
  id<MTLCommandBuffer> const open = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(open);
  [open commit];
  expect_violation(
      "commit is called on CommandBuffer \"commandBuffer#1\" while an encoder is open");
  [made endEncoding];
  expect_violation("endEncoding is called");
  [open waitUntilCompleted];
}

TEST_F(EncoderRules, CommitTwice) {
  id<MTLCommandBuffer> const twice = command_buffer();
  run(twice);
  [twice commit];
  expect_violation("commit is called on CommandBuffer \"commandBuffer#1\" twice");
}

TEST_F(EncoderRules, EncodeAfterCommit) {
  id<MTLCommandBuffer> const done = command_buffer();
  run(done);
  EXPECT_EQ(encoder(done), nil);
  expect_violation("computeCommandEncoder is called on CommandBuffer \"commandBuffer#1\" after");
}

TEST_F(EncoderRules, EncodeAfterEnd) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made endEncoding];
  [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
  expect_violation("dispatchThreads is called on ComputeCommandEncoder");
  run(commands);
}

TEST_F(EncoderRules, OneEncoderAtATime) {
  id<MTLCommandBuffer> const both = command_buffer();
  id<MTLComputeCommandEncoder> const first = encoder(both);
  EXPECT_EQ(encoder(both), nil);
  expect_violation("while an encoder is open");
  [first endEncoding];
  [encoder(both) endEncoding];
}

TEST_F(EncoderRules, NoEventsWhileAnEncoderIsOpen) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandBuffer> const both = command_buffer();
  id<MTLComputeCommandEncoder> const first = encoder(both);
  [both encodeSignalEvent:event value:1];
  expect_violation("encodeSignalEvent is called");
  [both encodeWaitForEvent:event value:1];
  expect_violation("encodeWaitForEvent is called");
  [first endEncoding];
  [event release];
}

TEST_F(EncoderRules, WaitBeforeCommit) {
  [command_buffer() waitUntilCompleted];
  expect_violation("waitUntilCompleted is called on CommandBuffer \"commandBuffer#1\" before");
}

TEST_F(EncoderRules, WaitInAHandler) {
  id<MTLCommandBuffer> const waits = command_buffer();
  [waits addCompletedHandler:^(id<MTLCommandBuffer> self) {
    [self waitUntilCompleted];
  }];
  run(waits);
  expect_violation("by a handler, and would wait forever");
}

TEST_F(EncoderRules, HandlersAreAddedBeforeCommit) {
  id<MTLCommandBuffer> const done = command_buffer();
  run(done);
  [done addCompletedHandler:^(id<MTLCommandBuffer>){
  }];
  expect_violation("addCompletedHandler is called");
  [done addScheduledHandler:^(id<MTLCommandBuffer>){
  }];
  expect_violation("addScheduledHandler is called");
}

TEST_F(EncoderRules, BindPastTheEnd) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setBuffer:log_buffer offset:4096 atIndex:0];
  expect_violation("setBuffer: offset 4096 is past the end of Buffer \"journal\", which has 4096");
  [made setBufferOffset:5000 atIndex:0];
  expect_violation("setBufferOffset: offset 5000 is past the end");
  finish(made);
}

TEST_F(EncoderRules, OffsetOfWhatIsNotBound) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setBufferOffset:0 atIndex:7];
  expect_violation("setBufferOffset: no buffer is bound at index 7");
  finish(made);
}

TEST_F(EncoderRules, IndexPastTheLast) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setBuffer:log_buffer offset:0 atIndex:31];
  expect_violation("setBuffer: index 31 is out of range; 30 is the last one");
  const int value = 0;
  [made setBytes:&value length:4 atIndex:31];
  expect_violation("setBytes: index 31 is out of range");
  [made setThreadgroupMemoryLength:16 atIndex:31];
  expect_violation("setThreadgroupMemoryLength: index 31 is out of range");
  finish(made);
}

TEST_F(EncoderRules, InlineBytesHaveLimits) {
  id<MTLComputeCommandEncoder> const made = ready();
  std::vector<char> bytes(4097);
  [made setBytes:bytes.data() length:4097 atIndex:1];
  expect_violation("setBytes: 4097 bytes are given; 1 to 4096 are allowed");
  [made setBytes:bytes.data() length:0 atIndex:1];
  expect_violation("setBytes: 0 bytes are given");
  [made setBytes:bytes.data() length:4096 atIndex:1];
  finish(made);
}

TEST_F(EncoderRules, DispatchNeedsAPipeline) {
  id<MTLComputeCommandEncoder> const made = encoder(commands = command_buffer());
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("dispatchThreadgroups: no compute pipeline is set");
  finish(made);
}

TEST_F(EncoderRules, AnArgumentIsNotBound) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setBuffer:nil offset:0 atIndex:0];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("argument \"journal\" of ComputePipelineState \"append\" at buffer index 0 is");
  finish(made);
}

TEST_F(EncoderRules, AnArgumentIsTooSmall) {
  id<MTLComputeCommandEncoder> const made = ready();
  const char value = 1;
  [made setBytes:&value length:1 atIndex:1];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("needs 4 bytes, but 1 are bound");
  [made setBuffer:log_buffer offset:4095 atIndex:1];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("needs 4 bytes, but 1 are bound");
  finish(made);
}

TEST_F(EncoderRules, AnArgumentIsNotAligned) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setBuffer:log_buffer offset:2 atIndex:0];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("is bound at offset 2, which is no multiple of 4");
  finish(made);
}

TEST_F(EncoderRules, InlineBytesAreNotWritten) {
  id<MTLComputeCommandEncoder> const made = ready();
  const int value = 0;
  [made setBytes:&value length:4 atIndex:0];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("is written, but inline bytes are bound");
  finish(made);
}

TEST_F(EncoderRules, GroupsHaveLimits) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:MTLSizeMake(1, 0, 1)];
  expect_violation("a threadgroup of 1x0x1 threads has none");
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:MTLSizeMake(1025, 1, 1)];
  expect_violation("a threadgroup of 1025x1x1 threads is too large; the device allows 1024");
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:MTLSizeMake(64, 32, 1)];
  expect_violation("a threadgroup of 2048 threads is too large");
  finish(made);
}

TEST_F(EncoderRules, AKernelMayAllowFewerThreads) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setComputePipelineState:pipeline("shared")];
  [made setThreadgroupMemoryLength:64 atIndex:0];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:MTLSizeMake(65, 1, 1)];
  expect_violation(
      "a threadgroup of 65 threads is too large; ComputePipelineState \"shared\" allow");
  finish(made);
}

TEST_F(EncoderRules, AGridHasThreads) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made dispatchThreadgroups:MTLSizeMake(0, 1, 1) threadsPerThreadgroup:kOne];
  expect_violation("a grid of 0x1x1 has no threads");
  [made dispatchThreads:MTLSizeMake(1UL << 32, 1, 1) threadsPerThreadgroup:kOne];
  expect_violation("exceeds 4294967295");
  finish(made);
}

TEST_F(EncoderRules, ThreadgroupMemoryHasLimits) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made setThreadgroupMemoryLength:24 atIndex:0];
  expect_violation("24 bytes of threadgroup memory are no multiple of 16");
  [made setThreadgroupMemoryLength:32784 atIndex:0];
  expect_violation("32784 bytes of threadgroup memory are too many; the device has 32768");
  [made setComputePipelineState:pipeline("shared")];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("threadgroup argument \"scratch\" of");
  [made setThreadgroupMemoryLength:32768 atIndex:0];
  [made dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  expect_violation("33792 bytes of threadgroup memory are too many");
  finish(made);
}

TEST_F(EncoderRules, RaggedGroupsNeedAFamily) {
  Options options;
  options.families = {1003, 3001};
  use(options);
  id<MTLComputeCommandEncoder> const made = ready();
  [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
  expect_violation("dispatchThreads needs nonuniform threadgroups");
  finish(made);
}

TEST_F(EncoderRules, IndirectArgumentsStayInside) {
  id<MTLBuffer> const counts = buffer(16, "counts");
  id<MTLComputeCommandEncoder> const made = ready();
  [made dispatchThreadgroupsWithIndirectBuffer:counts
                          indirectBufferOffset:8
                         threadsPerThreadgroup:kOne];
  expect_violation("the arguments at offset 8 need 12 bytes, but Buffer \"counts\" has 16");
  [made dispatchThreadgroupsWithIndirectBuffer:counts
                          indirectBufferOffset:2
                         threadsPerThreadgroup:kOne];
  expect_violation("offset 2 is no multiple of 4");
  finish(made);
}

TEST_F(EncoderRules, LabelsComeInTime) {
  id<MTLCommandBuffer> const named = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(named);
  made.label = @"pass";
  [made endEncoding];
  made.label = @"late";
  expect_violation("setLabel is called on ComputeCommandEncoder \"pass\" after endEncoding");
  named.label = @"commands";
  run(named);
  named.label = @"late";
  expect_violation("setLabel is called on CommandBuffer \"commands\" after commit");
  made.label = @"late";
  expect_violation("after its command buffer was committed");
}

TEST_F(EncoderRules, GroupsOfDebuggingAreClosed) {
  id<MTLComputeCommandEncoder> const made = ready();
  [made popDebugGroup];
  expect_violation("popDebugGroup is called on");
  [made pushDebugGroup:@"layer"];
  [made endEncoding];
  expect_violation("with 1 debug groups open");
  run(commands);
}

TEST_F(EncoderRules, FencesAreWaitedForFirst) {
  id<MTLFence> const fence = [device newFence];
  id<MTLComputeCommandEncoder> const made = ready();
  [made updateFence:fence];
  [made waitForFence:fence];
  expect_violation("is updated by the same encoder before");
  finish(made);
  id<MTLCommandQueue> const other = [device newCommandQueue];
  id<MTLCommandBuffer> const foreign = [other commandBuffer];
  id<MTLComputeCommandEncoder> const second = encoder(foreign);
  [second waitForFence:fence];
  expect_violation("is used by two queues");
  [second endEncoding];
  [fence release];
  [other release];
}

TEST_F(EncoderRules, EventsGrow) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  event.signaledValue = 5;
  event.signaledValue = 4;
  expect_violation("is signalled with 4 by the host, but its value is 5");
  id<MTLCommandBuffer> const signals = command_buffer();
  [signals encodeSignalEvent:event value:3];
  run(signals);
  expect_violation("is signalled with 3 by the device, but its value is 5");
  EXPECT_EQ(event.signaledValue, 5U);
  [event release];
}

TEST_F(EncoderRules, AQueueHasSoManyCommandBuffers) {
  id<MTLCommandQueue> const small = [device newCommandQueueWithMaxCommandBufferCount:1];
  @autoreleasepool {
    id<MTLCommandBuffer> const first = [small commandBuffer];
    [small commandBuffer];
    expect_violation("has 1 command buffers that nobody commits");
    [first commit];
    [first waitUntilCompleted];
  }
  [small release];
}

TEST_F(EncoderRules, AnEnqueuedCommandBufferIsCommitted) {
  @autoreleasepool {
    [command_buffer() enqueue];
  }
  expect_violation("is freed after enqueue and before commit");
}

TEST_F(EncoderRules, KernelsThatFailAreViolations) {
  id<MTLCommandBuffer> const failing = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(failing);
  [made setComputePipelineState:pipeline("fails")];
  [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
  [made endEncoding];
  run(failing);
  expect_violation("Kernel \"fails\" fails: A barrier diverges.");
  EXPECT_EQ(failing.status, MTLCommandBufferStatusError);
}

}  // namespace
}  // namespace metal_double
