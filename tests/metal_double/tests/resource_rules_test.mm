// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#include <unistd.h>

#include <filesystem>

namespace metal_double {
namespace {

class ResourceRules : public DoubleTest {};

TEST_F(ResourceRules, PrivateMemoryIsNotForTheHost) {
  id<MTLBuffer> const hidden = buffer(64, "hidden", MTLResourceStorageModePrivate);
  EXPECT_EQ(hidden.contents, nullptr);
  EXPECT_EQ(hidden.storageMode, MTLStorageModePrivate);
  id<MTLBuffer> const seen = buffer(64, "seen");
  EXPECT_EQ(*static_cast<const int*>(seen.contents), 0);
  EXPECT_EQ(seen.hazardTrackingMode, MTLHazardTrackingModeUntracked);
}

TEST_F(ResourceRules, ABufferHasBytes) {
  EXPECT_EQ([device newBufferWithLength:0 options:0], nil);
  expect_violation("newBufferWithLength: a buffer of no bytes cannot be made");
}

TEST_F(ResourceRules, ImportedMemoryIsWholePages) {
  Options options;
  options.page_size = 16384;
  use(options);
  alignas(16384) static std::array<std::byte, 32768> memory{};
  const auto import = [&](void* pointer, NSUInteger length, MTLResourceOptions storage) {
    id<MTLBuffer> const made = [device newBufferWithBytesNoCopy:pointer
                                                         length:length
                                                        options:storage
                                                    deallocator:nil];
    EXPECT_EQ(made, nil);
  };
  import(memory.data() + 4096, 16384, 0);
  expect_violation("is no multiple of the page size 16384");
  import(memory.data(), 4096, 0);
  expect_violation("length 4096 is no multiple of the page size 16384");
  import(memory.data(), 0, 0);
  expect_violation("length 0 is no multiple");
  import(memory.data(), 16384, MTLResourceStorageModePrivate);
  expect_violation("private storage cannot be the caller's memory");
}

TEST_F(ResourceRules, LibrariesSayWhyNot) {
  NSError* error = nil;
  EXPECT_EQ([device newLibraryWithSource:@"broken" options:nil error:&error], nil);
  EXPECT_EQ(error.code, static_cast<NSInteger>(MTLLibraryErrorCompileFailure));
  EXPECT_TRUE([error.localizedDescription isEqualToString:@"program_source:1:1: error: broken"]);
  NSURL* const url = [NSURL fileURLWithPath:@"/nonexistent/default.metallib" isDirectory:NO];
  EXPECT_EQ([device newLibraryWithURL:url error:&error], nil);
  EXPECT_EQ(error.code, static_cast<NSInteger>(MTLLibraryErrorFileNotFound));
}

TEST_F(ResourceRules, MacrosReachTheCompiler) {
  MTLCompileOptions* const options = [[[MTLCompileOptions alloc] init] autorelease];
  EXPECT_EQ([device newLibraryWithSource:@"macros" options:options error:nil], nil);
  options.preprocessorMacros = @{@"SIZE" : @16, @"NAME" : @"x"};
  id<MTLLibrary> const library = [device newLibraryWithSource:@"macros" options:options error:nil];
  EXPECT_NE(library, nil);
  EXPECT_GT(library.functionNames.count, 3U);
  EXPECT_EQ([library newFunctionWithName:@"missing"], nil);
  [library release];
}

TEST_F(ResourceRules, MathModeNeedsMacOs15) {
  Options options;
  options.os_major = 14;
  use(options);
  MTLCompileOptions* const compile = [[[MTLCompileOptions alloc] init] autorelease];
  compile.fastMathEnabled = NO;
  compile.mathMode = MTLMathModeSafe;
  expect_violation("setMathMode needs macOS 15");
}

TEST_F(ResourceRules, ConstantsAreChecked) {
  id<MTLLibrary> const library = [device newLibraryWithSource:@"all" options:nil error:nil];
  MTLFunctionConstantValues* const values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  NSError* error = nil;
  EXPECT_EQ([library newFunctionWithName:@"constant" constantValues:values error:&error], nil);
  EXPECT_THAT(error.localizedDescription.UTF8String, ::testing::HasSubstr("constant kFactor"));
  const float wrong = 1;
  [values setConstantValue:&wrong type:MTLDataTypeFloat atIndex:3];
  EXPECT_EQ([library newFunctionWithName:@"constant" constantValues:values error:&error], nil);
  const std::uint32_t factor = 77;
  [values setConstantValue:&factor type:MTLDataTypeUInt atIndex:3];
  id<MTLFunction> const function = [library newFunctionWithName:@"constant"
                                                 constantValues:values
                                                          error:&error];
  MTLFunctionConstant* const constant =
      [function.functionConstantsDictionary objectForKey:@"kFactor"];
  EXPECT_EQ(constant.index, 3U);
  EXPECT_EQ(constant.type, MTLDataTypeUInt);
  EXPECT_TRUE(constant.required);
  id<MTLComputePipelineState> const made = [device newComputePipelineStateWithFunction:function
                                                                                 error:nil];
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const pass = encoder(commands);
  [pass setComputePipelineState:made];
  [pass setBuffer:log_buffer offset:0 atIndex:0];
  [pass dispatchThreads:kOne threadsPerThreadgroup:kOne];
  [pass endEncoding];
  run(commands);
  EXPECT_EQ(*static_cast<std::uint32_t*>(log_buffer.contents), 77U);
  id<MTLFunction> const general = [library newFunctionWithName:@"constant"];
  EXPECT_EQ([device newComputePipelineStateWithFunction:general error:&error], nil);
  EXPECT_THAT(error.localizedDescription.UTF8String, ::testing::HasSubstr("no value was given"));
  for (const id object : {id(made), id(function), id(general), id(library)}) [object release];
}

TEST_F(ResourceRules, PipelinesTellTheirBindings) {
  id<MTLLibrary> const library = [device newLibraryWithSource:@"all" options:nil error:nil];
  MTLComputePipelineDescriptor* const from =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  id<MTLFunction> const function = [library newFunctionWithName:@"shared"];
  from.computeFunction = function;
  MTLComputePipelineReflection* reflection = nil;
  id<MTLComputePipelineState> const made =
      [device newComputePipelineStateWithDescriptor:from
                                            options:MTLPipelineOptionBindingInfo
                                         reflection:&reflection
                                              error:nil];
  EXPECT_EQ(made.maxTotalThreadsPerThreadgroup, 64U);
  EXPECT_EQ(made.threadExecutionWidth, 32U);
  EXPECT_EQ(made.staticThreadgroupMemoryLength, 1024U);
  EXPECT_FALSE(made.supportIndirectCommandBuffers);
  EXPECT_EQ(made.label, nil);
  ASSERT_EQ(reflection.bindings.count, 1U);
  id<MTLBinding> const binding = reflection.bindings.firstObject;
  EXPECT_EQ(binding.type, MTLBindingTypeThreadgroupMemory);
  EXPECT_EQ(static_cast<id<MTLThreadgroupBinding>>(binding).threadgroupMemoryDataSize, 64U);
  for (const id object : {id(made), id(function), id(library)}) [object release];
}

TEST_F(ResourceRules, APromiseOfWholeSimdGroupsIsKept) {
  id<MTLLibrary> const library = [device newLibraryWithSource:@"all" options:nil error:nil];
  MTLComputePipelineDescriptor* const from =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  id<MTLFunction> const function = [library newFunctionWithName:@"count_threads"];
  from.computeFunction = function;
  from.maxTotalThreadsPerThreadgroup = 128;
  from.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  id<MTLComputePipelineState> const made = [device newComputePipelineStateWithDescriptor:from
                                                                                 options:0
                                                                              reflection:nil
                                                                                   error:nil];
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const pass = encoder(commands);
  [pass setComputePipelineState:made];
  [pass setBuffer:log_buffer offset:0 atIndex:0];
  [pass dispatchThreads:kOne threadsPerThreadgroup:MTLSizeMake(33, 1, 1)];
  expect_violation("a threadgroup of 33 threads is no multiple of 32");
  [pass dispatchThreads:kOne threadsPerThreadgroup:MTLSizeMake(160, 1, 1)];
  expect_violation("a threadgroup of 160 threads is too large");
  [pass endEncoding];
  for (const id object : {id(made), id(function), id(library)}) [object release];
}

TEST_F(ResourceRules, FamiliesAreThoseOfTheTest) {
  Options options;
  options.families = {MTLGPUFamilyMac2};
  options.unified_memory = false;
  use(options);
  EXPECT_TRUE([device supportsFamily:MTLGPUFamilyMac2]);
  EXPECT_FALSE([device supportsFamily:MTLGPUFamilyApple7]);
  EXPECT_FALSE(device.hasUnifiedMemory);
}

TEST_F(ResourceRules, CapturesAreOneAtATime) {
  const std::string path = ::testing::TempDir() + std::to_string(getpid()) + ".gputrace";
  std::filesystem::remove(path);
  MTLCaptureManager* const manager = [MTLCaptureManager sharedCaptureManager];
  EXPECT_TRUE([manager supportsDestination:MTLCaptureDestinationGPUTraceDocument]);
  MTLCaptureDescriptor* const from = [[[MTLCaptureDescriptor alloc] init] autorelease];
  from.captureObject = queue;
  from.destination = MTLCaptureDestinationGPUTraceDocument;
  from.outputURL = [NSURL fileURLWithPath:[NSString stringWithUTF8String:path.c_str()]];
  NSError* error = nil;
  EXPECT_TRUE([manager startCaptureWithDescriptor:from error:&error]);
  EXPECT_TRUE(manager.isCapturing);
  EXPECT_FALSE([manager startCaptureWithDescriptor:from error:&error]);
  EXPECT_EQ(error.code, MTLCaptureErrorAlreadyCapturing);
  [manager stopCapture];
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_FALSE([manager startCaptureWithDescriptor:from error:&error]);
  EXPECT_EQ(error.code, MTLCaptureErrorInvalidDescriptor);
  [manager stopCapture];
  expect_violation("stopCapture is called while nothing is captured");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace metal_double
