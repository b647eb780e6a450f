// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#include <set>

namespace metal_double {
namespace {

using ::testing::ElementsAre;

class Faults : public DoubleTest {
 protected:
  id<MTLCommandBuffer> with_passes(unsigned count, bool infos) {
    MTLCommandBufferDescriptor* const descriptor =
        [[[MTLCommandBufferDescriptor alloc] init] autorelease];
    if (infos) descriptor.errorOptions = MTLCommandBufferErrorOptionEncoderExecutionStatus;
    id<MTLCommandBuffer> const commands = [queue commandBufferWithDescriptor:descriptor];
    for (unsigned i = 1; i <= count; ++i) {
      id<MTLComputeCommandEncoder> const made = encoder(commands, false);
      made.label = [NSString stringWithUTF8String:std::to_string(i).c_str()];
      [made insertDebugSignpost:@"here"];
      append(made, i);
      [made endEncoding];
    }
    return commands;
  }
};

TEST_F(Faults, EveryCreationCanFail) {
  const std::vector<std::function<id(NSError**)>> creations{
      [&](NSError**) { return [device newCommandQueue]; },
      [&](NSError**) { return [device newBufferWithLength:16 options:0]; },
      [&](NSError** error) { return [device newLibraryWithSource:@"all" options:nil error:error]; },
      [&](NSError**) { return [device newFence]; },
      [&](NSError**) { return [device newSharedEvent]; },
      [&](NSError** error) {
        MTLResidencySetDescriptor* const descriptor =
            [[[MTLResidencySetDescriptor alloc] init] autorelease];
        return [device newResidencySetWithDescriptor:descriptor error:error];
      },
      [&](NSError**) {
        auto* const descriptor = [[[MTLIndirectCommandBufferDescriptor alloc] init] autorelease];
        descriptor.commandTypes = MTLIndirectCommandTypeConcurrentDispatch;
        return [device newIndirectCommandBufferWithDescriptor:descriptor
                                              maxCommandCount:1
                                                      options:0];
      },
      [&](NSError** error) {
        auto* const descriptor = [[[MTLCounterSampleBufferDescriptor alloc] init] autorelease];
        descriptor.counterSet = [device.counterSets firstObject];
        descriptor.sampleCount = 2;
        return [device newCounterSampleBufferWithDescriptor:descriptor error:error];
      },
      [&](NSError**) { return [[queue commandBuffer] retain]; },
      [&](NSError**) {
        static id<MTLCommandBuffer> commands = nil;
        if (commands == nil) {
          fail_nth_call(0);
          commands = [queue commandBuffer];
          fail_nth_call(1);
        }
        id<MTLComputeCommandEncoder> const made = [[commands computeCommandEncoder] retain];
        [made endEncoding];
        if (made != nil) commands = nil;
        return made;
      },
  };
  for (const auto& create : creations) {
    fail_nth_call(1);
    NSError* error = nil;
    EXPECT_EQ(create(&error), nil);
    EXPECT_EQ(calls_made(), 1U);
    SCOPED_TRACE(call_names().front());
    const bool has_error_argument =
        std::set<std::string>{"newLibraryWithSource", "newResidencySetWithDescriptor",
                              "newCounterSampleBuffer"}
            .contains(call_names().front());
    EXPECT_EQ(error != nil, has_error_argument);
    const id made = create(&error);
    EXPECT_NE(made, nil);
    [made release];
    fail_nth_call(0);
  }
}

TEST_F(Faults, TheNthCallFails) {
  fail_nth_call(3);
  for (int i = 1; i <= 4; ++i) {
    id<MTLFence> const fence = [device newFence];
    EXPECT_EQ(fence == nil, i == 3);
    [fence release];
  }
  EXPECT_THAT(call_names(), ElementsAre("newFence", "newFence", "newFence", "newFence"));
}

TEST_F(Faults, FailuresHaveErrors) {
  fail_nth_call(1);
  NSError* error = nil;
  EXPECT_EQ([device newLibraryWithSource:@"all" options:nil error:&error], nil);
  EXPECT_TRUE([error.domain isEqualToString:MTLLibraryErrorDomain]);
  EXPECT_EQ(error.code, static_cast<NSInteger>(MTLLibraryErrorInternal));
}

TEST_F(Faults, ACommandBufferFailsInAPass) {
  fail_command_buffer(2, MTLCommandBufferErrorOutOfMemory, 1);
  id<MTLCommandBuffer> const first = with_passes(1, true);
  run(first);
  EXPECT_EQ(first.status, MTLCommandBufferStatusCompleted);
  id<MTLCommandBuffer> const second = with_passes(3, true);
  run(second);
  EXPECT_EQ(second.status, MTLCommandBufferStatusError);
  EXPECT_THAT(journal(), ElementsAre(1, 1));
  NSError* const error = second.error;
  EXPECT_TRUE([error.domain isEqualToString:MTLCommandBufferErrorDomain]);
  EXPECT_EQ(error.code, static_cast<NSInteger>(MTLCommandBufferErrorOutOfMemory));
  NSArray<id<MTLCommandBufferEncoderInfo>>* const infos =
      [error.userInfo objectForKey:MTLCommandBufferEncoderInfoErrorKey];
  std::vector<MTLCommandEncoderErrorState> states;
  for (id<MTLCommandBufferEncoderInfo> info in infos) states.push_back(info.errorState);
  EXPECT_THAT(states,
              ElementsAre(MTLCommandEncoderErrorStateCompleted, MTLCommandEncoderErrorStateFaulted,
                          MTLCommandEncoderErrorStatePending));
  EXPECT_TRUE([[infos objectAtIndex:1].label isEqualToString:@"2"]);
  EXPECT_TRUE([[infos objectAtIndex:1].debugSignposts.firstObject isEqualToString:@"here"]);
}

TEST_F(Faults, EncoderInfosComeOnlyWhenAsked) {
  fail_command_buffer(1, MTLCommandBufferErrorTimeout);
  id<MTLCommandBuffer> const commands = with_passes(1, false);
  run(commands);
  EXPECT_EQ(commands.error.code, static_cast<NSInteger>(MTLCommandBufferErrorTimeout));
  EXPECT_EQ([commands.error.userInfo objectForKey:MTLCommandBufferEncoderInfoErrorKey], nil);
  EXPECT_EQ(dispatches_run(), 0U);
}

TEST_F(Faults, AFailedCommandBufferDoesNotSignal) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  fail_command_buffer(1, MTLCommandBufferErrorTimeout);
  id<MTLCommandBuffer> const commands = with_passes(1, false);
  [commands encodeSignalEvent:event value:3];
  run(commands);
  EXPECT_EQ(event.signaledValue, 0U);
  [event release];
}

TEST_F(Faults, AFailedCommandBufferMaySignalIfATestSaysSo) {
  Options options;
  options.signal_after_failure = true;
  use(options);
  id<MTLSharedEvent> const event = [device newSharedEvent];
  fail_command_buffer(1, MTLCommandBufferErrorTimeout);
  id<MTLCommandBuffer> const commands = with_passes(1, false);
  [commands encodeSignalEvent:event value:3];
  run(commands);
  EXPECT_EQ(event.signaledValue, 3U);
  [event release];
}

TEST_F(Faults, ALostDeviceFailsWhatWaitsToo) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandBuffer> const waits = command_buffer();
  [waits encodeWaitForEvent:event value:1];
  id<MTLComputeCommandEncoder> const made = encoder(waits);
  append(made, 1);
  [made endEncoding];
  [waits commit];
  hold_execution(true);
  id<MTLCommandBuffer> const held = with_passes(1, false);
  [held commit];
  lose_device();
  [waits waitUntilCompleted];
  [held waitUntilCompleted];
  id<MTLCommandBuffer> const later = with_passes(1, false);
  run(later);
  for (id<MTLCommandBuffer> commands : {waits, held, later}) {
    EXPECT_EQ(commands.error.code, static_cast<NSInteger>(MTLCommandBufferErrorDeviceRemoved));
  }
  EXPECT_EQ(dispatches_run(), 0U);
  [event release];
}

TEST_F(Faults, MemoryEnds) {
  Options options;
  options.memory_limit = 100000;
  options.max_buffer_length = 50000;
  use(options);
  EXPECT_EQ([device newBufferWithLength:50001 options:0], nil);
  buffer(50000, "large");
  EXPECT_EQ([device newBufferWithLength:50000 options:0], nil);
  EXPECT_EQ(device.currentAllocatedSize, 54096U);
}

}  // namespace
}  // namespace metal_double
