// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#include <numeric>

namespace metal_double {
namespace {

class ShadingLanguage : public DoubleTest {
 protected:
  void SetUp() override {
    DoubleTest::SetUp();
    set_compiler(nullptr);
  }
};

constexpr const char* kAddSource = R"(
#include <metal_stdlib>
using namespace metal;
constant uint kStep [[function_constant(0)]];
kernel void add(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  y[i] += a * x[i] * float(kStep);
}
)";

TEST_F(ShadingLanguage, IsCompiledAndRun) {
  NSError* error = nil;
  id<MTLLibrary> const library =
      [device newLibraryWithSource:[NSString stringWithUTF8String:kAddSource]
                           options:nil
                             error:&error];
  ASSERT_NE(library, nil) << error.localizedDescription.UTF8String;
  MTLFunctionConstantValues* const values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  const std::uint32_t step = 2;
  [values setConstantValue:&step type:MTLDataTypeUInt atIndex:0];
  id<MTLFunction> const function = [library newFunctionWithName:@"add"
                                                 constantValues:values
                                                          error:&error];
  ASSERT_NE(function, nil) << error.localizedDescription.UTF8String;
  id<MTLComputePipelineState> const made = [device newComputePipelineStateWithFunction:function
                                                                                 error:&error];
  id<MTLBuffer> const x = buffer(400, "x");
  id<MTLBuffer> const y = buffer(400, "y");
  auto* const input = static_cast<float*>(x.contents);
  std::iota(input, input + 100, 0.0F);
  id<MTLCommandBuffer> const commands = command_buffer();
  id<MTLComputeCommandEncoder> const pass = encoder(commands);
  const float a = 3;
  [pass setComputePipelineState:made];
  [pass setBuffer:x offset:0 atIndex:0];
  [pass setBuffer:y offset:0 atIndex:1];
  [pass setBytes:&a length:sizeof a atIndex:2];
  [pass dispatchThreads:MTLSizeMake(100, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  [pass endEncoding];
  run(commands);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(static_cast<float*>(y.contents)[i], 6.0F * static_cast<float>(i));
  }
  for (const id object : {id(made), id(function), id(library)}) [object release];
}

TEST_F(ShadingLanguage, ErrorsAreTheCompilers) {
  NSError* error = nil;
  EXPECT_EQ([device newLibraryWithSource:@"kernel void f() { nonsense; }" options:nil error:&error],
            nil);
  EXPECT_EQ(error.code, static_cast<NSInteger>(MTLLibraryErrorCompileFailure));
  EXPECT_THAT(error.localizedDescription.UTF8String, ::testing::HasSubstr("nonsense"));
}

}  // namespace
}  // namespace metal_double
