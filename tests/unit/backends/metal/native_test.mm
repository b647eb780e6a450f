// SPDX-License-Identifier: Apache-2.0
//
// For people who mix Segue with calls of Metal: handles, and callbacks inside recordings.
#import <Metal/Metal.h>

#include <cstring>
#include <vector>

#include "backends/metal/objc.hpp"
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr std::uint32_t kWords = 64;

struct Line {
  std::uint32_t factor, summand;
};

class MetalNative : public MetalTest {
 protected:
  void TearDown() override {
    pipeline_ = {};
    MetalTest::TearDown();
  }
  [[nodiscard]] id<MTLDevice> native() const {
    return static_cast<id<MTLDevice>>(device_.native_handle().object);
  }
  /// A pipeline that doubles words, made without Segue.
  void make_doubling() {
    const auto library =
        adopt([native() newLibraryWithSource:@"#include <metal_stdlib>\n"
                                              "kernel void doubled(device uint* x [[buffer(0)]], "
                                              "uint i [[thread_position_in_grid]]) { x[i] *= 2; }\n"
                                     options:nil
                                       error:nil]);
    const auto function = adopt([library.get() newFunctionWithName:@"doubled"]);
    pipeline_ = adopt([native() newComputePipelineStateWithFunction:function.get() error:nil]);
  }
  /// Encodes it by hand.
  void record_doubling(CommandEncoder& encoder, const Buffer& x) {
    const BufferView view = x.view();
    @autoreleasepool {
      make_doubling();
    }
    const id<MTLComputePipelineState> pipeline = pipeline_.get();
    const auto buffer = static_cast<id<MTLBuffer>>(x.native_handle().object);
    encoder.native({&view, 1}, {&view, 1}, [this, pipeline, buffer](void* native_object) {
      ++called_;
      label_ = to_string([static_cast<id<MTLComputeCommandEncoder>>(native_object) label]);
      const id<MTLComputeCommandEncoder> native =
          static_cast<id<MTLComputeCommandEncoder>>(native_object);
      [native setComputePipelineState:pipeline];
      [native setBuffer:buffer offset:0 atIndex:0];
      [native dispatchThreadgroups:MTLSizeMake(2, 1, 1)
             threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    });
  }

  Retained<id<MTLComputePipelineState>> pipeline_;
  int called_ = 0;
  std::string label_;  ///< Of the pass that the callback was called in.
};

TEST_F(MetalNative, HandlesAreMetalsObjects) {  // row G9
  const NativeHandle device = device_.native_handle();
  EXPECT_EQ(device.type, "MTLDevice");
  ASSERT_TRUE([static_cast<id>(device.object) respondsToSelector:@selector(newCommandQueue)]);
  EXPECT_EQ([native() maxBufferLength], device_.limits().max_buffer_bytes);

  const Buffer x = buffer(4, "x");
  EXPECT_EQ(x.native_handle().type, "MTLBuffer");
  const auto native_buffer = static_cast<id<MTLBuffer>>(x.native_handle().object);
  ASSERT_TRUE([native_buffer respondsToSelector:@selector(gpuAddress)]);
  EXPECT_EQ([native_buffer length], 16U);
  @autoreleasepool {
    EXPECT_EQ(to_string([native_buffer label]), "x");
  }
  write(x, std::vector<std::uint32_t>{1, 2, 3, 4});
  EXPECT_EQ(static_cast<const std::uint32_t*>([native_buffer contents])[2], 3U);

  const Timeline timeline = device_.create_timeline(5, "steps").value();
  EXPECT_EQ(timeline.native_handle().type, "MTLSharedEvent");
  const auto event = static_cast<id<MTLSharedEvent>>(timeline.native_handle().object);
  ASSERT_TRUE([event respondsToSelector:@selector(newSharedEventHandle)]);
  EXPECT_EQ([event signaledValue], 5U);
  @autoreleasepool {
    EXPECT_EQ(to_string([event label]), "steps");
  }
}

TEST_F(MetalNative, CallbacksEncodeBetweenTheirNeighbours) {  // row G9
  use(machine_with(metal_double::Order::kReversed));
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords);
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  record_doubling(encoder, x);
  encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 1})}, threads(kWords));
  EXPECT_EQ(encoder.stats().barriers_inferred, 2U);
  EXPECT_EQ(called_, 0);
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(called_, 1);
  EXPECT_EQ(log_count("computeCommandEncoder"), 1U);
  // The pipeline of the last dispatch is that of the first, but was not left bound.
  EXPECT_EQ(log_count("setComputePipelineState line"), 2U);
  EXPECT_THAT(words(x), Each(11U));
}

TEST_F(MetalNative, CallbacksMayLeaveOtherThreadgroupMemory) {  // rows B2, G9
  const Kernel reverse = kernel("reverse");
  const Buffer x = buffer_of(counting(96)), y = buffer(96);
  const SharedMemorySize shared{2, 96 * 4};
  const DispatchOptions options{.shared_memory = {&shared, 1}, .group_size = {96, 1, 1}};
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(reverse, {x.view(), y.view()}, groups(1), options);
  const BufferView view = y.view();
  encoder.native({&view, 1}, {&view, 1}, [](void* native_object) {
    const auto native = static_cast<id<MTLComputeCommandEncoder>>(native_object);
    [native setThreadgroupMemoryLength:16 atIndex:0];
  });
  encoder.dispatch(reverse, {y.view(), x.view()}, groups(1), options);
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(words(x), counting(96));
  EXPECT_THAT(log_with("setThreadgroupMemoryLength"),
              ElementsAre("setThreadgroupMemoryLength 384 @0", "setThreadgroupMemoryLength 16 @0",
                          "setThreadgroupMemoryLength 384 @0"));
}

TEST_F(MetalNative, CallbacksAreCalledByEachReplay) {  // rows F1, G9
  for (const bool indirect : {true, false}) {
    pipeline_ = {};
    called_ = 0;
    MetalOptions options;
    options.indirect_command_buffers = indirect;
    use(machine_with(metal_double::Order::kReversed), options);
    const Kernel line = kernel("line");
    const Buffer x = buffer(kWords);
    CommandEncoder encoder = this->encoder();
    encoder.start_capture();
    encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
    record_doubling(encoder, x);
    encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 1})}, threads(kWords));
    Executable executable = encoder.take_capture().value().compile(device_).value();
    std::uint32_t expected = 0;
    for (int i = 1; i <= 3; ++i) {
      ASSERT_TRUE(executable.submit_and_wait().has_value());
      EXPECT_EQ(called_, i);
      expected = 2 * (expected + 5) + 1;
      EXPECT_THAT(words(x), Each(expected));
    }
  }
}

TEST_F(MetalNative, CallbacksAloneOpenThePassWithItsLabel) {  // rows B5, G8, G9
  const Buffer x = buffer_of(counting(kWords));
  CommandEncoder encoder = this->encoder();
  record_doubling(encoder, x);
  ASSERT_TRUE(encoder.commit_and_wait("token 5").has_value());
  EXPECT_EQ(log_count("computeCommandEncoder"), 1U);
  EXPECT_EQ(label_, "token 5");
  EXPECT_EQ(words(x)[7], 14U);
}

TEST_F(MetalNative, CallersNeedNoAutoreleasePool) {  // row K5
  // Nothing that Segue uses waits in the pool of the test.
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords);
  for (int i = 0; i < 3; ++i) {
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
  }
  ASSERT_TRUE(device_.wait_idle().has_value());
  const auto alive = metal_double::live_objects();
  for (const auto& [name, count] : alive) {
    EXPECT_FALSE(name.contains("CommandBuffer") || name.contains("Encoder"))
        << name << " " << count;
  }
}

}  // namespace
}  // namespace segue::metal
