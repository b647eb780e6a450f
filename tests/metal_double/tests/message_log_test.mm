// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

namespace metal_double {
namespace {

using ::testing::ElementsAre;

class MessageLog : public DoubleTest {};

TEST_F(MessageLog, ReadsLikeTheCalls) {
  pipeline("append");
  id<MTLFence> const fence = [device newFence];
  fence.label = @"order";
  clear_log();
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  [made waitForFence:fence];
  [made pushDebugGroup:@"layer 0"];
  append(made, 1);
  [made setBufferOffset:256 atIndex:0];
  [made memoryBarrierWithScope:MTLBarrierScopeBuffers];
  [made dispatchThreads:MTLSizeMake(33, 2, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  [made popDebugGroup];
  [made updateFence:fence];
  [made endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  EXPECT_THAT(log(), ElementsAre("commandBuffer commandBuffer#1 retained",
                                 "computeCommandEncoderWithDispatchType concurrent",
                                 "waitForFence order", "pushDebugGroup layer 0",
                                 "setComputePipelineState append", "setBuffer journal+0 @0",
                                 "setBytes 4 @1", "dispatchThreadgroups 1x1x1 by 1x1x1",
                                 "setBufferOffset 256 @0", "memoryBarrier buffers",
                                 "dispatchThreads 33x2x1 by 32x1x1", "popDebugGroup",
                                 "updateFence order", "endEncoding", "commit commandBuffer#1"));
  [fence release];
}

TEST_F(MessageLog, EachDeviceHasItsOwn) {
  Options options;
  options.devices = {"one", "two"};
  use(options);
  NSArray<id<MTLDevice>>* const all = MTLCopyAllDevices();
  ASSERT_EQ(all.count, 2U);
  id<MTLCommandQueue> const other = [[all objectAtIndex:1] newCommandQueue];
  EXPECT_THAT(log(0), ElementsAre());
  EXPECT_THAT(log(1), ElementsAre("newCommandQueue commandQueue#1"));
  EXPECT_TRUE([[all objectAtIndex:1].name isEqualToString:@"two"]);
  [other release];
  [all release];
}

TEST_F(MessageLog, CanBeLeftOut) {
  Options options;
  options.keep_log = false;
  use(options);
  [encoder(command_buffer()) endEncoding];
  EXPECT_THAT(log(), ElementsAre());
}

TEST_F(MessageLog, TheDevicesClockMayTickDifferently) {
  Options options;
  options.gpu_ticks_per_ns = 0.024;
  use(options);
  MTLTimestamp cpu = 0;
  MTLTimestamp gpu = 0;
  [device sampleTimestamps:&cpu gpuTimestamp:&gpu];
  EXPECT_NEAR(static_cast<double>(gpu) / static_cast<double>(cpu), 0.024, 0.0001);
}

TEST_F(MessageLog, CountersShowWhenPassesRan) {
  auto* const from = [[[MTLCounterSampleBufferDescriptor alloc] init] autorelease];
  from.counterSet = device.counterSets.firstObject;
  from.sampleCount = 4;
  EXPECT_TRUE([from.counterSet.name isEqualToString:MTLCommonCounterSetTimestamp]);
  id<MTLCounterSampleBuffer> const samples = [device newCounterSampleBufferWithDescriptor:from
                                                                                    error:nil];
  MTLComputePassDescriptor* const descriptor = [MTLComputePassDescriptor computePassDescriptor];
  MTLComputePassSampleBufferAttachmentDescriptor* const attachment =
      [descriptor.sampleBufferAttachments objectAtIndexedSubscript:0];
  attachment.sampleBuffer = samples;
  attachment.startOfEncoderSampleIndex = 0;
  attachment.endOfEncoderSampleIndex = 1;
  MTLTimestamp cpu = 0;
  MTLTimestamp before = 0;
  [device sampleTimestamps:&cpu gpuTimestamp:&before];
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made =
      [commands computeCommandEncoderWithDescriptor:descriptor];
  append(made, 1);
  [made endEncoding];
  run(commands);
  NSData* const resolved = [samples resolveCounterRange:NSMakeRange(0, 3)];
  ASSERT_EQ(resolved.length, 3 * sizeof(MTLCounterResultTimestamp));
  const auto* const times = static_cast<const MTLCounterResultTimestamp*>(resolved.bytes);
  EXPECT_LE(before, times[0].timestamp);
  EXPECT_LE(times[0].timestamp, times[1].timestamp);
  EXPECT_EQ(times[2].timestamp, MTLCounterErrorValue);
  EXPECT_EQ([samples resolveCounterRange:NSMakeRange(3, 2)], nil);
  expect_violation("resolveCounterRange: range [3, 5)");
  attachment.endOfEncoderSampleIndex = 4;
  id<MTLCommandBuffer> const wrong = command_buffer();
  [[wrong computeCommandEncoderWithDescriptor:descriptor] endEncoding];
  expect_violation("Sample index 4 is past the end");
  [samples release];
}

}  // namespace
}  // namespace metal_double
