// SPDX-License-Identifier: Apache-2.0
//
// Exactly what Metal is told: one pass for a submission, few barriers, everything in the right
// order.
#include <algorithm>
#include <string>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Lines = std::vector<std::string>;

struct Line {
  std::uint32_t factor, summand;
};

class MetalMessages : public MetalTest {
 protected:
  void SetUp() override {
    MetalTest::SetUp();
    open_buffers();
  }
  void TearDown() override {
    line_ = {};
    add_one_ = {};
    a_ = {};
    b_ = {};
    MetalTest::TearDown();
  }
  void open_buffers() {
    line_ = kernel("line");
    add_one_ = kernel("add_one");
    a_ = buffer(64, "a");
    b_ = buffer(64, "b");
    metal_double::clear_log();
  }
  /// Two dispatches that may overlap, and one that comes after the first.
  void record_three(CommandEncoder& encoder) const {
    encoder.dispatch(line_, {a_.view(), KernelArg::bytes(Line{3, 1})}, threads(64));
    encoder.dispatch(line_, {b_.view(), KernelArg::bytes(Line{3, 1})}, threads(64));
    encoder.dispatch(add_one_, {a_.view()}, threads(64));
  }
  [[nodiscard]] Graph capture_three() const {
    CommandEncoder encoder = this->encoder();
    encoder.start_capture();
    record_three(encoder);
    return encoder.take_capture().value();
  }

  Kernel line_, add_one_;
  Buffer a_, b_;
};

TEST_F(MetalMessages, OfARecordingAreOnePassWithTheBarriersItNeeds) {  // rows B5, C4, G1
  CommandEncoder encoder = this->encoder();
  record_three(encoder);
  EXPECT_THAT(metal_double::log(), IsEmpty());  // nothing reaches the device before commit
  ASSERT_TRUE(encoder.commit_and_wait("token").has_value());
  EXPECT_THAT(metal_double::log(), ElementsAreArray(Lines{
                                       "commandBuffer commandBuffer#1 unretained",
                                       "computeCommandEncoderWithDispatchType concurrent",
                                       "setComputePipelineState line",
                                       "setBuffer a+0 @0",
                                       "setBytes 8 @1",
                                       "setBytes 16 @2",
                                       "dispatchThreadgroups 2x1x1 by 32x1x1",
                                       "setBuffer b+0 @0",
                                       "setBytes 8 @1",
                                       "setBytes 16 @2",
                                       "dispatchThreadgroups 2x1x1 by 32x1x1",
                                       "memoryBarrier buffers",
                                       "setComputePipelineState add_one",
                                       "setBuffer a+0 @0",
                                       "setBytes 16 @1",
                                       "dispatchThreadgroups 2x1x1 by 32x1x1",
                                       "updateFence fence#1",
                                       "endEncoding",
                                       "encodeSignalEvent sharedEvent#1 1",
                                       "commit token",
                                   }));
  EXPECT_THAT(words(a_), Each(2));
  EXPECT_EQ(device_.counters().barriers_issued, 1U);
  EXPECT_EQ(device_.counters().command_buffers, 1U);
}

TEST_F(MetalMessages, OfLaterSubmissionsWaitForTheFenceFirst) {  // row C8
  CommandEncoder encoder = this->encoder();
  for (int i = 0; i < 3; ++i) {
    encoder.dispatch(add_one_, {a_.view()}, threads(64));
    ASSERT_TRUE(encoder.commit().has_value());
    ASSERT_TRUE(encoder.begin().has_value());
  }
  ASSERT_TRUE(device_.wait_idle().has_value());
  EXPECT_THAT(log_with("Fence"),
              ElementsAre("updateFence fence#1", "waitForFence fence#1", "updateFence fence#1",
                          "waitForFence fence#1", "updateFence fence#1"));
  EXPECT_THAT(words(a_), Each(3));
}

TEST_F(MetalMessages, OfAnEmptyCommitOpenNoEncoder) {  // rows B5, G1
  CommandEncoder encoder = this->encoder();
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_THAT(metal_double::log(),
              ElementsAre("commandBuffer commandBuffer#1 unretained",
                          "encodeSignalEvent sharedEvent#1 1", "commit segue"));
}

TEST_F(MetalMessages, OfGridsOfZeroOpenNoEncoder) {  // rows B4, B5
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(add_one_, {a_.view()}, threads(0));
  EXPECT_EQ(encoder.stats().commands, 1U);
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(log_count("computeCommandEncoder"), 0U);
}

TEST_F(MetalMessages, OfFillsCopiesAndUploadsStayInThePass) {  // rows B5, B7
  const std::uint32_t bytes[2] = {7, 8};
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(add_one_, {a_.view()}, threads(64));
  encoder.fill(b_.view(), std::byte{1});
  encoder.copy(b_.view(0, 128).value(), a_.view(128, 128).value());
  encoder.upload(b_.view(0, 8).value(), std::as_bytes(std::span(bytes)));
  encoder.dispatch(add_one_, {a_.view(0, 64).value()}, threads(16));
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(log_count("computeCommandEncoder"), 1U);
  EXPECT_EQ(log_count("endEncoding"), 1U);
  EXPECT_EQ(log_count("dispatchThreadgroups"), 5U);
  // The fill before the copy, which comes after the first dispatch, too; the copy before the
  // upload, which the last dispatch may overlap.
  EXPECT_EQ(log_count("memoryBarrier"), 2U);
  // Nothing of a pass for copies is ever used.
  EXPECT_EQ(log_count("blit"), 0U);
  EXPECT_EQ(words(b_)[0], 7U);
  EXPECT_EQ(words(a_)[0], 2U);
  EXPECT_EQ(words(a_)[40], 0x01010101U);
}

TEST_F(MetalMessages, FlushResidencyOnceBeforeTheCommit) {  // rows G2, H5
  device_.residency().add(a_);
  device_.residency().add(b_);
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(add_one_, {a_.view()}, threads(64));
  ASSERT_TRUE(encoder.commit_and_wait("token").has_value());
  const Lines log = metal_double::log();
  const auto at = [&log](const std::string& line) {
    EXPECT_EQ(std::ranges::count(log, line), 1) << line;
    return std::ranges::find(log, line) - log.begin();
  };
  EXPECT_LT(at("addAllocation segue a"), at("commit segue"));
  EXPECT_LT(at("addAllocation segue b"), at("commit segue"));
  EXPECT_LT(at("commit segue"), at("requestResidency segue"));
  EXPECT_LT(at("requestResidency segue"), at("commit token"));
  EXPECT_LT(at("endEncoding"), at("commit token"));
}

TEST_F(MetalMessages, OfAReplayAreOneExecutionForEachBarrierGroup) {  // rows D5, F1
  Executable executable = capture_three().compile(device_, {.max_in_flight = 1}).value();
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  Lines log = metal_double::log();
  ASSERT_GE(log.size(), 5U);
  // Of no order that matters.
  std::sort(log.begin() + 2, log.begin() + 5);
  EXPECT_THAT(log, ElementsAreArray(Lines{
                       "commandBuffer commandBuffer#1 unretained",
                       "computeCommandEncoderWithDispatchType concurrent",
                       "useResource a write",
                       "useResource b write",
                       "useResource segue parameters write",
                       "executeCommandsInBuffer indirectCommandBuffer#1 [0, 2)",
                       "memoryBarrier buffers",
                       "executeCommandsInBuffer indirectCommandBuffer#1 [2, 3)",
                       "updateFence fence#1",
                       "endEncoding",
                       "encodeSignalEvent sharedEvent#1 1",
                       "commit segue",
                   }));
  EXPECT_THAT(words(a_), Each(2));
}

TEST_F(MetalMessages, OfAReplayWithoutIndirectCommandBuffersAreThoseOfARecording) {  // rows D5, F1
  line_ = {};
  add_one_ = {};
  a_ = {};
  b_ = {};
  MetalOptions reencoding;
  reencoding.indirect_command_buffers = false;
  use({}, reencoding);
  open_buffers();
  Executable executable = capture_three().compile(device_, {.max_in_flight = 1}).value();
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("dispatchThreadgroups"), 3U);
  EXPECT_EQ(log_count("memoryBarrier"), 1U);
  EXPECT_THAT(metal_double::log(), Each(Not(HasSubstr("indirect"))));
  // Inline bytes are in a block, which a replay can change.
  EXPECT_THAT(metal_double::log(), Each(Not(StartsWith("setBytes"))));
}

TEST_F(MetalMessages, NameWhatFails) {  // rows G4, G8
  metal_double::fail_command_buffer(1, 3);
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(add_one_, {a_.view()}, threads(64));
  const Result<> failed = encoder.commit_and_wait("token 5");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().label_path, "token 5");
  EXPECT_EQ(failed.error().message, "The device does not finish command buffer \"token 5\".");
  EXPECT_THAT(metal_double::log(), Contains("commit token 5"));
}

TEST_F(MetalMessages, NameCommandsByDebugGroupsOnRequest) {  // row G8
  line_ = {};
  add_one_ = {};
  a_ = {};
  b_ = {};
  MetalOptions groups;
  groups.debug_groups = true;
  use({}, groups);
  open_buffers();
  CommandEncoder encoder = this->encoder();
  {
    const LabelScope scope(encoder, "layer 3");
    encoder.dispatch(add_one_, {a_.view()}, threads(64), {.label = "first"});
    encoder.dispatch(add_one_, {a_.view()}, threads(64), {.label = "second"});
  }
  encoder.dispatch(add_one_, {b_.view()}, threads(64));
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_THAT(log_with("DebugGroup"),
              ElementsAre("pushDebugGroup layer 3/first", "popDebugGroup",
                          "pushDebugGroup layer 3/second", "popDebugGroup"));
}

}  // namespace
}  // namespace segue::metal
