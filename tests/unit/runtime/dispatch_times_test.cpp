// SPDX-License-Identifier: Apache-2.0
//
// Device time of dispatches, one by one and by label. Every look at the fake's clock takes a
// second, so the times are known.
#include "runtime/device_core.hpp"
#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

DispatchTime dispatch_time(std::string label, double start, double end) {
  return {std::move(label), 0, start, end};
}

TEST(LabelTimes, SumsUpByLabelMostTimeFirst) {  // row J4
  runtime::LabelTimes times;
  EXPECT_TRUE(times.read().empty());
  times.add(dispatch_time("short", 10, 11));
  times.add(dispatch_time("long", 20, 25));
  times.add(dispatch_time("short", 30, 33));
  times.add(dispatch_time("short", 40, 40.5));
  std::vector<LabelTime> read = times.read();
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].label, "long");
  EXPECT_EQ(read[0].count, 1U);
  EXPECT_EQ(read[0].min_seconds, 5);
  EXPECT_EQ(read[0].max_seconds, 5);
  EXPECT_EQ(read[1].label, "short");
  EXPECT_EQ(read[1].count, 3U);
  EXPECT_EQ(read[1].total_seconds, 4.5);
  EXPECT_EQ(read[1].min_seconds, 0.5);
  EXPECT_EQ(read[1].max_seconds, 3);
  times.reset();
  EXPECT_TRUE(times.read().empty());
}

class DispatchTimesTest : public ReplayTest {
 protected:
  explicit DispatchTimesTest(bool profile = true) : ReplayTest(profiling(profile)) {}
  static DeviceOptions profiling(bool on) {
    DeviceOptions options;
    options.profile = on;
    return options;
  }
  void record(CommandEncoder& encoder) const {
    const LabelScope scope(encoder, "layer");
    encoder.dispatch(next_, {a_.view(), b_.view()}, groups(1), {.label = "first"});
    encoder.dispatch(next_, {b_.view(), a_.view()}, groups(1));
    encoder.fill(b_.view(), std::byte{1});
  }
  [[nodiscard]] static std::vector<std::string> labels(const std::vector<DispatchTime>& times) {
    std::vector<std::string> all;
    for (const DispatchTime& time : times) all.push_back(time.label);
    return all;
  }
  const Buffer a_ = make_words(Words(4), "a");
  const Buffer b_ = make_words(Words(4), "b");
};

TEST_F(DispatchTimesTest, TellWhenEachDispatchRan) {  // row J5
  CommandEncoder encoder = make_encoder();
  record(encoder);
  Submission work = encoder.commit().value();
  expect_failure(work.dispatch_times(), ErrorCode::kInvalidState, {"known once it completed"});
  EXPECT_TRUE(device().label_times().empty());
  queue().complete_all();
  const std::vector<DispatchTime> times = work.dispatch_times().value();
  EXPECT_THAT(labels(times), testing::ElementsAre("layer/first", "layer/next", "layer"));
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].command, i);
    EXPECT_EQ(times[i].elapsed_seconds(), 1);
    if (i != 0) {
      EXPECT_GE(times[i].start_seconds, times[i - 1].end_seconds);
    }
  }
  EXPECT_GE(times.front().start_seconds, work.gpu_time()->start_seconds);
  EXPECT_LE(times.back().end_seconds, work.gpu_time()->end_seconds);
}

TEST_F(DispatchTimesTest, LabelsSumUpWithoutAnybodyWaiting) {  // row J4
  for (int i = 0; i < 3; ++i) {
    CommandEncoder encoder = make_encoder();
    record(encoder);
    ASSERT_TRUE(encoder.commit().has_value());
  }
  queue().complete_all();
  ASSERT_EQ(device().label_times().size(), 3U);
  for (const LabelTime& time : device().label_times()) {
    EXPECT_EQ(time.count, 3U);
    EXPECT_EQ(time.total_seconds, 3);
  }
  device().reset_label_times();
  EXPECT_TRUE(device().label_times().empty());
}

TEST_F(DispatchTimesTest, ReplaysAreTimedAsWell) {  // rows F5, J5
  Executable executable = compile(capture([&](CommandEncoder& encoder) { record(encoder); }));
  Submission work = executable.submit().value();
  queue().complete_all();
  EXPECT_THAT(labels(work.dispatch_times().value()),
              testing::ElementsAre("layer/first", "layer/next", "layer"));
  EXPECT_EQ(device().label_times().size(), 3U);
}

TEST_F(DispatchTimesTest, BothPartsOfAnEarlyStartAreTimed) {  // rows E3, J5
  const Graph graph = capture([&](CommandEncoder& encoder) {
    for (int i = 0; i < 70; ++i)
      encoder.dispatch(push_, {KernelArg::bytes(1U), a_.view()}, groups(1));
  });
  Submission work = graph.submit_early(device()).value();
  queue().complete_all();
  const std::vector<DispatchTime> times = work.dispatch_times().value();
  ASSERT_EQ(times.size(), 70U);
  for (std::uint32_t i = 0; i < 70; ++i) EXPECT_EQ(times[i].command, i);
  EXPECT_LE(work.gpu_time()->start_seconds, times.front().start_seconds);
  EXPECT_GE(work.gpu_time()->end_seconds, times.back().end_seconds);
}

class DispatchTimesOffTest : public DispatchTimesTest {
 protected:
  DispatchTimesOffTest() : DispatchTimesTest(false) {}
};

TEST_F(DispatchTimesOffTest, NothingIsTimedUnlessAskedFor) {  // row J5
  CommandEncoder encoder = make_encoder();
  record(encoder);
  const Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_TRUE(work.dispatch_times()->empty());
  EXPECT_TRUE(device().label_times().empty());
}

TEST_F(DispatchTimesOffTest, AnExecutableIsTimedWhileItIsProfiled) {  // row F5
  Executable executable = compile(capture([&](CommandEncoder& encoder) { record(encoder); }));
  for (const bool on : {false, true, false}) {
    executable.set_profiling(on);
    Submission work = executable.submit().value();
    queue().complete_all();
    EXPECT_EQ(work.dispatch_times()->size(), on ? 3U : 0U);
  }
  EXPECT_EQ(device().label_times().size(), 3U);
}

TEST_F(DispatchTimesOffTest, EmptySubmissionsHaveNone) {  // row K4
  expect_failure(Submission().dispatch_times(), ErrorCode::kInvalidState, {"completed"});
}

}  // namespace
}  // namespace segue::test
