// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "host_program.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace segue::host {
namespace {

using namespace testing;

std::uint32_t test_seed() {
  const char* given = std::getenv("SEGUE_TEST_SEED");
  return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                          : std::random_device{}();
}

/// y[g] = the sum of row g of x, in order; counts how often each group ran.
base::Ref<ir::Kernel> row_sum_kernel(hal::Device& device) {
  return value_of(device.compile(
      kernel(
          "row_sum", {"x", "y", "calls"},
          [](const KernelContext& work, In<float> x, InOut<float> y, InOut<std::uint32_t> calls) {
            const std::size_t columns = x.size() / work.group_count.count();
            for (auto row = work.group_begin; row < work.group_end; ++row) {
              float sum = 0;
              for (const float value : x.subspan(row * columns, columns)) sum += value;
              y[row] = sum;
              ++calls[row];
            }
          }),
      {}));
}

struct Rows {
  std::vector<float> sums;
  std::vector<std::uint32_t> calls;
  friend bool operator==(const Rows&, const Rows&) = default;
};

/// Several dispatches of very different size in one group, twice, the second reading what the first
/// wrote.
Rows run_rows(unsigned threads, Parallelism parallelism, std::uint32_t seed) {
  const auto device = make_device(threads, parallelism);
  const auto kernel = row_sum_kernel(*device);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  TestProgram program;
  std::vector<TestBuffer> outputs;
  std::vector<TestBuffer> counts;
  std::vector<TestBuffer> keep;
  for (const std::uint32_t rows : {1U, 7U, 64U, 333U, 2U, 500U, 1U, 3U}) {
    const TestBuffer x = make_buffer(*device, std::uint64_t{rows} * 257 * sizeof(float));
    for (float& value : x.as<float>()) value = uniform(random);
    const TestBuffer y = make_buffer(*device, rows * sizeof(float));
    const TestBuffer calls = make_buffer(*device, rows * sizeof(std::uint32_t));
    program.dispatch(kernel, {x, y, calls}, {rows, 1, 1});
    keep.push_back(x);
    outputs.push_back(y);
    counts.push_back(calls);
  }
  program.barrier();
  const TestBuffer total = make_buffer(*device, outputs.size() * sizeof(float));
  const TestBuffer total_calls = make_buffer(*device, outputs.size() * sizeof(std::uint32_t));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    program.dispatch(kernel, {outputs[i], {total, i * 4, 4}, {total_calls, i * 4, 4}}, {1, 1, 1});
  }
  EXPECT_FALSE(run(*device, program).error);
  Rows result;
  outputs.push_back(total);
  counts.push_back(total_calls);
  for (const TestBuffer& y : outputs)
    result.sums.insert(result.sums.end(), y.as<float>().begin(), y.as<float>().end());
  for (const TestBuffer& calls : counts) {
    const auto values = calls.as<std::uint32_t>();
    result.calls.insert(result.calls.end(), values.begin(), values.end());
  }
  return result;
}

TEST(HostParallelism, EveryGroupRunsOnceAndResultsAreTheSameForAnyNumberOfThreads) {  // rows B5, D5
  const std::uint32_t seed = test_seed();
  SCOPED_TRACE("SEGUE_TEST_SEED=" + std::to_string(seed));
  const Rows alone = run_rows(1, Parallelism::kNever, seed);
  EXPECT_EQ(std::ranges::count(alone.calls, 1U), static_cast<std::ptrdiff_t>(alone.calls.size()));
  for (const unsigned threads : {2U, 3U, 8U}) {
    EXPECT_EQ(run_rows(threads, Parallelism::kAuto, seed), alone) << threads << " threads";
    EXPECT_EQ(run_rows(threads, Parallelism::kAlways, seed), alone)
        << threads << " threads, always";
  }
}

TEST(HostParallelism, AChainOfGroupsSeesEveryEarlierWrite) {  // row C4
  for (const Parallelism parallelism : {Parallelism::kAuto, Parallelism::kAlways}) {
    const auto device = make_device(4, parallelism);
    const std::uint32_t rows = 4096;
    const TestBuffer values = make_buffer(*device, std::uint64_t{rows} * 64);
    // Row r becomes row (r + 1) plus 1, through a second buffer: each step reads what another
    // thread wrote.
    const TestBuffer next = make_buffer(*device, std::uint64_t{rows} * 64);
    const auto step = value_of(device->compile(
        kernel("step", {"from", "to"},
               [](const KernelContext& work, In<std::uint64_t> from, Out<std::uint64_t> to) {
                 const std::uint64_t count = work.group_count.count();
                 for (auto g = work.group_begin; g < work.group_end; ++g)
                   to[g * 8] = from[(g + count / 2) % count * 8] + 1;
               }),
        {}));
    TestProgram program;
    const int steps = 60;
    for (int i = 0; i < steps; ++i) {
      const TestBuffer& from = i % 2 == 0 ? values : next;
      const TestBuffer& to = i % 2 == 0 ? next : values;
      program.dispatch(step, {from, to}, {rows, 1, 1});
      program.barrier();
    }
    EXPECT_FALSE(run(*device, program).error);
    for (std::uint32_t r = 0; r < rows; ++r)
      ASSERT_EQ(values.as<std::uint64_t>()[r * 8U], steps) << "row " << r;
  }
}

TEST(HostParallelism, AlwaysRunsEachDispatchOfAGroupOnItsOwnThread) {  // row B5
  const auto device = make_device(3, Parallelism::kAlways);
  std::vector<std::thread::id> ids(6);
  TestProgram program;
  for (std::thread::id& id : ids) {
    const auto who = value_of(device->compile(
        raw_kernel("who", {}, [&id](const KernelContext&) { id = std::this_thread::get_id(); }),
        {}));
    program.dispatch(who, {}, {1, 1, 1});
  }
  EXPECT_FALSE(run(*device, program).error);
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(ids[i], ids[i + 3]);
}

TEST(HostParallelism, NeverStaysOnTheWaitingThread) {  // row B5
  const auto device = make_device(8, Parallelism::kNever);
  const TestBuffer large = make_buffer(*device, 8 << 20);
  std::atomic<int> elsewhere = 0;
  const std::thread::id here = std::this_thread::get_id();
  Signature signature;
  signature.parameters = {{"large"}};
  const auto who = value_of(device->compile(
      raw_kernel("who", signature,
                 [&](const KernelContext&) { elsewhere += std::this_thread::get_id() != here; }),
      {}));
  TestProgram program;
  for (int i = 0; i < 10; ++i) program.dispatch(who, {large}, {100, 1, 1});
  EXPECT_FALSE(run(*device, program).error);
  EXPECT_EQ(elsewhere, 0);
}

TEST(HostParallelism, TwoQueuesShareTheTeamWithoutWaitingForEachOther) {  // row C8
  const auto device = make_device(3, Parallelism::kAuto);
  const auto kernel = row_sum_kernel(*device);
  const auto work = [&] {
    const auto queue = value_of(device->create_queue());
    const TestBuffer x = make_buffer(*device, 1 << 20);
    const TestBuffer y = make_buffer(*device, 64 * 4);
    const TestBuffer calls = make_buffer(*device, 64 * 4);
    for (int i = 0; i < 50; ++i) {
      TestProgram program;
      program.dispatch(kernel, {x, y, calls}, {64, 1, 1});
      EXPECT_FALSE(run(*queue, program).error);
    }
    EXPECT_EQ(std::ranges::count(calls.as<std::uint32_t>(), 50U), 64);
  };
  std::thread other(work);
  work();
  other.join();
}

#if defined(__linux__)
/// Confines this process to one processor for a while.
class OneProcessor {
 public:
  OneProcessor() {
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_)) continue;
      CPU_SET(cpu, &one);
      break;
    }
    sched_setaffinity(0, sizeof(one), &one);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  cpu_set_t before_;
};

TEST(HostParallelism, FourThreadsOnOneProcessorFinish) {  // row K3
  const OneProcessor pinned;
  const Rows alone = run_rows(1, Parallelism::kNever, 3);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run_rows(4, Parallelism::kAuto, 3), alone);
    EXPECT_EQ(run_rows(4, Parallelism::kAlways, 3), alone);
  }
}
#endif

}  // namespace
}  // namespace segue::host
