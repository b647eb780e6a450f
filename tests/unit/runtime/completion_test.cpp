// SPDX-License-Identifier: Apache-2.0
//
// Completion callbacks.
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "unit/runtime/timeline_fixture.hpp"

namespace segue::test {
namespace {

class Completed : public TimelineFixture {
 protected:
  /// Notes what it is called with.
  CompletionCallback note(std::string name = "done") {
    return [this, name = std::move(name)](const Result<>& result) {
      calls_.push_back(name + (result ? "" : ": " + result.error().message));
    };
  }
  std::vector<std::string> calls_;
};

TEST_F(Completed, IsToldOnceAndInOrder) {  // row G10
  Submission work = submit({});
  work.on_complete(note("a"));
  work.on_complete(note("b"));
  EXPECT_TRUE(calls_.empty());
  run_all();
  EXPECT_EQ(calls_, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(work.wait().has_value());
  work.on_complete(note("late"));
  EXPECT_EQ(calls_, (std::vector<std::string>{"a", "b", "late"})) << "At once.";
  const Submission next = submit({});
  run_all();
  EXPECT_EQ(calls_.size(), 3U) << "A recording that is used again has forgotten them.";
}

TEST_F(Completed, IsToldBeforeAWaitReturns) {  // row G10
  for (int i = 0; i < 200; ++i) {
    Submission work = submit({});
    int told = 0;
    work.on_complete([&told](const Result<>&) { ++told; });
    std::thread worker([&] { run_all(); });
    EXPECT_TRUE(work.wait().has_value());
    EXPECT_EQ(told, 1);
    worker.join();
  }
}

TEST_F(Completed, IsToldOnceHoweverTheTwoMeet) {  // row G10
  for (int i = 0; i < 500; ++i) {
    Submission work = submit({});
    std::atomic<int> first{0}, second{0};
    std::thread worker([&] { run_all(); });
    work.on_complete([&first](const Result<>&) { ++first; });
    work.on_complete([&second](const Result<>&) { ++second; });
    EXPECT_TRUE(work.wait().has_value());
    worker.join();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 1);
  }
}

TEST_F(Completed, IsToldTheErrorWhichCountsAsSeen) {  // row G10, G3
  submit({}).on_complete(note());
  queue().complete_next(device_error());
  EXPECT_EQ(calls_, std::vector<std::string>{"done: The device fails."});
  EXPECT_TRUE(reported_.empty());
  {
    Submission work = submit({});
    queue().complete_next(device_error());
    work.on_complete(note());
  }
  EXPECT_EQ(calls_.size(), 2U);
  EXPECT_TRUE(reported_.empty());
  static_cast<void>(submit({}));
  queue().complete_next(device_error());
  EXPECT_EQ(reported_.size(), 1U);
}

TEST_F(Completed, IsToldOfBothPartsOfAnEarlyStart) {  // row G10, E3
  const Buffer a = make_words(Words(1));
  const Graph graph = capture([&](CommandEncoder& encoder) {
    for (std::uint32_t i = 0; i < 100; ++i)
      encoder.dispatch(push_, {KernelArg::bytes(i), a.view()}, groups(1));
  });
  Submission work = graph.submit_early(device()).value();
  work.on_complete(note());
  EXPECT_TRUE(queue().complete_next(device_error()));
  EXPECT_TRUE(calls_.empty());
  EXPECT_TRUE(queue().complete_next());
  EXPECT_EQ(calls_, std::vector<std::string>{"done: The device fails."});
  EXPECT_TRUE(reported_.empty());
}

TEST_F(Completed, IsToldOfReplays) {  // row G10, F1
  Executable executable = compile(capture([](CommandEncoder&) {}));
  for (int i = 0; i < 3; ++i) {
    Submission work = executable.submit().value();
    work.on_complete(note());
    run_all();
  }
  EXPECT_EQ(calls_.size(), 3U);
}

TEST_F(Completed, IsToldAtOnceThatNothingWasSubmitted) {  // row G10, G5
  Submission().on_complete(note());
  ASSERT_EQ(calls_.size(), 1U);
  EXPECT_THAT(calls_[0], testing::HasSubstr("empty"));
}

TEST_F(Completed, MaySignalATimeline) {  // row G10
  Submission first = submit({});
  first.on_complete([t = t_](const Result<>& result) {
    EXPECT_TRUE(result.has_value());
    EXPECT_TRUE(t.signal(1).has_value());
  });
  Submission second = submit({.queue = 1, .waits = {{t_, 1}}});
  EXPECT_EQ(run_all(), 2U);
  EXPECT_TRUE(second.wait().has_value());
}

TEST_F(Completed, MayHoldTheLastHandleOfTheDevice) {  // row G10, K5
  FakeSetup setup = open_fake(Completion::kManual);
  const std::shared_ptr<FakeDevice> hal = setup.hal;
  bool told = false;
  {
    Submission work = setup.device.create_encoder()->commit().value();
    work.on_complete([&told, device = setup.device](const Result<>&) { told = true; });
  }
  setup.device = Device();
  EXPECT_EQ(hal->queue_count(), 1U);
  hal->queue().complete_all();
  EXPECT_TRUE(told);
  while (hal->queue_count() != 0) std::this_thread::yield();
}

}  // namespace
}  // namespace segue::test
