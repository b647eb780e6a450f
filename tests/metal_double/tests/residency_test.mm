// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

namespace metal_double {
namespace {

using ::testing::ElementsAre;

class Residency : public DoubleTest {
 protected:
  void SetUp() override {
    DoubleTest::SetUp();
    prepare();
  }
  void TearDown() override {
    [set_ release];
    [commands_ release];
    DoubleTest::TearDown();
  }
  /// A residency set, and indirect commands that append the first value to the journal.
  void prepare() {
    MTLResidencySetDescriptor* const from = [[[MTLResidencySetDescriptor alloc] init] autorelease];
    from.label = @"weights";
    set_ = [device newResidencySetWithDescriptor:from error:nil];
    auto* const descriptor = [[[MTLIndirectCommandBufferDescriptor alloc] init] autorelease];
    descriptor.commandTypes = MTLIndirectCommandTypeConcurrentDispatch;
    descriptor.maxKernelBufferBindCount = 2;
    commands_ = [device newIndirectCommandBufferWithDescriptor:descriptor
                                               maxCommandCount:1
                                                       options:0];
    id<MTLIndirectComputeCommand> const command = [commands_ indirectComputeCommandAtIndex:0];
    [command setComputePipelineState:pipeline("append", true)];
    [command setKernelBuffer:log_buffer offset:0 atIndex:0];
    [command setKernelBuffer:log_buffer offset:8 atIndex:1];
    [command concurrentDispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
  }
  id<MTLCommandBuffer> commit_execute() {
    id<MTLCommandBuffer> const buffer = command_buffer();
    return commit_execute(buffer);
  }
  id<MTLCommandBuffer> commit_execute(id<MTLCommandBuffer> buffer) {
    id<MTLComputeCommandEncoder> const made = encoder(buffer);
    [made executeCommandsInBuffer:commands_ withRange:NSMakeRange(0, 1)];
    [made endEncoding];
    [buffer commit];
    return buffer;
  }
  /// The set gets the journal, and the queue the set.
  void make_resident() {
    [set_ addAllocation:log_buffer];
    [set_ commit];
    [queue addResidencySet:set_];
  }
  void leave() {
    [queue removeResidencySet:set_];
    [set_ removeAllAllocations];
    [set_ commit];
  }
  id<MTLResidencySet> set_ = nil;
  id<MTLIndirectCommandBuffer> commands_ = nil;
};

TEST_F(Residency, ASetOfTheQueueCounts) {
  make_resident();
  EXPECT_TRUE([set_ containsAllocation:log_buffer]);
  EXPECT_EQ(set_.allocationCount, 1U);
  EXPECT_EQ(set_.allocatedSize, 4096U);
  [commit_execute() waitUntilCompleted];
  EXPECT_EQ(journal().size(), 1U);
  leave();
}

TEST_F(Residency, ASetOfTheCommandBufferCounts) {
  [set_ addAllocation:log_buffer];
  [set_ commit];
  id<MTLCommandBuffer> const buffer = command_buffer();
  [buffer useResidencySet:set_];
  [commit_execute(buffer) waitUntilCompleted];
  EXPECT_EQ(journal().size(), 1U);
  [commit_execute() waitUntilCompleted];
  expect_violation("is not resident");
  [set_ removeAllocation:log_buffer];
  [set_ commit];
}

TEST_F(Residency, ChangesNeedACommit) {
  [queue addResidencySet:set_];
  [set_ addAllocation:log_buffer];
  [commit_execute() waitUntilCompleted];
  expect_violation("Buffer \"journal\" is not resident");
  leave();
}

TEST_F(Residency, WhatWorkInFlightUsesStays) {
  make_resident();
  hold_execution(true);
  id<MTLCommandBuffer> const buffer = commit_execute();
  [set_ removeAllocation:log_buffer];
  expect_no_violation();
  [set_ commit];
  expect_violation("Buffer \"journal\" leaves ResidencySet \"weights\" while CommandBuffer");
  hold_execution(false);
  [buffer waitUntilCompleted];
  leave();
}

TEST_F(Residency, TheSetStaysWithTheQueueToo) {
  make_resident();
  hold_execution(true);
  id<MTLCommandBuffer> const buffer = commit_execute();
  [queue removeResidencySet:set_];
  expect_violation("leaves ResidencySet \"weights\"");
  hold_execution(false);
  [buffer waitUntilCompleted];
  [set_ removeAllAllocations];
  [set_ commit];
}

TEST_F(Residency, ABufferLeavesBeforeItGoes) {
  @autoreleasepool {
    id<MTLBuffer> const early = [device newBufferWithLength:16 options:0];
    early.label = @"early";
    [set_ addAllocation:early];
    [set_ commit];
    [early release];
  }
  expect_violation("Buffer \"early\" is freed while 1 residency sets contain it");
}

TEST_F(Residency, WhatIsNotThereIsNotRemoved) {
  [set_ removeAllocation:log_buffer];
  expect_violation("is removed from ResidencySet \"weights\", which does not contain it");
  [queue removeResidencySet:set_];
  expect_violation("which does not have it");
}

TEST_F(Residency, NeedsMacOs15) {
  Options options;
  options.os_major = 14;
  [set_ release];
  [commands_ release];
  set_ = nil;
  commands_ = nil;
  use(options);
  MTLResidencySetDescriptor* const from = [[[MTLResidencySetDescriptor alloc] init] autorelease];
  EXPECT_EQ([device newResidencySetWithDescriptor:from error:nil], nil);
  expect_violation("newResidencySetWithDescriptor needs macOS 15, but the system is macOS 14");
  [queue addResidencySet:nil];
  expect_violation("addResidencySet needs macOS 15");
  [command_buffer() useResidencySet:nil];
  expect_violation("useResidencySet needs macOS 15");
}

TEST_F(Residency, AddressesInMemoryNeedResidency) {
  id<MTLBuffer> const hidden = buffer(64, "hidden");
  id<MTLBuffer> const table = buffer(64, "table");
  *static_cast<MTLGPUAddress*>(table.contents) = hidden.gpuAddress + 8;
  const auto copy_table = [&](bool resident) {
    id<MTLCommandBuffer> const commands = command_buffer();
    id<MTLComputeCommandEncoder> const made = encoder(commands);
    [made setComputePipelineState:pipeline("copy")];
    [made setBuffer:table offset:0 atIndex:0];
    [made setBuffer:log_buffer offset:0 atIndex:1];
    if (resident) [made useResource:hidden usage:MTLResourceUsageRead];
    [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
    [made endEncoding];
    run(commands);
  };
  copy_table(false);
  expect_violation("Kernel \"copy\" gets the address of Buffer \"hidden\", which is not resident");
  copy_table(true);
}

}  // namespace
}  // namespace metal_double
