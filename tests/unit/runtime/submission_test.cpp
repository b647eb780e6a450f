// SPDX-License-Identifier: Apache-2.0
//
// Submissions in flight: how they fail, what they wait for, what they keep alive.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

using test::expect_failure;

Error device_error(ErrorCode code = ErrorCode::kBackend) {
  return {code, "The device fails.", "model/layer", 3, NativeError{"fake", -7, "FAKE_ERROR"}};
}

DeviceOptions with_queues(unsigned count) {
  DeviceOptions options;
  options.queue_count = count;
  return options;
}

class SubmissionTest : public test::EncoderTest {
 protected:
  explicit SubmissionTest(const DeviceOptions& options = {}) : EncoderTest(options) {
    device().set_error_handler([this](const Error& error) { reported_.push_back(error); });
  }

  Submission submit_fill(const BufferView& view, unsigned queue_index = 0) {
    EncoderOptions options;
    options.queue = queue_index;
    CommandEncoder encoder = make_encoder(options);
    encoder.fill(view, std::byte{1});
    return encoder.commit("fill").value();
  }
  Submission submit_copy(const BufferView& from, const BufferView& to, unsigned queue_index = 0) {
    EncoderOptions options;
    options.queue = queue_index;
    CommandEncoder encoder = make_encoder(options);
    encoder.copy(from, to);
    return encoder.commit("copy").value();
  }

  std::vector<Error> reported_;
  Buffer a_ = make_buffer(64, "a");
  Buffer b_ = make_buffer(64, "b");
};

// -- Errors

TEST_F(SubmissionTest, GivesTheDevicesErrorToWhoeverWaits) {  // row G3, G4
  Submission work = submit_fill(a_.view());
  queue().complete_next(device_error());
  EXPECT_EQ(work.status(), SubmissionStatus::kFailed);
  const Result<> result = work.wait();
  expect_failure(result, ErrorCode::kBackend, {"The device fails."});
  EXPECT_EQ(result.error().label_path, "model/layer");
  EXPECT_EQ(result.error().dispatch_index, 3u);
  EXPECT_EQ(result.error().native.value().code, -7);
  EXPECT_EQ(result.error().native.value().text, "FAKE_ERROR");
  work = Submission();
  EXPECT_TRUE(reported_.empty()) << "Somebody has seen the error.";
}

TEST_F(SubmissionTest, ReportsAnErrorThatNobodyWaitedFor) {  // row G3
  {
    const Submission work = submit_fill(a_.view());
    queue().complete_next(device_error());
    EXPECT_EQ(work.status(), SubmissionStatus::kFailed) << "Looking at it is not waiting for it.";
    EXPECT_TRUE(reported_.empty());
  }
  ASSERT_EQ(reported_.size(), 1u);
  EXPECT_EQ(reported_[0].native.value().text, "FAKE_ERROR");
}

TEST_F(SubmissionTest, ReportsAnErrorThatComesAfterItWasDropped) {  // row G3
  static_cast<void>(submit_fill(a_.view()));
  EXPECT_TRUE(reported_.empty());
  queue().complete_next(device_error());
  EXPECT_EQ(reported_.size(), 1u);
  static_cast<void>(submit_fill(a_.view()));
  queue().complete_next();
  EXPECT_EQ(reported_.size(), 1u);
}

TEST_F(SubmissionTest, ReportsOnceHoweverItIsMoved) {  // row G3
  Submission first = submit_fill(a_.view());
  Submission second = submit_fill(b_.view());
  Submission moved(std::move(first));
  queue().complete_next(device_error());
  EXPECT_TRUE(reported_.empty());
  moved = std::move(second);
  EXPECT_EQ(reported_.size(), 1u) << "What it held is dropped.";
  queue().complete_next();
  EXPECT_TRUE(moved.wait().has_value());
  moved = Submission();
  EXPECT_EQ(reported_.size(), 1u);
}

TEST_F(SubmissionTest, ReportsBeforeTheDeviceIsIdle) {  // row G3
  static_cast<void>(submit_fill(a_.view()));
  queue().complete_next(device_error());
  EXPECT_TRUE(device().wait_idle().has_value());
  EXPECT_EQ(reported_.size(), 1u);
}

TEST_F(SubmissionTest, TimesOutWithoutHarm) {  // row G3
  Submission work = submit_fill(a_.view());
  expect_failure(work.wait_for(std::chrono::nanoseconds(5)), ErrorCode::kTimeout,
                 {"\"fill\"", "5 ns"});
  EXPECT_FALSE(work.is_done());
  queue().complete_all();
  EXPECT_TRUE(work.wait_for(std::chrono::nanoseconds(5)).has_value());
}

TEST_F(SubmissionTest, FailsEveryCallOnceTheDeviceIsLost) {  // row G4
  CommandEncoder encoder = make_encoder();
  encoder.fill(a_.view(), std::byte{1});
  Submission work = submit_fill(a_.view());
  Submission other = submit_fill(b_.view());
  queue().complete_next(device_error(ErrorCode::kDeviceLost));
  queue().complete_next(device_error(ErrorCode::kDeviceLost));
  expect_failure(work.wait(), ErrorCode::kDeviceLost, {});
  expect_failure(other.wait(), ErrorCode::kDeviceLost, {});
  expect_failure(encoder.commit(), ErrorCode::kDeviceLost, {"Fake device"});
  ASSERT_TRUE(encoder.begin().has_value());
  expect_failure(encoder.commit_and_wait(), ErrorCode::kDeviceLost, {"lost"});
  expect_failure(device().create_encoder(), ErrorCode::kDeviceLost, {"lost"});
  expect_failure(device().create_buffer({.size_bytes = 16, .label = {}}), ErrorCode::kDeviceLost,
                 {"lost"});
  expect_failure(device().wait_idle(), ErrorCode::kDeviceLost, {"lost"});
  expect_failure(a_.view().map_read<std::uint8_t>(), ErrorCode::kDeviceLost, {"lost"});
}

TEST_F(SubmissionTest, IsRefusedByADeviceThatIsLostMeanwhile) {  // row G4, K3
  hal().options.fail_call = [](std::string_view call) { return call == "submit"; };
  CommandEncoder encoder = make_encoder();
  expect_failure(encoder.commit(), ErrorCode::kBackend, {});
  EXPECT_TRUE(device().create_encoder().has_value()) << "A refusal is not a loss.";
}

// -- Order

TEST_F(SubmissionTest, CountsTheBoundaryApart) {  // row C8, C12
  const Submission first = submit_fill(a_.view());
  const Submission unrelated = submit_fill(b_.view());
  EXPECT_EQ(device().counters().boundary_waits, 0u);
  const Submission after_both = submit_copy(a_.view(), b_.view());
  EXPECT_EQ(device().counters().boundary_waits, 2u);
  EXPECT_EQ(device().counters().barriers_inferred, 0u);
  for (const hal::Job* job : queue().pending())
    EXPECT_TRUE(job->waits.empty()) << "A queue runs its submissions in order by itself.";
}

class TwoQueuesTest : public SubmissionTest {
 protected:
  TwoQueuesTest() : SubmissionTest(with_queues(2)) {}

  /// How many jobs of the other queue the only job of queue 1 waits for.
  std::size_t waits_of_second_queue() { return queue(1).pending().at(0)->waits.size(); }
};

TEST_F(TwoQueuesTest, ReadAfterWriteWaitsForTheOtherQueue) {  // row C8
  const Submission write = submit_fill(a_.view());
  const Submission read = submit_copy(a_.view(), b_.view(), 1);
  EXPECT_EQ(waits_of_second_queue(), 1u);
  EXPECT_FALSE(queue(1).complete_next());
  EXPECT_TRUE(queue(0).complete_next());
  EXPECT_TRUE(queue(1).complete_next());
  EXPECT_THAT(test::read_bytes(b_.view()), testing::Each(1));
}

TEST_F(TwoQueuesTest, WriteAfterReadWaitsForTheOtherQueue) {  // row C8
  const Submission read = submit_copy(a_.view(), b_.view());
  const Submission write = submit_fill(a_.view(), 1);
  EXPECT_EQ(waits_of_second_queue(), 1u);
  EXPECT_FALSE(queue(1).complete_next());
  EXPECT_TRUE(queue(0).complete_next());
  EXPECT_TRUE(queue(1).complete_next());
  EXPECT_THAT(test::read_bytes(b_.view()), testing::Each(0));
}

TEST_F(TwoQueuesTest, WriteAfterWriteWaitsForTheOtherQueue) {  // row C8
  const Submission first = submit_fill(a_.view(0, 33).value());
  const Submission second = submit_fill(a_.view(32, 32).value(), 1);
  EXPECT_EQ(waits_of_second_queue(), 1u);
}

TEST_F(TwoQueuesTest, SpareWhatDoesNotConflict) {  // row C2, C8
  const Buffer c = make_buffer(64, "c");
  const Submission first = submit_copy(a_.view(0, 32).value(), b_.view(0, 32).value());
  EncoderOptions options;
  options.queue = 1;
  CommandEncoder encoder = make_encoder(options);
  encoder.copy(a_.view(), c.view());                    // reads meet reads
  encoder.fill(b_.view(32, 32).value(), std::byte{2});  // adjacent
  const Submission second = encoder.commit().value();
  EXPECT_EQ(waits_of_second_queue(), 0u);
  EXPECT_EQ(device().counters().boundary_waits, 0u);
  EXPECT_TRUE(queue(1).complete_next());
}

TEST_F(TwoQueuesTest, WaitForMemoryNotForHandles) {  // row C3, C8
  std::vector<std::byte> memory(64);
  ImportOptions options;
  options.writable = true;
  const Buffer whole = device().import_host_memory(std::span(memory), options).value();
  const Buffer half = device().import_host_memory(std::span(memory).subspan(32), options).value();
  const Submission first = submit_fill(whole.view(32, 32).value());
  const Submission second = submit_fill(half.view(), 1);
  EXPECT_EQ(waits_of_second_queue(), 1u);
  const Submission third = submit_fill(whole.view(0, 32).value(), 1);
  EXPECT_TRUE(queue(1).pending().at(1)->waits.empty());
  queue(0).complete_all();  // before the memory that they fill goes
  queue(1).complete_all();
}

TEST_F(TwoQueuesTest, WaitForChainsAcrossQueues) {  // row C8
  std::vector<Submission> chain;
  for (unsigned i = 0; i < 6; ++i)
    chain.push_back(
        submit_copy((i % 2 == 0 ? a_ : b_).view(), (i % 2 == 0 ? b_ : a_).view(), i % 2));
  EXPECT_FALSE(queue(1).complete_next());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(queue(0).complete_all(), 1u);
    EXPECT_EQ(queue(1).complete_all(), 1u);
  }
  for (Submission& work : chain) EXPECT_TRUE(work.wait().has_value());
}

TEST_F(SubmissionTest, WaitsForRoomBeyondTheDevicesLimit) {  // row G7
  hal().test_limits.max_submissions_in_flight = 2;
  hal().options.completion = test::Completion::kAtSubmit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(submit_fill(a_.view()).wait().has_value());
}

// -- Host access through commits

TEST_F(SubmissionTest, IsRefusedWhileTheHostMapsWhatItTouches) {  // row C7
  CommandEncoder encoder = make_encoder();
  {
    const auto reading = a_.view().map_read<std::uint8_t>().value();
    encoder.copy(a_.view(), b_.view());
    EXPECT_TRUE(encoder.commit().has_value()) << "Both only read.";
    ASSERT_TRUE(encoder.begin().has_value());
    encoder.fill(a_.view(), std::byte{1});
    expect_failure(encoder.commit(), ErrorCode::kBusy, {"\"a\"", "writes"});
  }
  queue().complete_all();
  {
    const auto writing = a_.view().map_write<std::uint8_t>().value();
    ASSERT_TRUE(encoder.begin().has_value());
    encoder.copy(a_.view(), b_.view());
    expect_failure(encoder.commit(), ErrorCode::kBusy, {"\"a\"", "uses"});
  }
  EXPECT_TRUE(device().wait_idle().has_value()) << "What was refused is not in flight.";
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.copy(a_.view(), b_.view());
  EXPECT_TRUE(encoder.commit().has_value());
}

// -- Lifetime

TEST_F(SubmissionTest, KeepsBuffersAndKernelsAliveUntilItCompletes) {  // row H1
  ASSERT_TRUE(device()
                  .kernels()
                  .add(test::fake_kernel("passing", {test::buffer_parameter("x", Access::kWrite)}))
                  .has_value());
  Kernel kernel = device().kernels().get("passing").value();
  CommandEncoder encoder = make_encoder();
  {
    const Buffer passing = make_buffer(16, "passing");
    encoder.dispatch(kernel, {passing.view()}, groups(1));
  }
  const Submission work = encoder.commit().value();
  const std::uint32_t references = kernel.impl()->reference_count();
  EXPECT_EQ(hal().live_memories(), 3);
  queue().complete_all();
  EXPECT_EQ(hal().live_memories(), 2) << "Gone as soon as the work is done, handle or not.";
  EXPECT_EQ(kernel.impl()->reference_count(), references - 1);
}

TEST_F(SubmissionTest, FreesOnceWhatARecordingUsesOften) {  // row H1
  Buffer passing = make_buffer(16, "passing");
  const runtime::BufferState* state = passing.state();
  CommandEncoder encoder = make_encoder();
  const std::uint32_t before = state->reference_count();
  for (int i = 0; i < 100; ++i) encoder.fill(passing.view(), std::byte{0});
  EXPECT_EQ(state->reference_count(), before + 1);
  EXPECT_EQ(state->handles.load(), 1u);
}

class UnretainedTest : public SubmissionTest {
 protected:
  UnretainedTest() { hal().test_features.lifetime_checks = true; }
  CommandEncoder unretained() {
    EncoderOptions options;
    options.lifetime = Lifetime::kUnretained;
    return make_encoder(options);
  }
};

TEST_F(UnretainedTest, BufferFreedBeforeTheCommitIsFound) {  // row H2
  CommandEncoder encoder = unretained();
  {
    const Buffer passing = make_buffer(16, "passing");
    encoder.fill(passing.view(), std::byte{1});
  }
  expect_failure(encoder.commit(), ErrorCode::kInvalidState, {"\"passing\"", "freed"});
  EXPECT_TRUE(queue().pending().empty());
  EXPECT_EQ(hal().live_memories(), 2);
}

TEST_F(UnretainedTest, BufferFreedBeforeTheCompletionIsFound) {  // row H2
  CommandEncoder encoder = unretained();
  std::optional<Buffer> passing = make_buffer(16, "passing");
  encoder.fill(passing->view(), std::byte{1});
  Submission work = encoder.commit().value();
  passing.reset();
  queue().complete_all();
  expect_failure(work.wait(), ErrorCode::kInvalidState, {"\"passing\"", "freed"});
  EXPECT_EQ(hal().live_memories(), 2);
}

TEST_F(UnretainedTest, BufferThatStaysIsFine) {  // row H2
  CommandEncoder encoder = unretained();
  for (int i = 0; i < 2; ++i) {
    encoder.fill(a_.view(), std::byte{1});
    Submission work = encoder.commit().value();
    queue().complete_all();
    EXPECT_TRUE(work.wait().has_value());
    ASSERT_TRUE(encoder.begin().has_value());
  }
}

TEST_F(UnretainedTest, RecordingSkipsTheReferenceWithoutChecks) {  // row H2
  hal().test_features.lifetime_checks = false;
  CommandEncoder encoder = unretained();
  const std::uint32_t before = a_.state()->reference_count();
  encoder.fill(a_.view(), std::byte{1});
  EXPECT_EQ(a_.state()->reference_count(), before);
  Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(a_.state()->reference_count(), before);
}

TEST_F(UnretainedTest, LifetimeOfTheEncoderWinsOverTheDevices) {  // row H2, J7
  DeviceOptions options;
  options.unretained = true;
  test::FakeSetup setup = test::open_fake(test::Completion::kManual, options);
  BufferDesc desc;
  desc.size_bytes = 16;
  const Buffer buffer = setup.device.create_buffer(desc).value();
  const std::uint32_t before = buffer.state()->reference_count();
  CommandEncoder by_default = setup.device.create_encoder().value();
  by_default.fill(buffer.view(), std::byte{1});
  EXPECT_EQ(buffer.state()->reference_count(), before);
  EncoderOptions retained;
  retained.lifetime = Lifetime::kRetained;
  CommandEncoder given = setup.device.create_encoder(retained).value();
  given.fill(buffer.view(), std::byte{1});
  EXPECT_EQ(buffer.state()->reference_count(), before + 1);
}

// -- Destruction

TEST_F(SubmissionTest, HandlesMayGoInAnyOrder) {  // row K5
  // Which of {device, buffer, encoder, submission} goes when; the fake outlives them all.
  std::vector<int> order{0, 1, 2, 3};
  do {
    test::FakeSetup setup = test::open_fake(test::Completion::kManual);
    const std::shared_ptr<test::FakeDevice> hal = setup.hal;
    setup.hal.reset();
    BufferDesc desc;
    desc.size_bytes = 16;
    std::optional<Buffer> buffer = setup.device.create_buffer(desc).value();
    std::optional<CommandEncoder> encoder = setup.device.create_encoder().value();
    encoder->fill(buffer->view(), std::byte{1});
    std::optional<Submission> work = encoder->commit().value();
    for (const int which : order) {
      switch (which) {
        case 0: setup.device = Device(); break;
        case 1: buffer.reset(); break;
        case 2: encoder.reset(); break;
        default: work.reset(); break;
      }
    }
    EXPECT_EQ(hal->queue_count(), 0u) << "The device is gone.";
    EXPECT_EQ(hal->live_memories(), 0);
  } while (std::ranges::next_permutation(order).found);
}

TEST_F(SubmissionTest, OutlivesTheHandleOfItsDevice) {  // row K5
  test::FakeSetup setup = test::open_fake(test::Completion::kManual);
  BufferDesc desc;
  desc.size_bytes = 16;
  const Buffer buffer = setup.device.create_buffer(desc).value();
  CommandEncoder encoder = setup.device.create_encoder().value();
  setup.device = Device();
  encoder.fill(buffer.view(), std::byte{5});
  Submission work = encoder.commit().value();
  EXPECT_EQ(setup.hal->queue().complete_all(), 1u);
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_THAT(test::read_bytes(buffer.view()), testing::Each(5));
}

TEST_F(SubmissionTest, LastHandleFinishesWhatIsInFlight) {  // row K5, G3
  Buffer buffer;
  {
    const test::FakeSetup setup = test::open_fake(test::Completion::kManual);
    BufferDesc desc;
    desc.size_bytes = 16;
    buffer = setup.device.create_buffer(desc).value();
    CommandEncoder encoder = setup.device.create_encoder().value();
    encoder.fill(buffer.view(), std::byte{5});
    static_cast<void>(encoder.commit().value());
  }
  EXPECT_THAT(test::read_bytes(buffer.view()), testing::Each(5));
}

}  // namespace
}  // namespace segue
