// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "closure_job.hpp"

namespace segue::host {
namespace {

using namespace testing;
using namespace std::chrono_literals;

TEST(HostQueue, WhoWaitsAtOnceRunsTheJobItself) {  // row G1
  const auto device = make_device();
  const auto queue = value_of(device->create_queue());
  std::thread::id ran;
  ClosureJob work(*device, [&] { ran = std::this_thread::get_id(); });
  work.job.waited_for = true;
  ASSERT_TRUE(queue->submit(work.job));
  EXPECT_TRUE(queue->wait(work.job, std::nullopt));
  EXPECT_EQ(ran, std::this_thread::get_id());
}

TEST(HostQueue, JobsNobodyWaitsForRunInOrderOnAnotherThread) {  // rows G3, G7
  const auto device = make_device();
  const auto queue = value_of(device->create_queue());
  std::vector<int> order;
  std::atomic<bool> elsewhere = true;
  std::vector<std::unique_ptr<ClosureJob>> jobs;
  const std::thread::id here = std::this_thread::get_id();
  for (int i = 0; i < 100; ++i) {
    jobs.push_back(std::make_unique<ClosureJob>(*device, [&, i] {
      order.push_back(i);
      if (std::this_thread::get_id() == here) elsewhere = false;
    }));
    ASSERT_TRUE(queue->submit(jobs.back()->job));
  }
  jobs.back()->job.completed.wait(false);
  std::vector<int> expected(100);
  for (int i = 0; i < 100; ++i) expected[static_cast<std::size_t>(i)] = i;
  EXPECT_EQ(order, expected);
  EXPECT_TRUE(elsewhere);
}

TEST(HostQueue, WaitingForALaterJobRunsTheEarlierOnesFirst) {  // row G7
  const auto device = make_device();
  const auto queue = value_of(device->create_queue());
  std::vector<int> order;
  ClosureJob first(*device, [&] { order.push_back(1); });
  ClosureJob second(*device, [&] { order.push_back(2); });
  first.job.waited_for = second.job.waited_for = true;
  ASSERT_TRUE(queue->submit(first.job));
  ASSERT_TRUE(queue->submit(second.job));
  EXPECT_TRUE(queue->wait(second.job, std::nullopt));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_TRUE(first.job.completed);
}

TEST(HostQueue, AWaitGivesUpAtItsDeadlineAndMayBeTriedAgain) {  // row G3
  const auto device = make_device();
  const auto queue = value_of(device->create_queue());
  std::promise<void> gate;
  ClosureJob work(*device, [future = gate.get_future().share()] { future.wait(); });
  ASSERT_TRUE(queue->submit(work.job));
  EXPECT_FALSE(queue->wait(work.job, std::chrono::steady_clock::now() + 5ms));
  EXPECT_FALSE(queue->wait(work.job, std::chrono::steady_clock::now() - 5ms));
  gate.set_value();
  EXPECT_TRUE(queue->wait(work.job, std::chrono::steady_clock::now() + 1h));
  EXPECT_TRUE(queue->wait(work.job, std::chrono::steady_clock::now()));
}

TEST(HostQueue, AWaitWithDeadlineGetsAJobThatWasMeantForItsWaiter) {  // row G3
  const auto device = make_device();
  const auto queue = value_of(device->create_queue());
  ClosureJob work(*device, [] {});
  work.job.waited_for = true;
  ASSERT_TRUE(queue->submit(work.job));
  EXPECT_TRUE(queue->wait(work.job, std::chrono::steady_clock::now() + 1h));
}

TEST(HostQueue, AJobWaitsForJobsOfOtherQueues) {  // row C8
  const auto device = make_device();
  const auto first_queue = value_of(device->create_queue());
  const auto second_queue = value_of(device->create_queue());
  for (int i = 0; i < 50; ++i) {
    int value = 0;
    ClosureJob producer(*device, [&] { value = 1; });
    ClosureJob consumer(*device, [&] { value = value == 1 ? 2 : -1; });
    ClosureJob last(*device, [&] { value = value == 2 ? 3 : -1; });
    hal::Job* const after_producer[] = {&producer.job};
    hal::Job* const after_both[] = {&producer.job, &consumer.job};
    consumer.job.waits = after_producer;
    last.job.waits = after_both;
    consumer.job.waited_for = i % 2 == 0;
    ASSERT_TRUE(first_queue->submit(producer.job));
    ASSERT_TRUE(second_queue->submit(consumer.job));
    if (i % 2 == 0) {
      EXPECT_TRUE(second_queue->wait(consumer.job, std::nullopt));
    }
    ASSERT_TRUE(first_queue->submit(last.job));
    EXPECT_TRUE(first_queue->wait(last.job, std::nullopt));
    EXPECT_EQ(value, 3);
  }
}

TEST(HostQueue, ManyThreadsSubmitAndWaitAtOnce) {  // row G7
  const auto device = make_device(2);
  const auto queue = value_of(device->create_queue());
  std::atomic<int> inside = 0;
  std::atomic<int> overlapping = 0;
  std::atomic<int> done = 0;
  const auto submit_many = [&](int thread) {
    for (int i = 0; i < 200; ++i) {
      ClosureJob work(*device, [&] {
        if (inside.fetch_add(1) != 0) ++overlapping;
        ++done;
        inside.fetch_sub(1);
      });
      work.job.waited_for = (i + thread) % 3 != 0;
      ASSERT_TRUE(queue->submit(work.job));
      if ((i + thread) % 5 == 0 && !work.job.waited_for) {
        while (!queue->wait(work.job, std::chrono::steady_clock::now() + 10ms)) continue;
      } else {
        EXPECT_TRUE(queue->wait(work.job, std::nullopt));
      }
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back(submit_many, t);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 800);
  EXPECT_EQ(overlapping, 0);
}

TEST(HostQueue, GoesAfterItsJobsAreDoneAndMayOutliveTheDevice) {  // row K5
  auto device = make_device();
  auto queue = value_of(device->create_queue());
  int done = 0;
  std::vector<std::unique_ptr<ClosureJob>> jobs;
  for (int i = 0; i < 10; ++i) {
    jobs.push_back(std::make_unique<ClosureJob>(*device, [&] { ++done; }));
    jobs.back()->job.waited_for = i % 2 == 0;
    ASSERT_TRUE(queue->submit(jobs.back()->job));
  }
  device.reset();
  queue.reset();
  EXPECT_EQ(done, 10);
}

}  // namespace
}  // namespace segue::host
