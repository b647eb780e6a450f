// SPDX-License-Identifier: Apache-2.0
//
// Timelines: what the host can do with them, and how submissions get to wait and to signal.
#include <chrono>
#include <optional>
#include <thread>

#include "support/fake_timeline.hpp"
#include "unit/runtime/timeline_fixture.hpp"

namespace segue::test {
namespace {

using namespace std::chrono_literals;

class TimelineTest : public TimelineFixture {};

// -- The host

TEST_F(TimelineTest, GoesUpAsTheHostSignals) {  // row G10
  const Timeline timeline = device().create_timeline(5, "steps").value();
  EXPECT_EQ(timeline.label(), "steps");
  EXPECT_EQ(timeline.value().value(), 5U);
  EXPECT_TRUE(timeline.signal(6).has_value());
  EXPECT_TRUE(timeline.signal(100).has_value());
  EXPECT_EQ(timeline.value().value(), 100U);
  expect_failure(timeline.signal(100), ErrorCode::kInvalidArgument, {"100", "\"steps\""});
  expect_failure(timeline.signal(7), ErrorCode::kInvalidArgument, {"value 7", "reached 100"});
  EXPECT_EQ(timeline.value().value(), 100U);
  EXPECT_EQ(timeline.native_handle().type, "fake.timeline");
}

TEST_F(TimelineTest, IsWaitedForByTheHost) {  // row G10
  EXPECT_TRUE(t_.wait(0).has_value());
  expect_failure(t_.wait_for(3, 5ns), ErrorCode::kTimeout, {"\"t\"", "value 3", "5 ns"});
  std::thread signaller([timeline = t_] { EXPECT_TRUE(timeline.signal(4).has_value()); });
  EXPECT_TRUE(t_.wait(3).has_value());
  EXPECT_TRUE(t_.wait_for(4, 5ns).has_value());
  signaller.join();
}

TEST_F(TimelineTest, EmptyHandlesRefuse) {  // row G10, K4
  const Timeline empty;
  EXPECT_FALSE(empty);
  for (const Result<>& result : {empty.signal(1), empty.wait(1), empty.wait_for(1, 5ns),
                                 Result<>(std::unexpected(empty.value().error())),
                                 Result<>(std::unexpected(empty.export_handle().error()))})
    expect_failure(result, ErrorCode::kInvalidState, {"empty"});
  EXPECT_EQ(empty.label(), "");
  EXPECT_EQ(empty.native_handle().type, "none");
  expect_failure(Device().create_timeline(), ErrorCode::kInvalidState, {"empty"});
  expect_failure(Device().import_timeline({}), ErrorCode::kInvalidState, {"empty"});
}

TEST_F(TimelineTest, HandlesAreOneTimeline) {  // row G10
  Timeline copy = t_;
  EXPECT_EQ(copy, t_);
  EXPECT_FALSE(copy == u_);
  EXPECT_TRUE(copy.signal(2).has_value());
  EXPECT_EQ(t_.value().value(), 2U);
  Timeline moved(std::move(copy));
  copy = u_;
  EXPECT_EQ(copy, u_);
  moved = Timeline();
  EXPECT_EQ(hal().live_timelines(), 2);
  t_ = Timeline();
  EXPECT_EQ(hal().live_timelines(), 1);
}

TEST_F(TimelineTest, IsExportedAndImported) {  // row G10
  ASSERT_TRUE(t_.signal(3).has_value());
  const Timeline import = device().import_timeline(t_.export_handle().value(), "import").value();
  EXPECT_EQ(import.value().value(), 3U);
  EXPECT_FALSE(import == t_);
  Submission work = submit({.waits = {{import, 4}}, .signals = {{import, 5}}});
  EXPECT_EQ(run_all(), 0U);
  ASSERT_TRUE(t_.signal(4).has_value());
  EXPECT_EQ(run_all(), 1U);
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(t_.value().value(), 5U);
}

TEST_F(TimelineTest, PassesOnWhyItCannotBeMade) {  // row G10, K3
  hal().options.fail_call = [](std::string_view call) { return call == "create_timeline"; };
  expect_failure(device().create_timeline(), ErrorCode::kOutOfMemory, {"create_timeline"});
  EXPECT_EQ(hal().live_timelines(), 2);
}

// -- Submissions

TEST_F(TimelineTest, IsWaitedForAndSignalledByOneCommit) {  // row G10
  CommandEncoder encoder = make_encoder();
  encoder.wait_for(t_, 1);
  encoder.signal(u_, 7);
  encoder.wait_for(t_, 3);
  encoder.wait_for(t_, 2);
  Submission work = encoder.commit().value();
  const hal::Job& job = *queue().pending().at(0);
  ASSERT_EQ(job.timeline_waits.size(), 1U) << "One wait for each timeline.";
  EXPECT_EQ(job.timeline_waits[0].timeline, &t_.state()->native());
  EXPECT_EQ(job.timeline_waits[0].value, 3U);
  ASSERT_EQ(job.timeline_signals.size(), 1U);
  EXPECT_EQ(job.timeline_signals[0].timeline, &u_.state()->native());
  EXPECT_EQ(job.timeline_signals[0].value, 7U);

  ASSERT_TRUE(encoder.begin().has_value());
  const Submission next = encoder.commit().value();
  EXPECT_TRUE(queue().pending().at(1)->timeline_waits.empty()) << "The commit before had them.";
  EXPECT_TRUE(queue().pending().at(1)->timeline_signals.empty());

  EXPECT_EQ(run_all(), 0U);
  ASSERT_TRUE(t_.signal(3).has_value());
  EXPECT_EQ(run_all(), 2U);
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(u_.value().value(), 7U);
}

TEST_F(TimelineTest, IsForgottenWithARecordingThatIsDiscarded) {  // row G10, G11
  CommandEncoder encoder = make_encoder();
  encoder.wait_for(t_, 1);
  encoder.signal(u_, 1);
  ASSERT_TRUE(encoder.begin().has_value());
  const Submission work = encoder.commit().value();
  EXPECT_EQ(run_all(), 1U);
  EXPECT_EQ(u_.value().value(), 0U);
}

TEST_F(TimelineTest, IsKeptByWhatUsesIt) {  // row G10, H1
  CommandEncoder encoder = make_encoder();
  {
    const Timeline passing = device().create_timeline(1).value();
    encoder.signal(passing, 2);
    encoder.wait_for(u_, 1);
  }
  EXPECT_EQ(hal().live_timelines(), 3);
  const Submission work = encoder.commit().value();
  EXPECT_EQ(hal().live_timelines(), 3);
  ASSERT_TRUE(u_.signal(1).has_value());
  EXPECT_EQ(run_all(), 1U);
  EXPECT_EQ(hal().live_timelines(), 2) << "Gone with the work.";
}

TEST_F(TimelineTest, MakesARecordingFailThatMisusesIt) {  // row G10
  ASSERT_TRUE(t_.signal(4).has_value());
  const FakeSetup other = open_fake();
  const Timeline foreign = other.device.create_timeline(0, "foreign").value();
  const auto expect = [&](auto record, std::initializer_list<std::string_view> parts) {
    expect_failure(try_recording(make_encoder(), record), ErrorCode::kInvalidArgument, parts);
  };
  expect([&](CommandEncoder& encoder) { encoder.wait_for({}, 1); }, {"waited for", "empty"});
  expect([&](CommandEncoder& encoder) { encoder.signal({}, 1); }, {"signalled", "empty"});
  expect([&](CommandEncoder& encoder) { encoder.wait_for(foreign, 1); },
         {"\"foreign\"", "another device"});
  expect([&](CommandEncoder& encoder) { encoder.signal(foreign, 1); },
         {"\"foreign\"", "another device"});
  expect([&](CommandEncoder& encoder) { encoder.signal(t_, 4); },
         {"value 4", "\"t\"", "reached 4", "increase"});
  expect(
      [&](CommandEncoder& encoder) {
        encoder.signal(t_, 6);
        encoder.signal(t_, 7);
      },
      {"6 and 7", "\"t\"", "once"});
  expect(
      [&](CommandEncoder& encoder) {
        encoder.wait_for(t_, 6);
        encoder.signal(t_, 6);
      },
      {"waits for value 6", "signals value 6"});
  expect(
      [&](CommandEncoder& encoder) {
        encoder.signal(t_, 6);
        encoder.wait_for(t_, 9);
      },
      {"waits for value 9", "signals value 6"});
  EXPECT_TRUE(queue().pending().empty());
}

TEST_F(TimelineTest, BelongsToNoCapture) {  // row G10
  for (const bool signals : {false, true}) {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    if (signals)
      encoder.signal(t_, 1);
    else
      encoder.wait_for(t_, 1);
    expect_failure(encoder.take_capture(), ErrorCode::kInvalidState, {"Executable::submit"});
  }
}

TEST_F(TimelineTest, IsWaitedForAndSignalledByReplays) {  // row G10, F1
  const Buffer a = make_words(Words(1));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(next_, {a.view(), make_words(Words(1)).view()}, groups(1));
  }));
  std::vector<Submission> works;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const TimelinePoint wait{t_, i}, signal{u_, 10 * i};
    SubmitOptions options;
    options.label = "replay";
    options.waits = {&wait, 1};
    options.signals = {&signal, 1};
    works.push_back(executable.submit(options).value());
    EXPECT_EQ(works.back().label(), "replay");
  }
  for (std::uint64_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(run_all(), 0U);
    ASSERT_TRUE(t_.signal(i).has_value());
    EXPECT_EQ(run_all(), 1U);
    EXPECT_EQ(u_.value().value(), 10 * i);
  }
  const TimelinePoint late{u_, 30};
  SubmitOptions options;
  options.signals = {&late, 1};
  expect_failure(executable.submit(options), ErrorCode::kInvalidArgument, {"30", "\"u\""});
  expect_failure(executable.submit_and_wait(options), ErrorCode::kInvalidArgument, {"30", "\"u\""});
  EXPECT_EQ(hal().live_timelines(), 2);
  u_ = Timeline();
  EXPECT_EQ(hal().live_timelines(), 2) << "The point has a handle.";
}

// -- Room

TEST_F(TimelineTest, ACommitDoesNotWaitForRoomThatNobodyMakes) {  // row G10, G7
  hal().test_limits.max_submissions_in_flight = 2;
  Submission first = submit({.queue = 0, .waits = {{t_, 1}}});
  Submission second = submit({.queue = 0});
  expect_failure(try_submit({.queue = 1}), ErrorCode::kBusy, {"2 unfinished", "value 1", "\"t\""});
  ASSERT_TRUE(t_.signal(1).has_value());
  // The queue completes by itself from here on.
  hal().options.completion = Completion::kAtSubmit;
  std::thread worker([&] { run_all(); });
  EXPECT_TRUE(try_submit({.queue = 1}).has_value());
  worker.join();
}

TEST_F(TimelineTest, ACommitWaitsForTheOneThatCanComplete) {  // row G10, G7
  hal().test_limits.max_submissions_in_flight = 2;
  const Submission stalled = submit({.queue = 0, .waits = {{t_, 1}}});
  Submission running = submit({.queue = 1});
  std::thread worker([&] { queue(1).complete_next(); });
  const Submission third = submit({.queue = 2});
  worker.join();
  EXPECT_TRUE(running.is_done());
  EXPECT_FALSE(stalled.is_done());
  ASSERT_TRUE(t_.signal(1).has_value());
  run_all();
}

TEST_F(TimelineTest, AReplayDoesNotWaitForParametersThatNobodyFrees) {  // row G10, F4
  CompileOptions compile_options;
  compile_options.max_in_flight = 2;
  Executable executable = compile(capture([](CommandEncoder&) {}), compile_options);
  const TimelinePoint wait{t_, 1};
  SubmitOptions options;
  options.waits = {&wait, 1};
  options.label = "replay";
  const Submission first = executable.submit(options).value();
  const Submission second = executable.submit(options).value();
  expect_failure(executable.submit(options), ErrorCode::kBusy,
                 {"\"replay\"", "for ever", "value 1", "\"t\""});
  ASSERT_TRUE(t_.signal(1).has_value());
  EXPECT_EQ(run_all(), 2U);
  EXPECT_TRUE(executable.submit(options).has_value());
  run_all();
}

}  // namespace
}  // namespace segue::test
