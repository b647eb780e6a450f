// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <thread>

#include "support/test_seed.hpp"

namespace metal_double {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class ExecutionOrder : public DoubleTest {
 protected:
  void use_order(Order order, std::uint64_t seed = 1) {
    Options options;
    options.order = order;
    options.seed = seed;
    use(options);
    hold_execution(true);
  }
  /// Runs what was committed while execution was held.
  void release(id<MTLCommandBuffer> last) {
    hold_execution(false);
    [last waitUntilCompleted];
    drain();
  }
  id<MTLComputeCommandEncoder> pass(id<MTLCommandBuffer> commands, std::uint32_t number) {
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    append(made, number);
    return made;
  }
};

TEST_F(ExecutionOrder, ReversedBetweenBarriersOnly) {
  use_order(Order::kReversed);
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  for (const unsigned i : {1U, 2U, 3U}) append(made, i);
  [made memoryBarrierWithScope:MTLBarrierScopeBuffers];
  for (const unsigned i : {4U, 5U}) append(made, i);
  [made endEncoding];
  [commands commit];
  release(commands);
  EXPECT_THAT(journal(), ElementsAre(3, 2, 1, 5, 4));
}

TEST_F(ExecutionOrder, ABarrierOfTexturesOrdersNoBuffers) {
  use_order(Order::kReversed);
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = pass(commands, 1);
  [made memoryBarrierWithScope:MTLBarrierScopeTextures];
  append(made, 2);
  [made endEncoding];
  [commands commit];
  release(commands);
  EXPECT_THAT(journal(), ElementsAre(2, 1));
}

TEST_F(ExecutionOrder, InOrderIsAsEncoded) {
  use_order(Order::kInOrder);
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  for (const unsigned i : {1U, 2U, 3U}) append(made, i);
  [made endEncoding];
  [commands commit];
  release(commands);
  EXPECT_THAT(journal(), ElementsAre(1, 2, 3));
}

TEST_F(ExecutionOrder, ASerialPassIsInOrder) {
  use_order(Order::kReversed);
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands, false);
  for (const unsigned i : {1U, 2U, 3U}) append(made, i);
  [made memoryBarrierWithScope:MTLBarrierScopeBuffers];
  append(made, 4);
  [made endEncoding];
  [commands commit];
  release(commands);
  EXPECT_THAT(journal(), ElementsAre(1, 2, 3, 4));
}

TEST_F(ExecutionOrder, RandomOrdersDifferAndKeepBarriers) {
  const std::uint64_t seed = segue::test::test_seed();
  std::set<std::vector<std::uint32_t>> seen;
  for (std::uint64_t i = 0; i < 20; ++i) {
    use_order(Order::kRandom, seed + i);
    id<MTLCommandBuffer> const commands = command_buffer();
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    for (const unsigned number : {1U, 2U, 3U, 4U}) append(made, number);
    [made memoryBarrierWithScope:MTLBarrierScopeBuffers];
    append(made, 5);
    [made endEncoding];
    [commands commit];
    release(commands);
    const auto order = journal();
    EXPECT_THAT(order, UnorderedElementsAre(1, 2, 3, 4, 5));
    EXPECT_EQ(order.back(), 5U);
    seen.insert(order);
  }
  EXPECT_GT(seen.size(), 3U);
}

TEST_F(ExecutionOrder, PassesOverlapWhereNothingOrdersThem) {
  use_order(Order::kReversed);
  id<MTLCommandBuffer> const first = command_buffer();
  [pass(first, 1) endEncoding];
  [pass(first, 2) endEncoding];
  [first commit];
  id<MTLCommandBuffer> const second = command_buffer();
  [pass(second, 3) endEncoding];
  [second commit];
  release(second);
  EXPECT_THAT(journal(), ElementsAre(3, 2, 1));
}

TEST_F(ExecutionOrder, FencesOrderPasses) {
  use_order(Order::kReversed);
  id<MTLFence> const fence = [device newFence];
  id<MTLCommandBuffer> last = nil;
  for (const unsigned i : {1U, 2U, 3U}) {
    last = command_buffer();
    id<MTLComputeCommandEncoder> const made = encoder(last);
    [made waitForFence:fence];
    append(made, i);
    [made updateFence:fence];
    [made endEncoding];
    [last commit];
  }
  release(last);
  EXPECT_THAT(journal(), ElementsAre(1, 2, 3));
  [fence release];
}

TEST_F(ExecutionOrder, FencesAreEvaluatedWherePassesBeginAndEnd) {
  use_order(Order::kReversed);
  id<MTLFence> const fence = [device newFence];
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const first = pass(commands, 1);
  [first updateFence:fence];
  append(first, 2);  // Before the pass ends, and so before the fence is updated.
  [first endEncoding];
  id<MTLComputeCommandEncoder> const second = pass(commands, 3);
  [second waitForFence:fence];
  append(second, 4);
  [second endEncoding];
  [commands commit];
  release(commands);
  EXPECT_THAT(journal(), ElementsAre(2, 1, 4, 3));
  [fence release];
}

TEST_F(ExecutionOrder, TrackedBuffersOrderPassesThatConflict) {
  use_order(Order::kReversed);
  log_buffer = buffer(4096, "tracked", MTLResourceHazardTrackingModeTracked);
  id<MTLCommandBuffer> const first = command_buffer();
  [pass(first, 1) endEncoding];
  [first commit];
  id<MTLCommandBuffer> const second = command_buffer();
  id<MTLComputeCommandEncoder> const made = pass(second, 2);
  append(made, 3);  // Within a concurrent pass nothing is tracked.
  [made endEncoding];
  [second commit];
  release(second);
  EXPECT_THAT(journal(), ElementsAre(1, 3, 2));
}

TEST_F(ExecutionOrder, TrackedReadsMayOverlap) {
  use_order(Order::kReversed);
  id<MTLBuffer> const source = buffer(16, "source", MTLResourceHazardTrackingModeDefault);
  EXPECT_EQ(source.hazardTrackingMode, MTLHazardTrackingModeTracked);
  id<MTLCommandBuffer> const commands = command_buffer();
  for (const unsigned i : {1U, 2U}) {
    static_cast<std::uint32_t*>(source.contents)[i] = i;
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    [made setComputePipelineState:pipeline("append_const")];
    [made setBuffer:log_buffer offset:0 atIndex:0];
    [made setBuffer:source offset:4 * i atIndex:1];
    [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
    [made endEncoding];
  }
  [commands commit];
  release(commands);
  EXPECT_THAT(journal(), ElementsAre(2, 1));
}

TEST_F(ExecutionOrder, EventsOrderQueues) {
  use_order(Order::kReversed);
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandQueue> const other = [device newCommandQueue];
  id<MTLCommandBuffer> const signals = command_buffer();
  [pass(signals, 3) endEncoding];
  [signals encodeSignalEvent:event value:7];
  [signals commit];
  id<MTLCommandBuffer> const waits = [other commandBuffer];
  [pass(waits, 1) endEncoding];  // Before the wait: free.
  [waits encodeWaitForEvent:event value:7];
  [pass(waits, 2) endEncoding];
  [waits commit];
  release(waits);
  EXPECT_THAT(journal(), ElementsAre(1, 3, 2));
  EXPECT_EQ(event.signaledValue, 7U);
  [event release];
  [other release];
}

TEST_F(ExecutionOrder, TheHostSignalsToo) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandBuffer> const waits = command_buffer();
  [waits encodeWaitForEvent:event value:2];
  [pass(waits, 1) endEncoding];
  [waits commit];
  EXPECT_FALSE([event waitUntilSignaledValue:2 timeoutMS:1]);
  drain();
  EXPECT_THAT(journal(), ElementsAre());
  event.signaledValue = 2;
  [waits waitUntilCompleted];
  EXPECT_THAT(journal(), ElementsAre(1));
  [event release];
}

TEST_F(ExecutionOrder, InOrderAQueueWaitsAsAWhole) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  for (const Order order : {Order::kInOrder, Order::kReversed}) {
    use_order(order);
    hold_execution(false);
    id<MTLCommandBuffer> const waits = command_buffer();
    const std::uint64_t next = event.signaledValue + 1;
    [waits encodeWaitForEvent:event value:next];
    [waits commit];
    id<MTLCommandBuffer> const later = command_buffer();
    [pass(later, 1) endEncoding];
    [later commit];
    drain();
    EXPECT_EQ(journal().size(), order == Order::kInOrder ? 0U : 1U);
    event.signaledValue = next;
    [later waitUntilCompleted];
    EXPECT_EQ(journal().size(), 1U);
  }
  [event release];
}

TEST_F(ExecutionOrder, WhoWaitsForeverEndsWithTheTest) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandBuffer> const waits = command_buffer();
  [waits encodeWaitForEvent:event value:1];
  [pass(waits, 1) endEncoding];
  [waits commit];
  [event release];
  use({});
  EXPECT_EQ(dispatches_run(), 0U);
}

TEST_F(ExecutionOrder, SignalsMayGoAheadIfATestSaysSo) {
  Options options;
  options.order = Order::kReversed;
  options.signals_in_queue_order = false;
  use(options);
  hold_execution(true);
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandBuffer> const first = command_buffer();
  [pass(first, 1) endEncoding];
  [first commit];
  id<MTLCommandBuffer> const second = command_buffer();
  [second encodeSignalEvent:event value:2];
  [second commit];
  EXPECT_EQ(event.signaledValue, 2U);
  release(second);
  [event release];
}

TEST_F(ExecutionOrder, AnotherHandleIsTheSameEvent) {
  id<MTLSharedEvent> const event = [device newSharedEvent];
  event.label = @"shared";
  MTLSharedEventHandle* const handle = [event newSharedEventHandle];
  EXPECT_TRUE([handle.label isEqualToString:@"shared"]);
  id<MTLSharedEvent> const imported = [device newSharedEventWithHandle:handle];
  std::thread signaller([&] { imported.signaledValue = 9; });
  EXPECT_TRUE([event waitUntilSignaledValue:9 timeoutMS:60000]);
  signaller.join();
  [imported release];
  [handle release];
  [event release];
}

TEST_F(ExecutionOrder, SignalsFollowTheirQueue) {
  use_order(Order::kReversed);
  id<MTLSharedEvent> const event = [device newSharedEvent];
  id<MTLCommandBuffer> const first = command_buffer();
  [pass(first, 1) endEncoding];
  [first encodeSignalEvent:event value:1];
  [first commit];
  id<MTLCommandBuffer> const second = command_buffer();
  [second encodeSignalEvent:event value:2];
  [second commit];
  EXPECT_EQ(event.signaledValue, 0U);
  release(second);
  EXPECT_EQ(event.signaledValue, 2U);
  [event release];
}

TEST_F(ExecutionOrder, CommandBuffersFollowTheirEnqueuing) {
  use_order(Order::kInOrder);
  id<MTLCommandBuffer> const first = command_buffer();
  id<MTLCommandBuffer> const second = command_buffer();
  [first enqueue];
  EXPECT_EQ(first.status, MTLCommandBufferStatusEnqueued);
  [pass(second, 2) endEncoding];
  [second commit];
  [pass(first, 1) endEncoding];
  [first commit];
  release(second);
  EXPECT_THAT(journal(), ElementsAre(1, 2));
}

TEST_F(ExecutionOrder, CompletionIsInOrderAndTimed) {
  use_order(Order::kReversed);
  std::vector<int> completed;
  auto* const order = &completed;
  id<MTLCommandBuffer> last = nil;
  for (int i = 1; i <= 3; ++i) {
    last = command_buffer();
    [last addCompletedHandler:^(id<MTLCommandBuffer> self) {
      EXPECT_EQ(self.status, MTLCommandBufferStatusCompleted);
      [[[NSArray alloc] init] autorelease];  // A pool is there.
      order->push_back(i);
    }];
    [pass(last, static_cast<unsigned>(i)) endEncoding];
    [last commit];
  }
  EXPECT_EQ(last.GPUEndTime, 0);
  release(last);
  EXPECT_THAT(completed, ElementsAre(1, 2, 3));
  EXPECT_GT(last.GPUStartTime, 0);
  EXPECT_GE(last.GPUEndTime, last.GPUStartTime);
  EXPECT_EQ(last.error, nil);
}

TEST_F(ExecutionOrder, HandlersRunBeforeWaiters) {
  bool called = false;
  bool* const flag = &called;
  id<MTLCommandBuffer> const commands = command_buffer();
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    *flag = true;
  }];
  run(commands);
  EXPECT_TRUE(called);
}

TEST_F(ExecutionOrder, GroupsOfADispatchArePermuted) {
  const auto groups = [&](Order order, std::uint64_t seed) {
    use_order(order, seed);
    hold_execution(false);
    id<MTLCommandBuffer> const commands = command_buffer();
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    [made setComputePipelineState:pipeline("append_groups")];
    [made setBuffer:log_buffer offset:0 atIndex:0];
    [made dispatchThreadgroups:MTLSizeMake(12, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
    [made endEncoding];
    run(commands);
    return journal();
  };
  std::vector<std::uint32_t> all(12);
  std::iota(all.begin(), all.end(), 0U);
  EXPECT_EQ(groups(Order::kInOrder, 1), all);
  EXPECT_EQ(groups(Order::kReversed, 1), std::vector<std::uint32_t>(all.rbegin(), all.rend()));
  const std::uint64_t seed = segue::test::test_seed();
  std::set<std::vector<std::uint32_t>> seen;
  for (std::uint64_t i = 0; i < 20; ++i) {
    seen.insert(groups(Order::kRandom, seed + i));
    EXPECT_THAT(*seen.rbegin(), ::testing::UnorderedElementsAreArray(all));
  }
  EXPECT_GT(seen.size(), 5U);
}

TEST_F(ExecutionOrder, GridsComeFromCallsAndBuffers) {
  use_order(Order::kReversed);
  id<MTLBuffer> const counts = buffer(16, "counts");
  auto* const groups = static_cast<std::uint32_t*>(counts.contents);
  groups[0] = 3, groups[1] = 2, groups[2] = 1;
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  [made setComputePipelineState:pipeline("count_threads")];
  [made setBuffer:log_buffer offset:0 atIndex:0];
  [made dispatchThreadgroupsWithIndirectBuffer:counts
                          indirectBufferOffset:0
                         threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
  [made dispatchThreads:MTLSizeMake(5, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
  [made dispatchThreadgroups:MTLSizeMake(2, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
  [made endEncoding];
  [commands commit];
  release(commands);
  EXPECT_EQ(*static_cast<std::uint32_t*>(log_buffer.contents), 24U + 5U + 8U);
}

TEST_F(ExecutionOrder, AFullQueueWaitsForItsWork) {
  id<MTLCommandQueue> const small = [device newCommandQueueWithMaxCommandBufferCount:2];
  for (unsigned i = 0; i < 10; ++i) {
    @autoreleasepool {
      id<MTLCommandBuffer> const commands = [small commandBuffer];
      id<MTLComputeCommandEncoder> const made = encoder(commands);
      append(made, i);
      [made endEncoding];
      [commands commit];
    }
  }
  drain();
  EXPECT_EQ(journal().size(), 10U);
  [small release];
}

}  // namespace
}  // namespace metal_double
