// SPDX-License-Identifier: Apache-2.0
//
// Nothing waits for a value that cannot come: failures travel along timelines, and what nobody can
// signal any more fails.
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "support/fake_timeline.hpp"
#include "unit/runtime/timeline_fixture.hpp"

namespace segue::test {
namespace {

using namespace std::chrono_literals;

class TimelineFailure : public TimelineFixture {
 protected:
  /// A device of its own, whose end the test sees.
  struct Setup {
    FakeSetup fake = open_fake(Completion::kManual, three_queues());
    Timeline t = fake.device.create_timeline(0, "t").value();
    Timeline u = fake.device.create_timeline(0, "u").value();
  };
  static Submission submit_to(const Device& device, unsigned queue,
                              const std::vector<TimelinePoint>& waits,
                              const std::vector<TimelinePoint>& signals) {
    EncoderOptions options;
    options.queue = queue;
    CommandEncoder encoder = device.create_encoder(options).value();
    for (const TimelinePoint& point : waits) encoder.wait_for(point.timeline, point.value);
    for (const TimelinePoint& point : signals) encoder.signal(point.timeline, point.value);
    return encoder.commit().value();
  }
};

// -- Failed submissions

TEST_F(TimelineFailure, EndsWaitsForWhatAFailedSubmissionWasToSignal) {  // row G10, G3
  ASSERT_TRUE(t_.signal(2).has_value());
  Submission failing = submit({.signals = {{t_, 5}}, .label = "failing"});
  Submission waiting = submit({.queue = 1, .waits = {{t_, 4}}, .label = "waiting"});
  Submission after = submit({.queue = 1});
  EXPECT_TRUE(queue().complete_next(device_error()));
  EXPECT_EQ(run_all(), 2U);
  expect_failure(failing.wait(), ErrorCode::kBackend, {"The device fails."});
  const Result<> failed = waiting.wait();
  expect_failure(failed, ErrorCode::kBackend,
                 {"Timeline \"t\" fails", "\"failing\"", "to signal 5", "The device fails."});
  EXPECT_EQ(failed.error().label_path, "model/layer");
  EXPECT_EQ(failed.error().native.value().code, -7);
  EXPECT_TRUE(after.wait().has_value()) << "It waits for nothing.";

  expect_failure(t_.wait(3), ErrorCode::kBackend, {"fails"});
  expect_failure(t_.wait_for(6, 5ns), ErrorCode::kBackend, {"fails"});
  expect_failure(t_.value(), ErrorCode::kBackend, {"fails"});
  expect_failure(t_.signal(9), ErrorCode::kBackend, {"fails"});
  expect_failure(try_submit({.signals = {{t_, 9}}}), ErrorCode::kBackend, {"fails"});
  expect_failure(try_submit({.waits = {{t_, 3}}}), ErrorCode::kBackend, {"fails"});
  EXPECT_TRUE(t_.wait(2).has_value()) << "What was reached before stays so.";
  EXPECT_TRUE(try_submit({.waits = {{t_, 2}}}).has_value());
  EXPECT_TRUE(reported_.empty()) << "Somebody waited for each.";
  run_all();
}

TEST_F(TimelineFailure, GoesOnToWhatTheFailedWereToSignal) {  // row G10, G3
  Submission first = submit({.signals = {{t_, 1}}, .label = "first"});
  Submission second =
      submit({.queue = 1, .waits = {{t_, 1}}, .signals = {{u_, 1}}, .label = "second"});
  Submission third = submit({.queue = 2, .waits = {{u_, 1}}, .label = "third"});
  EXPECT_TRUE(queue().complete_next(device_error()));
  expect_failure(u_.wait_for(1, 5ns), ErrorCode::kBackend, {"Timeline \"u\" fails"});
  expect_failure(u_.signal(1), ErrorCode::kBackend, {"Timeline \"u\" fails"});
  EXPECT_FALSE(second.is_done()) << "What it will signal is known to be worth nothing before.";
  EXPECT_EQ(run_all(), 2U);
  expect_failure(third.wait(), ErrorCode::kBackend,
                 {"Timeline \"u\" fails", "\"second\"", "Timeline \"t\" fails", "\"first\"",
                  "The device fails."});
}

TEST_F(TimelineFailure, AlsoEndsWaitsForLargerValues) {  // row G10
  Submission failing = submit({.signals = {{t_, 1}}});
  Submission larger = submit({.queue = 1, .waits = {{t_, 7}}});
  Submission largest = submit({.queue = 2, .waits = {{t_, 9}}});
  EXPECT_TRUE(queue().complete_next(device_error()));
  EXPECT_EQ(run_all(), 2U);
  expect_failure(larger.wait(), ErrorCode::kBackend, {"fails"});
  expect_failure(largest.wait(), ErrorCode::kBackend, {"fails"});
}

TEST_F(TimelineFailure, LeavesASubmissionAloneThatOnlySignals) {  // row G10
  Submission failing = submit({.signals = {{t_, 1}}});
  Submission other = submit({.queue = 1, .signals = {{t_, 2}}});
  EXPECT_TRUE(queue().complete_next(device_error()));
  EXPECT_EQ(run_all(), 1U);
  EXPECT_TRUE(other.wait().has_value());
  expect_failure(t_.wait(2), ErrorCode::kBackend, {"fails"});
}

TEST_F(TimelineFailure, IsReportedForEachSubmissionThatNobodyWaitedFor) {  // row G10, G3
  static_cast<void>(submit({.signals = {{t_, 1}}}));
  static_cast<void>(submit({.queue = 1, .waits = {{t_, 1}}}));
  EXPECT_TRUE(queue().complete_next(device_error()));
  EXPECT_EQ(run_all(), 1U);
  ASSERT_EQ(reported_.size(), 2U);
  EXPECT_EQ(reported_[0], "The device fails.");
  EXPECT_THAT(reported_[1], testing::HasSubstr("fails"));
}

TEST_F(TimelineFailure, EndsWaitsOfTheHost) {  // row G10
  Submission failing = submit({.signals = {{t_, 1}}});
  std::thread host([&] { expect_failure(t_.wait(1), ErrorCode::kBackend, {"fails"}); });
  std::thread beyond([&] { expect_failure(t_.wait(100), ErrorCode::kBackend, {"fails"}); });
  EXPECT_TRUE(queue().complete_next(device_error()));
  host.join();
  beyond.join();
}

TEST_F(TimelineFailure, OfALostDeviceIsThatOfAllItsTimelines) {  // row G10, G4
  std::thread host([&] { expect_failure(u_.wait(1), ErrorCode::kDeviceLost, {"\"u\"", "lost"}); });
  Submission waiting = submit({.queue = 1, .waits = {{t_, 1}}});
  Submission lost = submit({});
  Error error = device_error();
  error.code = ErrorCode::kDeviceLost;
  EXPECT_TRUE(queue().complete_next(error));
  host.join();
  EXPECT_EQ(run_all(), 1U);
  expect_failure(waiting.wait(), ErrorCode::kDeviceLost, {"\"t\"", "lost"});
  expect_failure(t_.signal(1), ErrorCode::kDeviceLost, {"lost"});
  expect_failure(t_.value(), ErrorCode::kDeviceLost, {"lost"});
  expect_failure(device().create_timeline(), ErrorCode::kDeviceLost, {"lost"});
  expect_failure(device().import_timeline({}), ErrorCode::kDeviceLost, {"lost"});
}

// -- Nobody left to signal

TEST_F(TimelineFailure, ComesWhenTheLastHandleGoes) {  // row G10
  Submission waiting = submit({.waits = {{t_, 3}}});
  Timeline copy = t_;
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U);
  copy = Timeline();
  EXPECT_EQ(run_all(), 1U);
  expect_failure(waiting.wait(), ErrorCode::kInvalidState, {"\"t\" fails", "last handle"});
  EXPECT_EQ(hal().live_timelines(), 1);
}

TEST_F(TimelineFailure, DoesNotComeWhileSomethingSubmittedWillSignal) {  // row G10
  Submission waiting = submit({.waits = {{t_, 2}}});
  Submission stalled = submit({.queue = 2, .waits = {{t_, 7}}});
  Submission signaller = submit({.queue = 1, .signals = {{t_, 2}}});
  t_ = Timeline();
  EXPECT_EQ(run_all(), 3U);
  EXPECT_TRUE(waiting.wait().has_value());
  expect_failure(stalled.wait(), ErrorCode::kInvalidState, {"\"t\" fails"});
}

TEST_F(TimelineFailure, SparesValuesThatSomethingSubmittedMaySignal) {  // row G10
  Submission stalled = submit({.waits = {{t_, 7}}});
  Submission hopeful = submit({.queue = 1, .waits = {{u_, 1}}, .signals = {{t_, 3}}});
  Submission waiting = submit({.queue = 2, .waits = {{t_, 3}}});
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U);
  ASSERT_TRUE(u_.signal(1).has_value());
  EXPECT_EQ(run_all(), 3U);
  EXPECT_TRUE(hopeful.wait().has_value());
  EXPECT_TRUE(waiting.wait().has_value());
  expect_failure(stalled.wait(), ErrorCode::kInvalidState, {"\"t\" fails"});
}

TEST_F(TimelineFailure, DoesNotComeWhileARecordingMaySignal) {  // row G10
  Submission waiting = submit({.waits = {{t_, 1}}});
  EncoderOptions options;
  options.queue = 1;
  CommandEncoder encoder = make_encoder(options);
  encoder.signal(t_, 1);
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U);
  Submission signaller = encoder.commit().value();
  EXPECT_EQ(run_all(), 2U);
  EXPECT_TRUE(waiting.wait().has_value());
}

TEST_F(TimelineFailure, ComesWhenARecordingIsDroppedThatMightHaveSignalled) {  // row G10
  Submission waiting = submit({.waits = {{t_, 1}}});
  std::optional<CommandEncoder> encoder = make_encoder();
  encoder->signal(t_, 1);
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U);
  encoder.reset();
  EXPECT_EQ(run_all(), 1U);
  expect_failure(waiting.wait(), ErrorCode::kInvalidState, {"\"t\" fails"});
}

TEST_F(TimelineFailure, ComesWhenTheSignallerIsItselfStalled) {  // row G10
  Submission waiting = submit({.waits = {{t_, 1}}});
  Submission signaller = submit({.queue = 1, .waits = {{u_, 1}}, .signals = {{t_, 1}}});
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U) << "The host may signal u.";
  u_ = Timeline();
  EXPECT_EQ(run_all(), 2U);
  expect_failure(signaller.wait(), ErrorCode::kInvalidState, {"\"u\" fails"});
  expect_failure(waiting.wait(), ErrorCode::kInvalidState,
                 {"\"t\" fails", "\"work\" failed", "\"u\" fails"});
  EXPECT_EQ(hal().live_timelines(), 0);
}

TEST_F(TimelineFailure, EndsCircles) {  // row G10
  Submission first = submit({.waits = {{t_, 5}}, .signals = {{u_, 2}}});
  Submission second = submit({.queue = 1, .waits = {{u_, 1}}, .signals = {{t_, 6}}});
  EXPECT_EQ(run_all(), 0U);
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U) << "The host may signal u.";
  u_ = Timeline();
  EXPECT_EQ(run_all(), 2U);
  EXPECT_FALSE(first.wait().has_value());
  EXPECT_FALSE(second.wait().has_value());
  EXPECT_EQ(hal().live_timelines(), 0);
}

TEST_F(TimelineFailure, SparesWhatOthersMaySignal) {  // row G10
  const std::unique_ptr<FakeTimeline> other = std::make_unique<FakeTimeline>(
      FakeTimeline::take_over(t_.export_handle().value()), std::make_shared<std::atomic<int>>(0));
  Submission waiting = submit({.waits = {{t_, 1}}});
  t_ = Timeline();
  EXPECT_EQ(run_all(), 0U);
  ASSERT_TRUE(other->signal(1).has_value());
  EXPECT_EQ(run_all(), 1U);
  EXPECT_TRUE(waiting.wait().has_value());
}

TEST_F(TimelineFailure, LetsADeviceGoWhoseWorkWaits) {  // row G10, K5
  // Which of {device, timelines, submissions} goes when.
  std::vector<int> order{0, 1, 2};
  do {
    std::optional<Setup> setup{std::in_place};
    const std::shared_ptr<FakeDevice> hal = setup->fake.hal;
    setup->fake.hal.reset();
    setup->fake.device.set_error_handler([](const Error&) {});
    std::vector<Submission> works;
    const Device& device = setup->fake.device;
    works.push_back(submit_to(device, 0, {{setup->t, 1}}, {{setup->u, 3}}));
    works.push_back(submit_to(device, 1, {{setup->u, 3}, {setup->t, 1}}, {{setup->t, 2}}));
    works.push_back(submit_to(device, 1, {}, {}));
    works.push_back(submit_to(device, 2, {{setup->t, 9}}, {{setup->t, 10}}));
    for (const int which : order) {
      switch (which) {
        case 0: setup->fake.device = Device(); break;
        case 1:
          setup->u = Timeline();
          setup->t = Timeline();
          break;
        default: works.clear();
      }
    }
    EXPECT_EQ(hal->queue_count(), 0U);
    EXPECT_EQ(hal->live_timelines(), 0);
  } while (std::ranges::next_permutation(order).found);
}

}  // namespace
}  // namespace segue::test
