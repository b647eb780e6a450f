// SPDX-License-Identifier: Apache-2.0
//
// Device times: of submissions, and of single commands, for which each gets a pass.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kWords = 64;

struct Line {
  std::uint32_t factor, summand;
};

class MetalProfiling : public MetalTest {
 protected:
  void SetUp() override { open({}); }
  void TearDown() override {
    drop();
    MetalTest::TearDown();
  }
  void open(metal_double::Options machine) {
    drop();
    DeviceOptions options;
    options.profile = true;
    use(std::move(machine), {}, options);
    line_ = kernel("line");
    x_ = buffer(kWords, "x");
    y_ = buffer(kWords, "y");
    metal_double::clear_log();
  }
  void drop() {
    line_ = {};
    x_ = {};
    y_ = {};
  }
  void record(CommandEncoder& encoder) const {
    encoder.dispatch(line_, {x_.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords),
                     {.label = "first"});
    encoder.dispatch(line_, {y_.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords),
                     {.label = "second"});
    encoder.dispatch(line_, {x_.view(), KernelArg::bytes(Line{3, 0})}, threads(0),
                     {.label = "nothing"});
    encoder.copy(x_.view(), y_.view());
    encoder.dispatch(line_, {x_.view(), KernelArg::bytes(Line{3, 0})}, threads(kWords),
                     {.label = "last"});
  }
  void expect_content() const {
    EXPECT_THAT(words(x_), Each(15U));
    EXPECT_THAT(words(y_), Each(5U));
  }
  /// Each within the submission, and all in order, since each has its own pass.
  static void expect_times(const Submission& done, std::vector<std::string> labels) {
    const GpuTime whole = done.gpu_time().value();
    const std::vector<DispatchTime> times = done.dispatch_times().value();
    ASSERT_THAT(times, SizeIs(labels.size()));
    double before = whole.start_seconds;
    for (std::size_t i = 0; i < times.size(); ++i) {
      EXPECT_EQ(times[i].label, labels[i]);
      EXPECT_GE(times[i].start_seconds, before) << i;
      EXPECT_GE(times[i].end_seconds, times[i].start_seconds) << i;
      before = times[i].end_seconds;
    }
    EXPECT_LE(before, whole.end_seconds);
  }

  Kernel line_;
  Buffer x_, y_;
};

TEST_F(MetalProfiling, GivesEachCommandAPass) {  // row J5
  CommandEncoder encoder = this->encoder();
  record(encoder);
  Submission work = encoder.commit().value();
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_EQ(log_count("computeCommandEncoderWithDispatchType serial sampled") +
                log_count("computeCommandEncoderWithDispatchType concurrent sampled"),
            4U);
  EXPECT_EQ(log_count("endEncoding"), 4U);
  EXPECT_EQ(log_count("memoryBarrier"), 0U);  // the ends of passes are some
  EXPECT_EQ(log_count("updateFence"), 4U);
  expect_content();
  expect_times(work, {"first", "second", "Copy", "last"});
}

TEST_F(MetalProfiling, KeepsTheOrderOfPassesInAnyOrderOfExecution) {  // rows C4, J5
  for (int i = 0; i < 10; ++i) {
    open(machine_with(i == 0 ? metal_double::Order::kReversed : metal_double::Order::kRandom));
    CommandEncoder encoder = this->encoder();
    record(encoder);
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    expect_content();
  }
}

TEST_F(MetalProfiling, TimesIndirectGridsWithoutWhatBoundsThem) {  // rows B6, J5
  const Kernel tell = kernel("tell_grid");
  const Buffer counts = buffer_of(std::vector<std::uint32_t>{2, 1, 1});
  const std::vector<KernelArg> args{y_.view(0, 12).value()};
  for (const bool captured : {false, true}) {
    CommandEncoder encoder = this->encoder();
    if (captured) encoder.start_capture();
    encoder.dispatch_indirect(tell, args, counts.view(), {4, 1, 1});
    Executable executable;
    if (captured) executable = encoder.take_capture().value().compile(device_).value();
    metal_double::clear_log();
    Submission work = captured ? executable.submit().value() : encoder.commit().value();
    ASSERT_TRUE(work.wait().has_value());
    EXPECT_EQ(log_count("computeCommandEncoder"), 2U);
    EXPECT_EQ(log_count("sampled"), 1U);
    expect_times(work, {"tell_grid"});
    EXPECT_EQ(words(y_)[0], 64U);
  }
}

TEST_F(MetalProfiling, MapsTheClockOfTheDevice) {  // row J5
  for (const double ticks : {0.024, 1.0, 3.5}) {
    metal_double::Options machine;
    machine.gpu_ticks_per_ns = ticks;
    open(machine);
    CommandEncoder encoder = this->encoder();
    record(encoder);
    // The first pass has begun and does not end while nothing runs.
    constexpr std::chrono::milliseconds kHeld{40};
    metal_double::hold_execution(true);
    Submission work = encoder.commit().value();
    std::this_thread::sleep_for(kHeld);
    metal_double::hold_execution(false);
    ASSERT_TRUE(work.wait().has_value());
    expect_times(work, {"first", "second", "Copy", "last"});
    const DispatchTime first = work.dispatch_times().value()[0];
    EXPECT_GE(first.elapsed_seconds(), 0.5 * std::chrono::duration<double>(kHeld).count());
  }
}

TEST_F(MetalProfiling, WorksInReplays) {  // rows F5, J5
  CommandEncoder encoder = this->encoder();
  encoder.start_capture();
  record(encoder);
  Executable executable = encoder.take_capture().value().compile(device_).value();
  Submission work = executable.submit().value();
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_EQ(log_count("sampled"), 4U);
  EXPECT_EQ(log_count("executeCommandsInBuffer"), 0U);
  expect_content();
  EXPECT_THAT(work.dispatch_times().value(), SizeIs(4));
}

TEST_F(MetalProfiling, IsSwitchedOnForSingleReplays) {  // rows F5, J5
  drop();
  use({});
  line_ = kernel("line");
  x_ = buffer(kWords, "x");
  y_ = buffer(kWords, "y");
  CommandEncoder encoder = this->encoder();
  encoder.start_capture();
  record(encoder);
  Executable executable = encoder.take_capture().value().compile(device_).value();
  Submission plain = executable.submit().value();
  ASSERT_TRUE(plain.wait().has_value());
  EXPECT_THAT(plain.dispatch_times().value(), IsEmpty());
  EXPECT_EQ(log_count("sampled"), 0U);
  expect_content();
  executable.set_profiling(true);
  Submission timed = executable.submit().value();
  ASSERT_TRUE(timed.wait().has_value());
  EXPECT_THAT(timed.dispatch_times().value(), SizeIs(4));
  executable.set_profiling(false);
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("sampled"), 0U);
  EXPECT_EQ(log_count("computeCommandEncoder"), 1U);
}

TEST_F(MetalProfiling, TimesMoreCommandsThanOneBufferOfSamplesHolds) {  // row J5
  constexpr std::uint32_t kCommands = 2100;  // two samples each, 4,096 in a buffer
  CommandEncoder encoder = this->encoder();
  for (std::uint32_t i = 0; i < kCommands; ++i) {
    encoder.dispatch(line_, {x_.view(), KernelArg::bytes(Line{1, 1})}, threads(kWords));
  }
  Submission work = encoder.commit().value();
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_THAT(words(x_), Each(kCommands));
  expect_times(work, std::vector<std::string>(kCommands, "line"));
}

TEST_F(MetalProfiling, LeavesTimesOutWhereTheDeviceHasNone) {  // row J5
  metal_double::Options machine;
  machine.timestamp_counters = false;
  open(machine);
  CommandEncoder encoder = this->encoder();
  record(encoder);
  Submission work = encoder.commit().value();
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_THAT(work.dispatch_times().value(), IsEmpty());
  EXPECT_EQ(log_count("computeCommandEncoder"), 1U);
  expect_content();
  const GpuTime whole = work.gpu_time().value();
  EXPECT_GT(whole.start_seconds, 0.0);
  EXPECT_GE(whole.end_seconds, whole.start_seconds);
}

TEST_F(MetalProfiling, SumsTimesUpByLabel) {  // row J4
  CommandEncoder encoder = this->encoder();
  for (int i = 0; i < 3; ++i) {
    record(encoder);
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    ASSERT_TRUE(encoder.begin().has_value());
  }
  bool found = false;
  for (const LabelTime& label : device_.label_times()) {
    if (label.label != "last") continue;
    found = true;
    EXPECT_EQ(label.count, 3U);
    EXPECT_LE(label.min_seconds, label.max_seconds);
    EXPECT_GE(label.total_seconds, label.max_seconds);
  }
  EXPECT_TRUE(found);
}

TEST_F(MetalProfiling, CountsTheTimeOfBarrierCallsOnRequest) {  // rows J1, J3
  drop();
  DeviceOptions options;
  options.profile_barriers = true;
  use({}, {}, options);
  line_ = kernel("line");
  x_ = buffer(kWords);
  y_ = buffer(kWords);
  CommandEncoder encoder = this->encoder();
  record(encoder);
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(device_.counters().barriers_issued, log_count("memoryBarrier"));
  EXPECT_GT(device_.counters().barrier_ns, 0U);
}

}  // namespace
}  // namespace segue::metal
