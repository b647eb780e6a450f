// SPDX-License-Identifier: Apache-2.0
#include "segue/counters.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "runtime/device_core.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using runtime::CounterSet;

constexpr std::array kAll = {
    &Counters::syncs,
    &Counters::dispatches_recorded,
    &Counters::dispatches_executed,
    &Counters::command_buffers,
    &Counters::barriers_issued,
    &Counters::barriers_inferred,
    &Counters::concurrent,
    &Counters::boundary_waits,
    &Counters::barrier_ns,
    &Counters::residency_flushes,
};
static_assert(sizeof(Counters) == kAll.size() * sizeof(std::uint64_t),
              "A counter is missing above.");

/// 1 in the first counter, 2 in the second, and so on.
Counters staircase() {
  Counters counters;
  std::uint64_t value = 0;
  for (const auto field : kAll) counters.*field = ++value;
  return counters;
}

TEST(CounterSet, AddsEveryCounterToItsDeviceAndTheProcess) {  // row J1
  reset_process_counters();
  CounterSet first;
  CounterSet second;
  first.add(staircase());
  first.add(staircase());
  second.add(staircase());
  const Counters one = first.read();
  const Counters all = process_counters();
  std::uint64_t step = 0;
  for (const auto field : kAll) {
    ++step;
    EXPECT_EQ(one.*field, 2 * step);
    EXPECT_EQ(all.*field, 3 * step);
  }
}

TEST(CounterSet, DeviceAndProcessResetApart) {  // row J1
  reset_process_counters();
  CounterSet set;
  set.add(staircase());
  set.reset();
  for (const auto field : kAll) EXPECT_EQ(set.read().*field, 0u);
  EXPECT_EQ(process_counters().residency_flushes, kAll.size());
  set.add(staircase());
  reset_process_counters();
  for (const auto field : kAll) EXPECT_EQ(process_counters().*field, 0u);
  EXPECT_EQ(set.read().syncs, 1u);
}

TEST(CounterSet, CountsFromSeveralThreads) {  // row J1, K5
  CounterSet set;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&set] {
        for (int i = 0; i < 1000; ++i) set.add(staircase());
      });
    }
  }
  EXPECT_EQ(set.read().concurrent, 4000u * 7u);
}

TEST(Counters, ElisionRateIsTheShareThatNeededNoBarrier) {  // row J2
  Counters counters;
  EXPECT_FALSE(counters.elision_rate().has_value());
  counters.concurrent = 3;
  counters.barriers_inferred = 1;
  EXPECT_DOUBLE_EQ(counters.elision_rate().value(), 0.75);
  counters.concurrent = 0;
  EXPECT_DOUBLE_EQ(counters.elision_rate().value(), 0.0);
}

TEST(Counters, FollowARecordingFromCallToCompletion) {  // row J1
  const test::FakeSetup setup = test::open_fake(test::Completion::kManual);
  const Device& device = setup.device;
  BufferDesc desc;
  desc.size_bytes = 64;
  const Buffer a = device.create_buffer(desc).value();
  const Buffer b = device.create_buffer(desc).value();
  CommandEncoder encoder = device.create_encoder().value();
  encoder.fill(a.view(), std::byte{1});
  encoder.fill(b.view(), std::byte{2});  // joins the first
  encoder.copy(a.view(), b.view());      // needs a barrier
  EXPECT_EQ(device.counters().dispatches_executed, 0u);
  Submission work = encoder.commit().value();
  EXPECT_EQ(device.counters().dispatches_recorded, 3u);
  EXPECT_EQ(device.counters().barriers_inferred, 1u);
  EXPECT_EQ(device.counters().concurrent, 2u);
  setup.hal->queue().complete_all();
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_EQ(device.counters().dispatches_executed, 3u);
  EXPECT_EQ(device.counters().command_buffers, 1u);
  EXPECT_EQ(device.counters().barriers_issued, 1u);
  EXPECT_EQ(device.counters().syncs, 0u);
  device.reset_counters();
  EXPECT_EQ(device.counters().dispatches_recorded, 0u);
}

}  // namespace
}  // namespace segue
