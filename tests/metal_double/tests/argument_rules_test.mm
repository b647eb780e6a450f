// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#include <thread>

namespace metal_double {
namespace {

/// Arguments that are nil, of another device, or that nothing could be made of.
class ArgumentRules : public DoubleTest {};

TEST_F(ArgumentRules, EncodersTakeNoNil) {
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  const auto expect_nil = [](const char* call) {
    expect_violation(std::string(call) + " is called with nil");
  };
  [made setComputePipelineState:nil];
  expect_nil("setComputePipelineState");
  [made dispatchThreadgroupsWithIndirectBuffer:nil
                          indirectBufferOffset:0
                         threadsPerThreadgroup:kOne];
  expect_nil("dispatchThreadgroupsWithIndirectBuffer");
  [made useResource:nil usage:MTLResourceUsageRead];
  expect_nil("useResource");
  [made executeCommandsInBuffer:nil withRange:NSMakeRange(0, 1)];
  expect_nil("executeCommandsInBuffer");
  [made waitForFence:nil];
  expect_nil("waitForFence");
  [made updateFence:nil];
  expect_nil("updateFence");
  [made setBytes:nullptr length:4 atIndex:0];
  expect_violation("setBytes: the pointer is null");
  [made setBuffer:nil offset:0 atIndex:0];  // Unbinds.
  [made endEncoding];
  [commands encodeWaitForEvent:nil value:1];
  expect_nil("encodeWaitForEvent");
  [commands encodeSignalEvent:nil value:1];
  expect_nil("encodeSignalEvent");
  [commands useResidencySet:nil];
  expect_nil("useResidencySet");
  [queue addResidencySet:nil];
  expect_nil("addResidencySet");
}

TEST_F(ArgumentRules, CreationsTakeNoNil) {
  EXPECT_EQ([device newLibraryWithSource:nil options:nil error:nil], nil);
  expect_violation("newLibraryWithSource is called with nil");
  EXPECT_EQ([device newSharedEventWithHandle:nil], nil);
  expect_violation("newSharedEventWithHandle is called with nil");
  auto* const empty = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  NSError* error = nil;
  EXPECT_EQ([device newComputePipelineStateWithDescriptor:empty
                                                  options:0
                                               reflection:nil
                                                    error:&error],
            nil);
  EXPECT_NE(error, nil);
  expect_violation("computeFunction is nil");
  EXPECT_EQ([device newCommandQueueWithMaxCommandBufferCount:0], nil);
  expect_violation("a queue needs command buffers");
}

TEST_F(ArgumentRules, ObjectsBelongToTheirDevice) {
  Options options;
  options.devices = {"one", "two"};
  use(options);
  NSArray<id<MTLDevice>>* const all = MTLCopyAllDevices();
  id<MTLDevice> const other = [all objectAtIndex:1];
  id<MTLBuffer> const foreign = [other newBufferWithLength:16 options:0];
  id<MTLFence> const fence = [other newFence];
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  [made setBuffer:foreign offset:0 atIndex:0];
  expect_violation("setBuffer: Buffer \"buffer#1\" belongs to another device");
  [made updateFence:fence];
  expect_violation("updateFence: Fence \"fence#1\" belongs to another device");
  [made endEncoding];
  [foreign release];
  [fence release];
  [all release];
}

TEST_F(ArgumentRules, LabelsOfDescriptorsAreFinal) {
  const id made = pipeline("append");
  [made setLabel:@"x"];
  expect_violation("setLabel is not understood by a compute pipeline");
  auto* const set_from = [[[MTLResidencySetDescriptor alloc] init] autorelease];
  set_from.label = @"weights";
  const id set = [device newResidencySetWithDescriptor:set_from error:nil];
  [set setLabel:@"x"];
  expect_violation("setLabel is not understood by a residency set");
  EXPECT_TRUE([static_cast<id<MTLResidencySet>>(set).label isEqualToString:@"weights"]);
  [set release];
  auto* const from = [[[MTLCounterSampleBufferDescriptor alloc] init] autorelease];
  from.counterSet = device.counterSets.firstObject;
  from.sampleCount = 1;
  const id samples = [device newCounterSampleBufferWithDescriptor:from error:nil];
  [samples setLabel:@"x"];
  expect_violation("setLabel is not understood by a sample buffer");
  [samples release];
  from.sampleCount = 4097;
  EXPECT_EQ([device newCounterSampleBufferWithDescriptor:from error:nil], nil);
}

TEST_F(ArgumentRules, CommandBuffersThatAreCommittedStayAsTheyAre) {
  id<MTLCommandBuffer> const done = command_buffer();
  run(done);
  [done enqueue];
  expect_violation("enqueue is called on CommandBuffer \"commandBuffer#1\" after commit");
  auto* const from = [[[MTLResidencySetDescriptor alloc] init] autorelease];
  id<MTLResidencySet> const set = [device newResidencySetWithDescriptor:from error:nil];
  [done useResidencySet:set];
  expect_violation("useResidencySet is called on CommandBuffer \"commandBuffer#1\" after commit");
  [set release];
}

TEST_F(ArgumentRules, ABufferThatIsGoneIsNotDispatchedOn) {
  id<MTLBuffer> const early = [device newBufferWithLength:64 options:0];
  early.label = @"early";
  id<MTLCommandBuffer> const commands = [queue commandBufferWithUnretainedReferences];
  id<MTLComputeCommandEncoder> const made = encoder(commands);
  [made setComputePipelineState:pipeline("count_threads")];
  [made setBuffer:early offset:0 atIndex:0];
  [early release];
  [made dispatchThreads:kOne threadsPerThreadgroup:kOne];
  expect_violation("Buffer \"early\" is bound at buffer index 0, but it is freed");
  [made endEncoding];
}

TEST_F(ArgumentRules, CollectionsHoldNoNil) {
  id const nothing = nil;
  EXPECT_EQ([NSArray arrayWithObjects:&nothing count:1].count, 0U);
  expect_violation("Object 0 of an array is nil");
  EXPECT_EQ([[NSArray array] objectAtIndex:0], nil);
  expect_violation("Index 0 is past the end of an array of 0 objects");
  id<NSCopying> const key = @"key";
  EXPECT_EQ([NSDictionary dictionaryWithObjects:&nothing forKeys:&key count:1].count, 0U);
  expect_violation("Entry 0 of a dictionary has a nil key or object");
  [[NSMutableDictionary dictionary] setObject:nothing forKey:@"key"];
  expect_violation("A nil key or object is put into a dictionary");
  EXPECT_EQ([NSString stringWithUTF8String:nullptr], nil);
  expect_violation("A string is made of a null pointer");
}

TEST_F(ArgumentRules, PoolsBelongToTheirThread) {
  NSAutoreleasePool* const pool = [[NSAutoreleasePool alloc] init];
  [pool retain];
  expect_violation("An autorelease pool is retained");
  [pool autorelease];
  expect_violation("An autorelease pool is autoreleased");
  std::thread([&] { [pool drain]; }).join();
  expect_violation("An autorelease pool is drained that this thread does not have");
  [pool drain];
}

TEST_F(ArgumentRules, TypesThatAreNotConstants) {
  auto* const values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  const int value = 0;
  [values setConstantValue:&value type:MTLDataTypeStruct atIndex:0];
  expect_violation("setConstantValue: the double does not know data type 1");
  MTLComputePassDescriptor* const pass = [MTLComputePassDescriptor computePassDescriptor];
  EXPECT_EQ([pass.sampleBufferAttachments objectAtIndexedSubscript:4], nil);
  expect_violation("A compute pass has 4 sample buffer attachments, and none at 4");
}

TEST_F(ArgumentRules, PipelinesForIndirectCommandsNeedADevice) {
  Options options;
  options.indirect_command_buffers = false;
  use(options);
  pipeline("append", true);
  expect_violation("supportIndirectCommandBuffers is set, but the device has none");
}

}  // namespace
}  // namespace metal_double
