// SPDX-License-Identifier: Apache-2.0
//
// Who keeps buffers and kernels alive, and for how long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "runtime/buffer_state.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::Completion;
using test::fake_kernel;
using test::FakeArgument;
using test::FakeSetup;
using test::open_fake;

Buffer make_buffer(const Device& device, std::string label = {}) {
  BufferDesc desc;
  desc.size_bytes = 16;
  desc.label = std::move(label);
  return device.create_buffer(desc).value();
}

TEST(Lifetime, ARecordingKeepsItsBuffersAndKernelsAlive) {  // row H1
  const FakeSetup setup = open_fake(Completion::kManual);
  std::uint8_t seen = 0;
  ASSERT_TRUE(setup.device.kernels()
                  .add(fake_kernel("peek", {buffer_parameter("x", Access::kRead)},
                                   [&seen](std::span<const FakeArgument> arguments) {
                                     seen = arguments[0].as<std::uint8_t>()[3];
                                   }))
                  .has_value());
  CommandEncoder encoder = setup.device.create_encoder().value();
  {
    const Buffer buffer = make_buffer(setup.device);
    encoder.fill(buffer.view(), std::byte{42});
    encoder.dispatch(setup.device.kernels().get("peek").value(), {buffer.view()}, groups(1));
  }
  EXPECT_EQ(setup.hal->live_memories(), 1);
  // The library lets go of the old code as well.
  ASSERT_TRUE(setup.device.kernels()
                  .replace(fake_kernel("peek", {buffer_parameter("x", Access::kRead)}))
                  .has_value());
  EXPECT_EQ(setup.hal->live_kernels(), 2);
  const Submission work = encoder.commit().value();
  EXPECT_EQ(setup.hal->live_memories(), 1);
  setup.hal->queue().complete_all();
  EXPECT_EQ(seen, 42);
  EXPECT_EQ(setup.hal->live_memories(), 0) << "completion lets go, even while the Submission lives";
  EXPECT_EQ(setup.hal->live_kernels(), 1);
}

TEST(Lifetime, AnEncoderThatGoesLetsGo) {  // row G6, H1
  const FakeSetup setup = open_fake();
  {
    CommandEncoder encoder = setup.device.create_encoder().value();
    encoder.fill(make_buffer(setup.device).view(), std::byte{1});
    EXPECT_EQ(setup.hal->live_memories(), 1);
  }
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

TEST(Lifetime, AFailedSubmissionLetsGo) {  // row H1, K3
  test::FakeOptions options;
  options.fail_call = [](std::string_view call) { return call == "submit"; };
  const FakeSetup setup = open_fake(options);
  {
    CommandEncoder encoder = setup.device.create_encoder().value();
    encoder.fill(make_buffer(setup.device).view(), std::byte{1});
    EXPECT_EQ(encoder.commit().error().code, ErrorCode::kBackend);
  }
  EXPECT_EQ(setup.hal->live_memories(), 0);
  EXPECT_TRUE(setup.device.wait_idle().has_value());
}

TEST(Lifetime, ACaptureKeepsItsBuffersAlive) {  // row D4, H1
  const FakeSetup setup = open_fake();
  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.start_capture();
  encoder.fill(make_buffer(setup.device, "captured").view(), std::byte{1});
  Graph graph = encoder.take_capture().value();
  EXPECT_EQ(setup.hal->live_memories(), 1);
  graph = {};
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

class LifetimeCheckTest : public testing::Test {
 protected:
  LifetimeCheckTest() {
    auto hal = std::make_shared<test::FakeDevice>();
    hal->test_features.lifetime_checks = true;
    hal->options.completion = Completion::kManual;
    setup_.hal = hal;
    setup_.device = open_fake(hal).value();
  }
  CommandEncoder make_encoder() {
    EncoderOptions options;
    options.lifetime = Lifetime::kUnretained;
    return setup_.device.create_encoder(options).value();
  }
  FakeSetup setup_;
};

TEST_F(LifetimeCheckTest, ABufferThatStaysIsFine) {  // row H2
  const Buffer buffer = make_buffer(setup_.device);
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer.view(), std::byte{1});
  Submission work = encoder.commit().value();
  setup_.hal->queue().complete_all();
  EXPECT_TRUE(work.wait().has_value());
}

TEST_F(LifetimeCheckTest, ABufferFreedBeforeTheCommitIsFound) {  // row H2
  CommandEncoder encoder = make_encoder();
  encoder.fill(make_buffer(setup_.device, "scratch").view(), std::byte{1});
  const auto work = encoder.commit();
  ASSERT_FALSE(work.has_value());
  EXPECT_THAT(work.error().message, testing::HasSubstr("\"scratch\""));
}

TEST_F(LifetimeCheckTest, ABufferFreedBeforeCompletionIsFound) {  // row H2
  Buffer buffer = make_buffer(setup_.device, "scratch");
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer.view(), std::byte{1});
  Submission work = encoder.commit().value();
  buffer = {};
  setup_.hal->queue().complete_all();
  const auto waited = work.wait();
  ASSERT_FALSE(waited.has_value());
  EXPECT_THAT(waited.error().message, testing::HasSubstr("\"scratch\""));
  EXPECT_EQ(setup_.hal->live_memories(), 0);
}

}  // namespace
}  // namespace segue
