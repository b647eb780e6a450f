// SPDX-License-Identifier: Apache-2.0
//
// From a recording to a submission: errors, states, labels, counters.
#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::expect_failure;
using Views = std::vector<BufferView>;

class EncoderCommitTest : public test::EncoderTest {
 protected:
  void record(CommandEncoder& encoder) { encoder.fill(buffer_.view(), std::byte{1}); }
  /// From here on work completes as soon as it is submitted.
  void complete_at_submit() { hal().options.completion = test::Completion::kAtSubmit; }

  const Buffer buffer_ = make_buffer(64, "weights");
};

TEST_F(EncoderCommitTest, GivesASubmissionThatCompletes) {  // row G1, G3
  CommandEncoder encoder = make_encoder();
  record(encoder);
  Submission work = encoder.commit("first").value();
  EXPECT_EQ(work.label(), "first");
  EXPECT_FALSE(work.is_done());
  EXPECT_EQ(work.status(), SubmissionStatus::kPending);
  expect_failure(work.gpu_time(), ErrorCode::kInvalidState, {"completed"});
  queue().complete_all();
  EXPECT_TRUE(work.is_done());
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_TRUE(work.wait().has_value()) << "Waiting again gives the same.";
  EXPECT_EQ(work.status(), SubmissionStatus::kCompleted);
  EXPECT_GT(work.gpu_time().value().elapsed_seconds(), 0);
}

TEST_F(EncoderCommitTest, WaitsInEveryForm) {  // row G1, J1
  complete_at_submit();
  CommandEncoder encoder = make_encoder();
  EXPECT_TRUE(encoder.commit_and_wait().has_value());
  ASSERT_TRUE(encoder.begin().has_value());
  record(encoder);
  EXPECT_TRUE(encoder.commit_and_wait("labelled").has_value());
  ASSERT_TRUE(encoder.begin().has_value());
  const Result<GpuTime> time = encoder.commit_wait_with_gpu_time();
  ASSERT_TRUE(time.has_value());
  EXPECT_EQ(time->elapsed_seconds(), 1) << "The fake's clock ticks once from start to end.";
  ASSERT_TRUE(encoder.begin().has_value());
  EXPECT_TRUE(encoder.commit_wait_with_gpu_time("timed").has_value());
  EXPECT_EQ(device().counters().syncs, 4u);
  ASSERT_TRUE(encoder.begin().has_value());
  Submission work = encoder.commit().value();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(device().counters().syncs, 4u) << "wait() is not one of commit_and_wait()'s forms.";
}

TEST_F(EncoderCommitTest, AcceptsAnEmptyRecording) {  // row G1
  complete_at_submit();
  Submission work = make_encoder().commit().value();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(device().counters().dispatches_executed, 0u);
}

TEST_F(EncoderCommitTest, ShowsTheFirstErrorBefore) {  // row G1, K2
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  EXPECT_TRUE(encoder.status().has_value());
  encoder.push_label("model");
  encoder.push_label("layer 2");
  record(encoder);
  DispatchOptions options;
  options.label = "down";
  encoder.dispatch(kernel, {}, groups(1), options);
  encoder.pop_label();
  encoder.dispatch(kernel, {buffer_.view(), buffer_.view()}, groups(1));
  const Result<> status = encoder.status();
  expect_failure(status, ErrorCode::kInvalidArgument, {"writer", "1 argument", "gives 0"});
  EXPECT_EQ(status.error().label_path, "model/layer 2/down");
  EXPECT_EQ(status.error().dispatch_index, 1u);
  const Result<Submission> committed = encoder.commit();
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().message, status.error().message);
  EXPECT_EQ(committed.error().label_path, status.error().label_path);
}

TEST_F(EncoderCommitTest, SendsNothingOfAFailedRecording) {  // row K2
  CommandEncoder encoder = make_encoder();
  record(encoder);
  encoder.fill(BufferView(), std::byte{0});
  record(encoder);
  EXPECT_EQ(encoder.stats().commands, 1u) << "Later calls do nothing.";
  EXPECT_FALSE(encoder.commit().has_value());
  EXPECT_TRUE(queue().pending().empty());
  EXPECT_EQ(device().counters().dispatches_executed, 0u);
}

TEST_F(EncoderCommitTest, ReturnsNothingFromRecordingCalls) {  // row K1, K2
  EXPECT_TRUE((std::is_same_v<decltype(std::declval<CommandEncoder>().memory_barrier()), void>));
  EXPECT_TRUE((std::is_same_v<decltype(std::declval<CommandEncoder>().pop_label()), void>));
}

TEST_F(EncoderCommitTest, TakesTheErrorsOfOthers) {  // row K2
  CommandEncoder encoder = make_encoder();
  record(encoder);
  encoder.push_label("ops");
  encoder.fail({ErrorCode::kUnsupported, "The op has no kernel for 5-bit weights.", {}, {}, {}});
  encoder.fail({ErrorCode::kInvalidArgument, "A later error.", {}, {}, {}});
  const Result<Submission> committed = encoder.commit();
  expect_failure(committed, ErrorCode::kUnsupported, {"5-bit"});
  EXPECT_EQ(committed.error().label_path, "ops");
  EXPECT_EQ(committed.error().dispatch_index, 1u);
}

TEST_F(EncoderCommitTest, IsOverAfterACommit) {  // row G5
  CommandEncoder encoder = make_encoder();
  record(encoder);
  const Submission work = encoder.commit().value();
  expect_failure(encoder.commit(), ErrorCode::kInvalidState, {"already", "begin()"});
  expect_failure(encoder.commit_and_wait(), ErrorCode::kInvalidState, {"already", "begin()"});
  EXPECT_TRUE(encoder.status().has_value());
  record(encoder);
  expect_failure(encoder.status(), ErrorCode::kInvalidState, {"after a commit", "begin()"});
  encoder.start_capture();
  EXPECT_FALSE(encoder.is_capturing());
  EXPECT_EQ(encoder.stats().commands, 0u);
  EXPECT_TRUE(encoder.barriers().empty());
  EXPECT_EQ(queue().pending().size(), 1u);
}

TEST_F(EncoderCommitTest, HasNothingToWaitForBefore) {  // row G5
  Submission nothing;
  expect_failure(nothing.wait(), ErrorCode::kInvalidState, {"empty"});
  expect_failure(nothing.wait_for(std::chrono::seconds(1)), ErrorCode::kInvalidState, {"empty"});
  expect_failure(nothing.gpu_time(), ErrorCode::kInvalidState, {});
  EXPECT_FALSE(nothing.is_done());
  EXPECT_EQ(nothing.status(), SubmissionStatus::kPending);
  EXPECT_EQ(nothing.label(), "");
  EXPECT_EQ(nothing.native_handle().object, nullptr);
}

TEST_F(EncoderCommitTest, DiscardsWhatADroppedEncoderRecorded) {  // row G6
  {
    CommandEncoder encoder = make_encoder();
    const Buffer passing = make_buffer(16, "passing");
    encoder.fill(passing.view(), std::byte{1});
  }
  EXPECT_TRUE(queue().pending().empty());
  EXPECT_EQ(hal().live_memories(), 1);
  EXPECT_EQ(device().counters().dispatches_recorded, 1u);
}

TEST_F(EncoderCommitTest, GoesOnWhenItsEncoderIsDropped) {  // row G6
  Submission work;
  {
    CommandEncoder encoder = make_encoder();
    record(encoder);
    work = encoder.commit().value();
  }
  queue().complete_all();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_THAT(test::read_bytes(buffer_.view()), testing::Each(1));
}

TEST_F(EncoderCommitTest, LeavesTheEncoderReusable) {  // row G11
  CommandEncoder encoder = make_encoder();
  for (int i = 0; i < 3; ++i) {
    record(encoder);
    EXPECT_TRUE(encoder.commit().has_value());
    ASSERT_TRUE(encoder.begin().has_value());
  }
  EXPECT_EQ(queue().pending().size(), 3u) << "Earlier submissions need not have completed.";
  EXPECT_EQ(queue().complete_all(), 3u);
}

TEST_F(EncoderCommitTest, LeavesTheEncoderReusableAfterAnError) {  // row G11, K3
  CommandEncoder encoder = make_encoder();
  encoder.push_label("forgotten");
  encoder.fill(BufferView(), std::byte{0});
  EXPECT_FALSE(encoder.commit().has_value());
  EXPECT_FALSE(encoder.status().has_value());
  ASSERT_TRUE(encoder.begin().has_value());
  EXPECT_TRUE(encoder.status().has_value());
  encoder.pop_label();
  EXPECT_FALSE(encoder.status().has_value()) << "Labels go with the recording they belong to.";
  ASSERT_TRUE(encoder.begin().has_value()) << "A commit is not needed.";
  record(encoder);
  EXPECT_TRUE(encoder.commit().has_value());
}

TEST_F(EncoderCommitTest, DiscardsAtBeginWhatWasNotCommitted) {  // row G11
  const Kernel kernel = writer();
  const Views pending{buffer_.view(0, 8).value()};
  CommandEncoder encoder = make_encoder();
  record(encoder);
  encoder.set_op_kind(OpKind::kRope);
  encoder.set_pending_ranges({}, pending);
  ASSERT_TRUE(encoder.begin().has_value());
  EXPECT_EQ(encoder.stats().commands, 0u);
  EXPECT_EQ(encoder.stats().live_ranges, 0u);
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  const Submission work = encoder.commit().value();
  ASSERT_EQ(submitted_plan().order.size(), 1u);
  EXPECT_EQ(submitted_command().op, OpKind::kOther);
  EXPECT_FALSE(submitted_command().explicit_writes);
}

TEST_F(EncoderCommitTest, LeavesNothingBehindWhereTheDeviceRefuses) {  // row K3
  bool refuse = true;
  hal().options.fail_call = [&refuse](std::string_view call) { return refuse && call == "submit"; };
  CommandEncoder encoder = make_encoder();
  {
    const Buffer passing = make_buffer(16, "passing");
    encoder.fill(passing.view(), std::byte{1});
    record(encoder);
  }
  const Result<Submission> refused = encoder.commit();
  expect_failure(refused, ErrorCode::kBackend, {"submit"});
  EXPECT_EQ(refused.error().native.value().backend, "fake");
  EXPECT_EQ(hal().live_memories(), 1);
  EXPECT_TRUE(device().wait_idle().has_value()) << "Nothing is left in flight.";
  EXPECT_EQ(device().counters().dispatches_executed, 0u);
  EXPECT_TRUE(buffer_.view().map_write<std::uint8_t>(WaitMode::kDontWait).has_value());
  refuse = false;
  ASSERT_TRUE(encoder.begin().has_value());
  record(encoder);
  EXPECT_TRUE(encoder.commit().has_value());
}

TEST_F(EncoderCommitTest, FlushesResidencyOnceAndThenSubmits) {  // row G2
  std::vector<std::uint64_t> flushes;
  hal().options.fail_call = [&](std::string_view call) {
    if (call == "submit") flushes.push_back(device().residency().stats().flushes);
    return false;
  };
  CommandEncoder encoder = make_encoder();
  device().residency().add(buffer_);
  record(encoder);
  EXPECT_EQ(device().residency().stats().flushes, 0u);
  EXPECT_TRUE(encoder.commit().has_value());
  ASSERT_TRUE(encoder.begin().has_value());
  EXPECT_TRUE(encoder.commit().has_value());
  EXPECT_THAT(flushes, testing::ElementsAre(1u, 1u)) << "Nothing changed at the second commit.";
}

TEST_F(EncoderCommitTest, RefusesEmptyLabels) {  // row G8
  CommandEncoder encoder = make_encoder();
  expect_failure(encoder.commit(""), ErrorCode::kInvalidArgument, {"label", "empty"});
  expect_failure(encoder.commit_and_wait(""), ErrorCode::kInvalidArgument, {"label", "empty"});
  expect_failure(encoder.commit_wait_with_gpu_time(""), ErrorCode::kInvalidArgument, {"label"});
  EXPECT_TRUE(encoder.commit().has_value()) << "The recording is unharmed.";
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.push_label("");
  expect_failure(encoder.status(), ErrorCode::kInvalidArgument, {"label", "empty"});
}

TEST_F(EncoderCommitTest, JoinsTheLabelsOfScopes) {  // row G8
  CommandEncoder encoder = make_encoder();
  {
    const LabelScope model(encoder, "model");
    record(encoder);
    {
      const LabelScope layer(encoder, "layer 0");
      record(encoder);
    }
    record(encoder);
  }
  record(encoder);
  const Submission work = encoder.commit("token").value();
  const ir::CommandList& list = *submitted_plan().list;
  std::vector<std::string> paths;
  for (const ir::Command& command : list.commands()) paths.push_back(list.label_path(command));
  EXPECT_THAT(paths, testing::ElementsAre("model", "model/layer 0", "model", ""));
}

TEST_F(EncoderCommitTest, RefusesToPopWhatWasNotPushed) {  // row G8
  CommandEncoder encoder = make_encoder();
  encoder.push_label("once");
  encoder.pop_label();
  EXPECT_TRUE(encoder.status().has_value());
  encoder.pop_label();
  expect_failure(encoder.status(), ErrorCode::kInvalidState, {"popped", "none"});
}

TEST_F(EncoderCommitTest, CallsNativeCallbacksInTheirPlace) {  // row G9
  std::vector<int> calls;
  const Kernel first = add_kernel("first", {}, [&calls](auto) { calls.push_back(1); });
  const Kernel third = add_kernel("third", {}, [&calls](auto) { calls.push_back(3); });
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(first, {}, groups(1));
  encoder.native({}, {}, [&calls](void*) { calls.push_back(2); });
  encoder.dispatch(third, {}, groups(1));
  const Submission work = encoder.commit().value();
  EXPECT_TRUE(calls.empty()) << "Nothing runs before the recording is lowered.";
  queue().complete_all();
  EXPECT_THAT(calls, testing::ElementsAre(1, 2, 3));
}

TEST_F(EncoderCommitTest, RefusesNativeCallbacksThatAreNone) {  // row G9
  CommandEncoder encoder = make_encoder();
  encoder.native({}, {}, NativeRecorder());
  expect_failure(encoder.status(), ErrorCode::kInvalidArgument, {"callback", "empty"});
  ASSERT_TRUE(encoder.begin().has_value());
  const Views views(33, buffer_.view());
  encoder.native(views, {}, [](void*) {});
  expect_failure(encoder.status(), ErrorCode::kInvalidArgument, {"33", "32"});
}

TEST_F(EncoderCommitTest, GivesNativeHandles) {  // row G9
  CommandEncoder encoder = make_encoder();
  const Submission first = encoder.commit().value();
  ASSERT_TRUE(encoder.begin().has_value());
  const Submission second = encoder.commit().value();
  EXPECT_EQ(second.native_handle().value, first.native_handle().value + 1);
  EXPECT_EQ(device().native_handle().type, "fake.device");
  EXPECT_NE(buffer_.native_handle().object, nullptr);
}

TEST_F(EncoderCommitTest, MayHappenOnAnotherThread) {  // row G7
  CommandEncoder encoder = make_encoder();
  record(encoder);
  Submission work;
  std::thread([&work, moved = std::move(encoder)]() mutable {
    work = moved.commit("moved").value();
  }).join();
  queue().complete_all();
  EXPECT_TRUE(work.wait().has_value());
}

TEST_F(EncoderCommitTest, KeepsTheOrderOfTheCaller) {  // row G7
  std::vector<CommandEncoder> encoders;
  for (int i = 0; i < 8; ++i) encoders.push_back(make_encoder());
  std::vector<std::thread> threads;
  for (CommandEncoder& encoder : encoders) {
    threads.emplace_back([this, &encoder] {
      for (int i = 0; i < 100; ++i) record(encoder);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Submission> works;
  for (CommandEncoder& encoder : encoders) works.push_back(encoder.commit().value());
  const std::vector<hal::Job*> jobs = queue().pending();
  ASSERT_EQ(jobs.size(), 8u);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(jobs[i]->plan->order.size(), 100u);
    EXPECT_EQ(static_cast<void*>(static_cast<runtime::SubmissionState*>(jobs[i])),
              works[i].native_handle().object);
  }
}

TEST_F(EncoderCommitTest, CountsWhatItDid) {  // row J1, J2
  const Kernel read = reader();
  const Kernel write = writer();
  EXPECT_FALSE(device().counters().elision_rate().has_value()) << "0 of 0 is no value.";
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(write, {buffer_.view(0, 8).value()}, groups(1));
  encoder.dispatch(write, {buffer_.view(8, 8).value()}, groups(1));
  encoder.dispatch(read, {buffer_.view()}, groups(1));
  encoder.memory_barrier();
  encoder.dispatch(read, {buffer_.view()}, groups(1));
  Submission work = encoder.commit().value();
  EXPECT_EQ(device().counters().dispatches_executed, 4u) << "Counted when submitted.";
  EXPECT_EQ(device().counters().command_buffers, 0u);
  queue().complete_all();
  const Counters counters = device().counters();
  EXPECT_EQ(counters.syncs, 0u);
  EXPECT_EQ(counters.dispatches_recorded, 4u);
  EXPECT_EQ(counters.dispatches_executed, 4u);
  EXPECT_EQ(counters.command_buffers, 1u);
  EXPECT_EQ(counters.barriers_inferred, 1u);
  EXPECT_EQ(counters.barriers_issued, 2u);
  EXPECT_EQ(counters.concurrent, 3u);
  EXPECT_EQ(counters.boundary_waits, 0u);
  EXPECT_EQ(counters.barrier_ns, 0u) << "Timing is opt-in.";
  EXPECT_DOUBLE_EQ(counters.elision_rate().value(), 0.75);
  device().reset_counters();
  EXPECT_EQ(device().counters().dispatches_recorded, 0u);
}

TEST_F(EncoderCommitTest, DoesNotCountManualModeAsTracked) {  // row C6, J1
  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  CommandEncoder encoder = make_encoder(options);
  record(encoder);
  record(encoder);
  const Submission work = encoder.commit().value();
  EXPECT_EQ(device().counters().concurrent, 0u);
  EXPECT_EQ(device().counters().barriers_inferred, 0u);
  EXPECT_FALSE(device().counters().elision_rate().has_value());
}

TEST_F(EncoderCommitTest, AsksForBarrierTimesOnlyWhereWanted) {  // row J3
  CommandEncoder encoder = make_encoder();
  const Submission work = encoder.commit().value();
  EXPECT_FALSE(queue().pending().at(0)->time_barriers);
  DeviceOptions options;
  options.profile_barriers = true;
  test::FakeSetup timed = test::open_fake(test::Completion::kManual, options);
  const Submission other = timed.device.create_encoder().value().commit().value();
  EXPECT_TRUE(timed.hal->queue().pending().at(0)->time_barriers);
}

TEST_F(EncoderCommitTest, MayNameAQueueThatExists) {  // row G1, K4
  EncoderOptions options;
  options.queue = 1;
  expect_failure(device().create_encoder(options), ErrorCode::kInvalidArgument, {"1"});
}

}  // namespace
}  // namespace segue
