// SPDX-License-Identifier: Apache-2.0
//
// Timelines and completion callbacks on every device. What is ordered by timelines hides its
// accesses, so that the device's own hazards do not order it as well.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/harness.hpp"
#include "segue/executable.hpp"
#include "segue/graph.hpp"
#include "segue/timeline.hpp"
#include "support/test_seed.hpp"

namespace segue::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kCount = 1000;  // no multiple of the group size

class TimelineConformance : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    device_.set_error_handler([](const Error&) {});
    t_ = device_.create_timeline(0, "t").value();
    u_ = device_.create_timeline(0, "u").value();
  }

  /// y += x, without saying so.
  void add_hidden(CommandEncoder& encoder, const Buffer& x, const Buffer& y) const {
    DispatchOptions hidden;
    hidden.reads.emplace();
    hidden.writes.emplace();
    encoder.dispatch(kernel("test_add"), {x.view(), y.view(), KernelArg::bytes(1U)},
                     threads(kCount), hidden);
  }
  static Submission commit(CommandEncoder& encoder, std::string_view label = "work") {
    Result<Submission> submitted = encoder.commit(label);
    EXPECT_TRUE(submitted.has_value()) << submitted.error().to_string();
    return *std::move(submitted);
  }
  /// What waits for `t` and then signals `u`, without other work.
  Submission submit_between(const TimelinePoint& wait, const TimelinePoint& signal,
                            unsigned queue = 0) const {
    CommandEncoder encoder = make_encoder(queue);
    encoder.wait_for(wait.timeline, wait.value);
    encoder.signal(signal.timeline, signal.value);
    return commit(encoder);
  }
  static void expect_done(const Result<>& result) {
    EXPECT_TRUE(result.has_value()) << result.error().to_string();
  }
  template <class T>
  static void expect_failure(const Result<T>& result, ErrorCode code, std::string_view part) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(to_string(result.error().code), to_string(code)) << result.error().to_string();
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }

  Timeline t_, u_;
};

// -- Order

TEST_P(TimelineConformance, TwoQueuesTakeTurnsWhicheverIsSubmittedFirst) {  // row G10
  constexpr std::uint32_t kTurns = 12;
  for (const unsigned submitted_first : {0U, 1U}) {
    const Timeline turn = device_.create_timeline(0, "turn").value();
    const std::array buffers{make_buffer(Words(kCount, 0)), make_buffer(Words(kCount, 1))};
    std::vector<Submission> works;
    for (const unsigned queue : {submitted_first, 1 - submitted_first}) {
      for (std::uint32_t i = queue; i < kTurns; i += 2) {
        CommandEncoder encoder = make_encoder(queue);
        encoder.wait_for(turn, i);
        add_hidden(encoder, buffers[1 - queue], buffers[queue]);
        encoder.signal(turn, i + 1);
        works.push_back(commit(encoder));
      }
    }
    expect_done(turn.wait(kTurns));
    EXPECT_EQ(turn.value().value(), kTurns);
    for (Submission& work : works) expect_done(work.wait());
    std::array<std::uint32_t, 2> want{0, 1};
    for (std::uint32_t i = 0; i < kTurns; ++i) want[i % 2] += want[1 - i % 2];
    EXPECT_EQ(read(buffers[0].view()), Words(kCount, want[0]));
    EXPECT_EQ(read(buffers[1].view()), Words(kCount, want[1]));
  }
}

/// Additions among some buffers on two queues, each of which waits for what it conflicts with on
/// the other queue, and no more.
TEST_P(TimelineConformance, RandomOrdersGiveWhatTheyAskFor) {  // row G10
  constexpr std::uint32_t kBuffers = 4, kOps = 24;
  struct Op {
    unsigned queue;
    std::uint32_t from, to;
    std::uint64_t waits_for;  // value of the other queue's timeline
    std::uint64_t signals;
  };
  std::mt19937_64 random(test_seed());
  const auto below = [&random](std::uint64_t n) {
    return static_cast<std::uint32_t>(random() % n);
  };
  for (int round = 0; round < 10; ++round) {
    const std::array timelines{device_.create_timeline().value(),
                               device_.create_timeline().value()};
    std::vector<Buffer> buffers;
    Words want;
    for (std::uint32_t i = 0; i < kBuffers; ++i) {
      want.push_back(below(1000));
      buffers.push_back(make_buffer(Words(kCount, want.back())));
    }
    std::array<std::vector<Op>, 2> queues;
    for (std::uint32_t i = 0; i < kOps; ++i) {
      Op op{below(2), below(kBuffers), 0, 0, 0};
      op.to = (op.from + 1 + below(kBuffers - 1)) % kBuffers;
      for (const Op& other : queues[1 - op.queue]) {
        if (other.to == op.from || other.to == op.to || other.from == op.to)
          op.waits_for = other.signals;
      }
      op.signals = queues[op.queue].size() + 1;
      queues[op.queue].push_back(op);
      want[op.to] += want[op.from];
    }
    std::array<std::size_t, 2> next{};
    std::vector<Submission> works;
    while (works.size() < kOps) {
      unsigned queue = below(2);
      if (next[queue] == queues[queue].size()) queue = 1 - queue;
      const Op& op = queues[queue][next[queue]++];
      CommandEncoder encoder = make_encoder(queue);
      encoder.wait_for(timelines[1 - queue], op.waits_for);
      encoder.signal(timelines[queue], op.signals);
      add_hidden(encoder, buffers[op.from], buffers[op.to]);
      works.push_back(commit(encoder));
    }
    for (Submission& work : works) expect_done(work.wait());
    for (std::uint32_t i = 0; i < kBuffers; ++i)
      ASSERT_EQ(read(buffers[i].view()), Words(kCount, want[i])) << "round " << round;
  }
}

TEST_P(TimelineConformance, ReplaysTakeTurns) {  // row G10, F1
  constexpr std::uint32_t kTurns = 6;
  const std::array buffers{make_buffer(Words(kCount, 0)), make_buffer(Words(kCount, 1))};
  std::vector<Executable> executables;
  for (const unsigned queue : {0U, 1U}) {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    add_hidden(encoder, buffers[1 - queue], buffers[queue]);
    CompileOptions options;
    options.queue = queue;
    executables.push_back(encoder.take_capture().value().compile(device_, options).value());
  }
  std::vector<Submission> works;
  for (const std::uint32_t queue : {1U, 0U}) {
    for (std::uint32_t i = queue; i < kTurns; i += 2) {
      const TimelinePoint wait{t_, i}, signal{t_, i + 1};
      SubmitOptions options;
      options.waits = {&wait, 1};
      options.signals = {&signal, 1};
      Result<Submission> work = executables[queue].submit(options);
      ASSERT_TRUE(work.has_value()) << work.error().to_string();
      works.push_back(*std::move(work));
    }
  }
  for (Submission& work : works) expect_done(work.wait());
  EXPECT_EQ(t_.value().value(), kTurns);
  std::array<std::uint32_t, 2> want{0, 1};
  for (std::uint32_t i = 0; i < kTurns; ++i) want[i % 2] += want[1 - i % 2];
  EXPECT_EQ(read(buffers[0].view()), Words(kCount, want[0]));
  EXPECT_EQ(read(buffers[1].view()), Words(kCount, want[1]));
}

// -- The host

TEST_P(TimelineConformance, TheHostReleasesWork) {  // row G10
  const Buffer x = make_buffer(counting(kCount));
  for (std::uint64_t i = 1; i <= 5; ++i) {
    CommandEncoder encoder = make_encoder();
    encoder.wait_for(t_, 10 * i);
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
    Submission work = commit(encoder);
    expect_failure(work.wait_for(1ms), ErrorCode::kTimeout, "1000000 ns");
    expect_done(t_.signal(10 * i - 1));
    EXPECT_FALSE(work.is_done());
    expect_done(t_.signal(10 * i));
    expect_done(work.wait());
  }
  EXPECT_EQ(read(x.view()), counting(kCount, 5));
}

TEST_P(TimelineConformance, TheHostGoesOnWhileWorkWaits) {  // row G10
  const Buffer x = make_buffer(counting(kCount));
  CommandEncoder encoder = make_encoder();
  encoder.wait_for(t_, 1);
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  Submission work = commit(encoder);
  // What the driver itself does for the host must not stand behind the work.
  const Buffer large = device_.create_buffer({.size_bytes = 4 << 20}).value();
  const Words brought = counting(kCount, 7);
  expect_done(device_.upload(large.view(0, 4 * kCount).value(), std::as_bytes(std::span(brought))));
  EXPECT_EQ(read(large.view(0, 4 * kCount).value()), brought);
  EXPECT_FALSE(work.is_done());
  expect_done(t_.signal(1));
  expect_done(work.wait());
  EXPECT_EQ(read(x.view()), counting(kCount, 1));
}

TEST_P(TimelineConformance, TheHostReleasesWorkFromAnotherThread) {  // row G10
  const Buffer x = make_buffer(counting(kCount));
  CommandEncoder encoder = make_encoder();
  encoder.wait_for(t_, 1);
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  encoder.signal(t_, 2);
  std::thread host([this] {
    expect_done(t_.signal(1));
    expect_done(t_.wait(2));
  });
  expect_done(encoder.commit_and_wait());
  host.join();
  EXPECT_EQ(read(x.view()), counting(kCount, 1));
}

TEST_P(TimelineConformance, TheHostWaitsForWork) {  // row G10
  const Buffer x = make_buffer(counting(kCount));
  expect_failure(t_.wait_for(1, 1ms), ErrorCode::kTimeout, "value 1");
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  encoder.signal(t_, 3);
  const Submission work = commit(encoder);
  expect_done(t_.wait(2));
  expect_done(t_.wait_for(3, 1h));
  EXPECT_EQ(t_.value().value(), 3U);
  EXPECT_EQ(read(x.view()), counting(kCount, 1));
}

TEST_P(TimelineConformance, EmptyRecordingsPassValuesOn) {  // row G10, G1
  Submission work = submit_between({t_, 1}, {u_, 1});
  expect_failure(work.wait_for(1ms), ErrorCode::kTimeout, "");
  expect_done(t_.signal(1));
  expect_done(u_.wait(1));
  expect_done(work.wait());
}

// -- Callbacks

TEST_P(TimelineConformance, CallbacksComeOnceBeforeAWaitReturns) {  // row G10
  const Buffer x = make_buffer(counting(kCount));
  std::atomic<int> told{0};
  for (int i = 0; i < 20; ++i) {
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
    Submission work = commit(encoder);
    std::vector<int> order;
    work.on_complete([&](const Result<>& result) {
      expect_done(result);
      order.push_back(1);
    });
    work.on_complete([&](const Result<>&) {
      order.push_back(2);
      ++told;
    });
    expect_done(work.wait());
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    work.on_complete([&](const Result<>&) { order.push_back(3); });
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  }
  EXPECT_EQ(told, 20);
}

TEST_P(TimelineConformance, ACallbackReleasesOtherWork) {  // row G10
  Submission waiting = submit_between({t_, 1}, {u_, 1}, 1);
  CommandEncoder encoder = make_encoder();
  commit(encoder).on_complete([t = t_](const Result<>&) { expect_done(t.signal(1)); });
  expect_done(waiting.wait());
}

// -- Errors

TEST_P(TimelineConformance, RefusesWhatCouldNeverRun) {  // row G10, C8
  const Buffer x = make_buffer(counting(kCount)), y = make_buffer(counting(kCount));
  CommandEncoder encoder = make_encoder();
  encoder.wait_for(t_, 1);
  encoder.dispatch(kernel("test_copy"), {x.view(), y.view()}, threads(kCount));
  Submission waiting = commit(encoder, "waiting");
  encoder = make_encoder();
  encoder.signal(t_, 1);
  expect_failure(encoder.commit(), ErrorCode::kInvalidArgument, "\"waiting\"");
  encoder = make_encoder(1);
  encoder.signal(t_, 1);
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  expect_failure(encoder.commit(), ErrorCode::kInvalidArgument, "\"waiting\"");
  encoder = make_encoder(1);
  encoder.signal(t_, 1);
  Submission signaller = commit(encoder);
  expect_done(waiting.wait());
  expect_done(signaller.wait());
  EXPECT_EQ(read(y.view()), counting(kCount));
  EXPECT_EQ(read(x.view()), counting(kCount)) << "What was refused has not run.";
}

TEST_P(TimelineConformance, RefusesValuesThatDoNotGrow) {  // row G10
  expect_done(t_.signal(5));
  expect_failure(t_.signal(5), ErrorCode::kInvalidArgument, "reached 5");
  CommandEncoder encoder = make_encoder();
  encoder.signal(t_, 4);
  expect_failure(encoder.commit(), ErrorCode::kInvalidArgument, "reached 5");
  Submission work = submit_between({u_, 1}, {t_, 8});
  expect_failure(t_.signal(9), ErrorCode::kInvalidArgument, "signal 8");
  expect_done(t_.signal(7));
  expect_done(u_.signal(1));
  expect_done(work.wait());
  expect_done(t_.signal(9));
}

TEST_P(TimelineConformance, EndsWaitsThatNobodyCanSatisfy) {  // row G10
  Submission waiting = submit_between({t_, 3}, {u_, 1});
  Submission next = submit_between({u_, 1}, {u_, 2}, 1);
  std::thread host([this] { expect_failure(u_.wait(2), ErrorCode::kInvalidState, "\"u\""); });
  t_ = Timeline();
  expect_failure(waiting.wait(), ErrorCode::kInvalidState, "\"t\" fails");
  expect_failure(next.wait(), ErrorCode::kInvalidState, "\"u\" fails");
  host.join();
  const Buffer x = make_buffer(counting(kCount));
  for (const unsigned queue : {0U, 1U}) {
    CommandEncoder encoder = make_encoder(queue);
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
    expect_done(encoder.commit_and_wait());
  }
  EXPECT_EQ(read(x.view()), counting(kCount, 2)) << "The device goes on.";
}

TEST_P(TimelineConformance, LetsADeviceGoWhoseWorkWaits) {  // row G10, K5
  DeviceOptions options;
  options.queue_count = 2;
  options.error_handler = [](const Error&) {};
  Device device = GetParam().open(options).value();
  Timeline t = device.create_timeline().value(), u = device.create_timeline().value();
  for (const unsigned queue : {0U, 1U}) {
    EncoderOptions encoder_options;
    encoder_options.queue = queue;
    CommandEncoder encoder = device.create_encoder(encoder_options).value();
    encoder.wait_for(t, 2 + queue);
    encoder.signal(u, 10 + queue);
    static_cast<void>(commit(encoder));
    ASSERT_TRUE(encoder.begin().has_value());
    static_cast<void>(commit(encoder));
  }
  device = Device();
  t = Timeline();
}

TEST_P(TimelineConformance, IsSharedOrSaysThatItCannotBe) {  // row G10
  const Result<NativeHandle> handle = t_.export_handle();
  if (!device_.features().shared_timelines) {
    expect_failure(handle, ErrorCode::kUnsupported, "export");
    expect_failure(device_.import_timeline({"opaque_fd", nullptr, 0}), ErrorCode::kUnsupported,
                   "import");
    return;
  }
  ASSERT_TRUE(handle.has_value()) << handle.error().to_string();
  const Timeline import = device_.import_timeline(*handle, "import").value();
  Submission work = submit_between({import, 1}, {import, 2});
  expect_done(t_.signal(1));
  expect_done(t_.wait(2));
  expect_done(work.wait());
}

INSTANTIATE_TEST_SUITE_P(Devices, TimelineConformance, testing::ValuesIn(conformance_devices()),
                         [](const auto& device) { return device.param.name; });

}  // namespace
}  // namespace segue::test
