// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

#include "closure_job.hpp"

namespace segue::host {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using Uses = std::vector<hal::TimelineUse>;

/// A device, some queues, two timelines.
class HostTimelineTest : public ::testing::Test {
 protected:
  /// A job between waits and signals, which the test keeps until it is done.
  struct Work : ClosureJob {
    Work(hal::Device& device, std::function<void()> function, Uses waits_for, Uses to_signal)
        : ClosureJob(device, std::move(function)),
          waits(std::move(waits_for)),
          signals(std::move(to_signal)) {
      job.timeline_waits = waits;
      job.timeline_signals = signals;
    }
    Uses waits, signals;
  };
  std::unique_ptr<Work> make(std::function<void()> function, Uses waits, Uses signals) {
    return std::make_unique<Work>(*device_, std::move(function), std::move(waits),
                                  std::move(signals));
  }
  static void wait(hal::Queue& queue, Work& work) {
    EXPECT_TRUE(queue.wait(work.job, std::nullopt));
  }

  std::shared_ptr<hal::Device> device_ = make_device(2);
  std::unique_ptr<hal::Timeline> t_ = value_of(device_->create_timeline(0, "t"));
  std::unique_ptr<hal::Timeline> u_ = value_of(device_->create_timeline(0, "u"));
  std::unique_ptr<hal::Queue> one_ = value_of(device_->create_queue());
  std::unique_ptr<hal::Queue> two_ = value_of(device_->create_queue());
  const Error error_{ErrorCode::kBackend, "It never comes.", {}, {}, {}};
};

TEST_F(HostTimelineTest, GoesUpAndIsWaitedFor) {  // row G10
  EXPECT_EQ(value_of(value_of(device_->create_timeline(7, "seven"))->value()), 7U);
  EXPECT_TRUE(value_of(t_->wait(0, std::nullopt)));
  EXPECT_FALSE(value_of(t_->wait(1, std::chrono::steady_clock::now() + 2ms)));
  EXPECT_FALSE(value_of(t_->wait(1, std::chrono::steady_clock::now() - 2ms)));
  std::thread signaller([this] { EXPECT_TRUE(t_->signal(2).has_value()); });
  EXPECT_TRUE(value_of(t_->wait(1, std::nullopt)));
  signaller.join();
  EXPECT_EQ(value_of(t_->value()), 2U);
  EXPECT_EQ(t_->signal(2).error().code, ErrorCode::kInvalidState);
}

TEST_F(HostTimelineTest, CannotBeShared) {  // row G10
  EXPECT_FALSE(device_->features().shared_timelines);
  EXPECT_EQ(t_->export_handle().error().code, ErrorCode::kUnsupported);
  const auto import = device_->import_timeline({"opaque_fd", nullptr, 3}, "import");
  ASSERT_FALSE(import.has_value());
  EXPECT_EQ(import.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(import.error().message, AllOf(HasSubstr("\"import\""), HasSubstr("\"opaque_fd\"")));
}

TEST_F(HostTimelineTest, AJobThatWaitsHoldsUpItsQueueOnly) {  // row G10
  for (const bool waited_for : {false, true}) {
    auto timeline = value_of(device_->create_timeline(0, ""));
    std::atomic<int> last = 0;
    const auto waiting = make([&] { last = 1; }, {{timeline.get(), 3}}, {});
    const auto behind = make([&] { last = 2; }, {}, {});
    const auto apart = make([] {}, {}, {});
    waiting->job.waited_for = behind->job.waited_for = apart->job.waited_for = waited_for;
    ASSERT_TRUE(one_->submit(waiting->job).has_value());
    ASSERT_TRUE(one_->submit(behind->job).has_value());
    ASSERT_TRUE(two_->submit(apart->job).has_value());
    wait(*two_, *apart);
    EXPECT_FALSE(one_->wait(behind->job, std::chrono::steady_clock::now() + 2ms));
    EXPECT_FALSE(waiting->job.completed);
    ASSERT_TRUE(timeline->signal(2).has_value());
    EXPECT_FALSE(one_->wait(waiting->job, std::chrono::steady_clock::now() + 2ms));
    ASSERT_TRUE(timeline->signal(3).has_value());
    wait(*one_, *behind);
    EXPECT_EQ(last, 2);
    EXPECT_TRUE(waiting->job.completed);
  }
}

TEST_F(HostTimelineTest, AJobSignalsAfterItRan) {  // row G10
  int value = 0;
  const auto work = make([&] { value = 5; }, {}, {{t_.get(), 1}, {u_.get(), 9}});
  ASSERT_TRUE(one_->submit(work->job).has_value());
  EXPECT_TRUE(value_of(t_->wait(1, std::nullopt)));
  EXPECT_EQ(value, 5);
  EXPECT_TRUE(value_of(u_->wait(9, std::nullopt)));
  wait(*one_, *work);
}

TEST_F(HostTimelineTest, AJobThatSignalsNeedsNobodyWhoWaitsForIt) {  // row G10
  // Its caller means to wait for it, but for the other one first.
  const auto signaller = make([] {}, {}, {{t_.get(), 1}});
  const auto waiting = make([] {}, {{t_.get(), 1}}, {});
  signaller->job.waited_for = waiting->job.waited_for = true;
  ASSERT_TRUE(one_->submit(signaller->job).has_value());
  ASSERT_TRUE(two_->submit(waiting->job).has_value());
  wait(*two_, *waiting);
  wait(*one_, *signaller);
}

TEST_F(HostTimelineTest, QueuesTakeTurns) {  // row G10
  constexpr int kRounds = 200;
  std::vector<int> order;
  std::vector<std::unique_ptr<Work>> works;
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    works.push_back(make([&order, i] { order.push_back(static_cast<int>(2 * i + 1)); },
                         {{t_.get(), 2 * i + 1}}, {{t_.get(), 2 * i + 2}}));
    ASSERT_TRUE(two_->submit(works.back()->job).has_value());
    works.push_back(make([&order, i] { order.push_back(static_cast<int>(2 * i)); },
                         {{t_.get(), 2 * i}}, {{t_.get(), 2 * i + 1}}));
    ASSERT_TRUE(one_->submit(works.back()->job).has_value());
  }
  EXPECT_TRUE(value_of(t_->wait(2 * kRounds, std::nullopt)));
  for (std::size_t i = 0; i < works.size(); ++i) wait(i % 2 == 0 ? *two_ : *one_, *works[i]);
  ASSERT_EQ(order.size(), 2U * kRounds);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(HostTimelineTest, FailingItEndsWaitsUnrun) {  // row G10
  bool ran = false;
  ASSERT_TRUE(t_->signal(2).has_value());
  const auto waiting = make([&] { ran = true; }, {{t_.get(), 3}}, {{u_.get(), 1}});
  const auto behind = make([] {}, {{t_.get(), 2}}, {});
  ASSERT_TRUE(one_->submit(waiting->job).has_value());
  ASSERT_TRUE(one_->submit(behind->job).has_value());
  std::thread host(
      [this] { EXPECT_EQ(t_->wait(100, std::nullopt).error().message, "It never comes."); });
  t_->fail(3, error_);
  wait(*one_, *behind);
  host.join();
  ASSERT_TRUE(waiting->job.outcome.error.has_value());
  EXPECT_EQ(waiting->job.outcome.error->message, "It never comes.");
  EXPECT_FALSE(ran);
  EXPECT_FALSE(behind->job.outcome.error.has_value()) << "What was reached stays reached.";
  EXPECT_EQ(value_of(u_->value()), 0U) << "The runtime fails it.";
  EXPECT_TRUE(value_of(t_->wait(2, std::nullopt)));
  EXPECT_FALSE(t_->wait(3, std::chrono::steady_clock::now() + 1h).has_value());
  EXPECT_TRUE(t_->signal(9).has_value()) << "Jobs that signal have done nothing wrong.";
  EXPECT_EQ(value_of(t_->value()), 2U);
  t_->fail(5, {ErrorCode::kBackend, "Another.", {}, {}, {}});
  EXPECT_EQ(t_->wait(5, std::nullopt).error().message, "It never comes.");
}

TEST_F(HostTimelineTest, AJobThatFailsDoesNotSignal) {  // row G10
  const auto failing = make([] { throw std::runtime_error("no"); }, {}, {{t_.get(), 1}});
  ASSERT_TRUE(one_->submit(failing->job).has_value());
  wait(*one_, *failing);
  EXPECT_TRUE(failing->job.outcome.error.has_value());
  EXPECT_EQ(value_of(t_->value()), 0U);
}

TEST_F(HostTimelineTest, AJobFailsThatComesTooLateToSignal) {  // row G10
  const auto late = make([] {}, {{u_.get(), 1}}, {{t_.get(), 3}});
  ASSERT_TRUE(one_->submit(late->job).has_value());
  ASSERT_TRUE(t_->signal(3).has_value());
  ASSERT_TRUE(u_->signal(1).has_value());
  wait(*one_, *late);
  ASSERT_TRUE(late->job.outcome.error.has_value());
  EXPECT_THAT(late->job.outcome.error->message,
              AllOf(HasSubstr("value 3"), HasSubstr("reached 3"), EndsWith(".")));
}

TEST_F(HostTimelineTest, AQueueGoesOnceItsWaitsAreEnded) {  // row G10, K5
  const auto waiting = make([] {}, {{t_.get(), 1}}, {});
  const auto unattended = make([] {}, {{t_.get(), 1}}, {});
  waiting->job.waited_for = true;
  ASSERT_TRUE(one_->submit(waiting->job).has_value());
  ASSERT_TRUE(one_->submit(unattended->job).has_value());
  std::thread failer([this] { t_->fail(1, error_); });
  one_.reset();
  failer.join();
  EXPECT_TRUE(waiting->job.outcome.error.has_value());
  EXPECT_TRUE(unattended->job.outcome.error.has_value());
}

}  // namespace
}  // namespace segue::host
