// SPDX-License-Identifier: Apache-2.0
// Positions, groups, constants, and launches that cannot be.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <numeric>
#include <random>
#include <thread>

#include "metal_double/msl/tests/test_kernel.hpp"

namespace metal_double::msl::test {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr std::string_view kPositions = R"(
  struct Seen { uint grid[3], group[3], local[3], size[3], full[3], groups[3], threads[3];
      uint index, lane,
                simdgroup, simdgroups, width; };
  kernel void seen(device Seen* out [[buffer(0)]], uint3 grid [[thread_position_in_grid]],
                   ushort3 group [[threadgroup_position_in_grid]],
                       uint3 local [[thread_position_in_threadgroup]],
                   uint3 size [[threads_per_threadgroup]],
                       uint3 full [[dispatch_threads_per_threadgroup]],
                   uint3 groups [[threadgroups_per_grid]], uint3 threads [[threads_per_grid]],
                   uint index [[thread_index_in_threadgroup]],
                       ushort lane [[thread_index_in_simdgroup]],
                   uint simdgroup [[simdgroup_index_in_threadgroup]],
                   uint simdgroups [[simdgroups_per_threadgroup]],
                       uint width [[threads_per_simdgroup]]) {
    device Seen& to = out[(grid.z * threads.y + grid.y) * threads.x + grid.x];
    for (uint i = 0; i < 3; ++i) {
      to.grid[i] = grid[i]; to.group[i] = group[i]; to.local[i] = local[i]; to.size[i] = size[i];
      to.full[i] = full[i]; to.groups[i] = groups[i]; to.threads[i] = threads[i];
    }
    to.index = index; to.lane = lane; to.simdgroup = simdgroup; to.simdgroups = simdgroups;
        to.width = width;
    BARRIER
  })";

struct Seen {
  std::array<std::uint32_t, 3> grid, group, local, size, full, groups, threads;
  std::uint32_t index, lane, simdgroup, simdgroups, width;
};

/// Threads in loops, or on fibers if there is a barrier.
class MslPositions : public testing::TestWithParam<const char*> {};

TEST_P(MslPositions, AreRightInRaggedGroups) {
  auto module = compile(kPositions, {{"BARRIER", GetParam()}});
  const std::array<std::uint32_t, 3> threads = {13, 5, 3};
  const std::array<std::uint32_t, 3> full = {8, 4, 2};
  std::vector<Seen> out(13 * 5 * 3);
  run(module, launch("seen", {.x = 13, .y = 5, .z = 3}, {.x = 8, .y = 4, .z = 2}, out));
  for (std::uint32_t i = 0; i < out.size(); ++i) {
    const std::array<std::uint32_t, 3> grid = {i % 13, i / 13 % 5, i / 65};
    const Seen& seen = out[i];
    EXPECT_EQ(seen.grid, grid);
    EXPECT_EQ(seen.full, full);
    EXPECT_EQ(seen.threads, threads);
    EXPECT_THAT(seen.groups, ElementsAre(2, 2, 2));
    for (std::size_t d = 0; d < 3; ++d) {
      EXPECT_EQ(seen.group[d], grid[d] / full[d]);
      EXPECT_EQ(seen.local[d], grid[d] % full[d]);
      EXPECT_EQ(seen.size[d], std::min(full[d], threads[d] - seen.group[d] * full[d]));
    }
    const std::uint32_t index =
        (seen.local[2] * seen.size[1] + seen.local[1]) * seen.size[0] + seen.local[0];
    EXPECT_EQ(seen.index, index);
    EXPECT_EQ(seen.lane, index % 32);
    EXPECT_EQ(seen.simdgroup, index / 32);
    EXPECT_EQ(seen.simdgroups, (seen.size[0] * seen.size[1] * seen.size[2] + 31) / 32);
    EXPECT_EQ(seen.width, 32u);
  }
}

INSTANTIATE_TEST_SUITE_P(LoopsAndFibers, MslPositions,
                         testing::Values("", "threadgroup_barrier(mem_flags::mem_none);"));

constexpr std::string_view kOrder = R"(
  kernel void order(device uint* out [[buffer(0)]], device uint& count [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
    out[count++] = i;
    BARRIER
  })";

TEST(MslLaunch, RunsGroupsInTheOrderGiven) {
  auto module = compile(kOrder, {{"BARRIER", ""}});
  std::vector<std::uint32_t> out(6);
  std::uint32_t count = 0;
  Launch job = launch("order", {.x = 6}, {.x = 2}, out, count);
  job.group_order = [](std::uint32_t i) { return 2 - i; };
  run(module, job);
  EXPECT_THAT(out, ElementsAre(4, 5, 2, 3, 0, 1));
}

TEST(MslLaunch, RunsThreadsInBothOrders) {
  auto module = compile(kOrder, {{"BARRIER", "threadgroup_barrier(mem_flags::mem_none);"}});
  std::vector<std::uint32_t> out(70);
  std::vector<std::uint32_t> wanted(70);
  std::iota(wanted.begin(), wanted.end(), 0);
  std::uint32_t count = 0;
  Launch job = launch("order", {.x = 70}, {.x = 70}, out, count);
  run(module, job);
  EXPECT_EQ(out, wanted);
  count = 0;
  job.thread_order = ThreadOrder::kReversed;
  run(module, job);
  std::ranges::reverse(wanted);
  EXPECT_EQ(out, wanted);
}

TEST(MslLaunch, AnEmptyGridRunsNothing) {
  auto module = compile(kOrder, {{"BARRIER", ""}});
  std::vector<std::uint32_t> out(1);
  std::uint32_t count = 0;
  run(module, launch("order", {.x = 4, .y = 0}, {.x = 2}, out, count));
  EXPECT_EQ(count, 0u);
}

constexpr std::string_view kConstants = R"(
  constant uint a_given [[function_constant(0)]];
  constant uint a = is_function_constant_defined(a_given) ? a_given : 4u;
  constant float scale [[function_constant(7)]];
  constant float scaled[2] = {scale * 2.0, float(a)};
  constant uint3 size = uint3(a, 1u, 1u);
  constant bool flag [[function_constant(2)]];
  constant bool has_flag = is_function_constant_defined(flag);
  kernel void f(device float* out [[buffer(0)]]) {
    out[0] = scaled[0]; out[1] = scaled[1]; out[2] = float(size.x);
        out[3] = has_flag ? 1 + flag : 0;
  })";

TEST(MslLaunch, SetsFunctionConstants) {
  auto module = compile(kConstants);
  std::vector<float> out(4);
  Launch job = launch("f", {}, {}, out);
  const std::vector<ConstantValue> all = {constant(0, ConstantType::kUint, 9u),
                                          constant(7, ConstantType::kFloat, 1.5f),
                                          constant(2, ConstantType::kBool, true)};
  job.constants = all;
  run(module, job);
  EXPECT_THAT(out, ElementsAre(3, 9, 9, 2));
  const std::vector<ConstantValue> one = {constant(7, ConstantType::kFloat, 2.5f)};
  job.constants = one;
  run(module, job);
  EXPECT_THAT(out, ElementsAre(5, 4, 4, 0));
}

TEST(MslLaunch, SaysWhichConstantIsWrong) {
  auto module = compile(kConstants);
  std::vector<float> out(4);
  Launch job = launch("f", {}, {}, out);
  EXPECT_EQ(error_of(module, job),
            "Function \"f\" needs the constant \"scale\" at index 7, but it has no value.");
  const std::vector<ConstantValue> wrong = {constant(7, ConstantType::kInt, 2)};
  job.constants = wrong;
  EXPECT_EQ(error_of(module, job),
            "The constant \"scale\" at index 7 is given as int, but its type is float.");
}

TEST(MslLaunch, SaysWhatIsNotBound) {
  auto module = compile(R"(
    [[max_total_threads_per_threadgroup(64)]]
    kernel void f(device float4* x [[buffer(3)]], threadgroup float* y [[threadgroup(1)]]) {})");
  alignas(16) std::array<float, 8> x{};
  Launch job = launch("f", {}, {});
  EXPECT_EQ(
      error_of(module, job),
      "Function \"f\" has the buffer argument \"x\" at index 3, but no buffer is bound there.");
  job.buffers[3] = bound(x);
  EXPECT_EQ(
      error_of(module, job),
      "Function \"f\" has the threadgroup argument \"y\" at index 1, but no threadgroup memory is "
      "set there.");
  job.threadgroup_bytes[1] = 16;
  EXPECT_EQ(error_of(module, job), "");
  job.buffers[3].data += 4;
  EXPECT_EQ(
      error_of(module, job),
      "Buffer argument \"x\" of function \"f\" is bound 4 bytes past an aligned address, but its "
      "type needs an alignment of 16.");
  job.buffers[3].data -= 4;
  job.group_size = {.x = 13, .y = 5};
  EXPECT_EQ(
      error_of(module, job),
      "Function \"f\" is launched with thread groups of 13 x 5 x 1 threads, but a group of it has "
      "between 1 and 64.");
  job.function = "g";
  EXPECT_EQ(error_of(module, job), "The library has no function \"g\".");
}

TEST(MslLaunch, ThreadsLaunchAtTheSameTime) {
  auto module = compile(R"(
    constant uint factor [[function_constant(0)]];
    constant uint tenfold = factor * 10u;
    kernel void f(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]],
                  uint local [[thread_index_in_threadgroup]]) {
      threadgroup uint sums[2];
      uint sum = simd_sum(i) * factor;
      if (simd_is_first()) sums[local / 32] = sum;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      out[i] = sums[0] + sums[1] + tenfold;
    })");
  constexpr std::uint32_t kThreads = 6400;
  std::vector<std::vector<std::uint32_t>> out(4, std::vector<std::uint32_t>(kThreads));
  std::barrier<> all_have_constants(4);
  const auto work = [&](std::uint32_t who) {
    const std::vector<ConstantValue> factor = {constant(0, ConstantType::kUint, who + 1)};
    Launch job = launch("f", {.x = kThreads}, {.x = 64}, out[who]);
    job.constants = factor;
    job.group_order = [&](std::uint32_t i) {
      if (i == 0) all_have_constants.arrive_and_wait();
      return i;
    };
    for (int repeat = 0; repeat < 5; ++repeat) run(module, job);
  };
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (std::uint32_t who = 0; who < 4; ++who) threads.emplace_back(work, who);
  for (std::thread& thread : threads) thread.join();
  for (std::uint32_t who = 0; who < 4; ++who) {
    for (std::uint32_t i = 0; i < kThreads; ++i) {
      const std::uint32_t first = i / 64 * 64;
      ASSERT_EQ(out[who][i], (64 * first + 63 * 32 + 10) * (who + 1)) << i;
    }
  }
}

TEST(MslLaunch, TextsCompileAtTheSameTime) {
  // A text that no cache has, and that all want.
  const std::string text = "kernel void f(device uint* out [[buffer(0)]]) { out[0] = " +
                           std::to_string(std::random_device()()) + "u; }";
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::array<bool, 4> compiled{};
  for (bool& done : compiled) {
    threads.emplace_back([&] { done = Module::compile(text, {}).has_value(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(compiled, Each(true));
}

}  // namespace
}  // namespace metal_double::msl::test
