// SPDX-License-Identifier: Apache-2.0
// What threads of a group do together.
#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <random>

#include "metal_double/msl/tests/test_kernel.hpp"
#include "support/test_seed.hpp"

namespace metal_double::msl::test {
namespace {

using testing::Each;
using testing::HasSubstr;

constexpr ThreadOrder kOrders[] = {ThreadOrder::kForward, ThreadOrder::kReversed};

constexpr std::string_view kSum = R"(
  kernel void sum(device const uint* x [[buffer(0)]], device uint* out [[buffer(1)]],
                  threadgroup uint* parts [[threadgroup(0)]],
                      uint i [[thread_index_in_threadgroup]],
                  uint group [[threadgroup_position_in_grid]],
                      uint count [[threads_per_threadgroup]]) {
    threadgroup uint extra[4];
    if (i < 4) extra[i] = i;
    parts[i] = x[group * 128 + i];
    FIRST
    for (uint step = 64; step > 0; step /= 2) {
      if (i < step && i + step < count) parts[i] += parts[i + step];
      SECOND
    }
    if (i == 0) out[group] = parts[0] + extra[3];
  })";
constexpr const char* kBarrier = "threadgroup_barrier(mem_flags::mem_threadgroup);";

/// The sums of 300 numbers in groups of 128.
std::vector<std::uint32_t> sums(const char* first, const char* second, ThreadOrder order) {
  auto module = compile(kSum, {{"FIRST", first}, {"SECOND", second}});
  std::vector<std::uint32_t> x(300);
  for (std::uint32_t i = 0; i < 300; ++i) x[i] = i * i;
  std::vector<std::uint32_t> out(3);
  Launch job = launch("sum", {.x = 300}, {.x = 128}, x, out);
  job.threadgroup_bytes[0] = 128 * 4;
  job.thread_order = order;
  run(module, job);
  return out;
}

TEST(MslBarrier, LetsAGroupShareMemory) {
  std::vector<std::uint32_t> wanted(3, 3);
  for (std::uint32_t i = 0; i < 300; ++i) wanted[i / 128] += i * i;
  for (const ThreadOrder order : kOrders) EXPECT_EQ(sums(kBarrier, kBarrier, order), wanted);
  // Without one of them, some order shows it.
  for (const auto& [first, second] : {std::pair("", kBarrier), std::pair(kBarrier, "")}) {
    EXPECT_TRUE(sums(first, second, kOrders[0]) != wanted ||
                sums(first, second, kOrders[1]) != wanted);
  }
}

TEST(MslBarrier, ThreadgroupMemoryHoldsGarbageInEveryGroup) {
  auto module = compile(R"(
    kernel void f(device uint* out [[buffer(0)]], threadgroup uint* given [[threadgroup(3)]],
                  uint group [[threadgroup_position_in_grid]]) {
      threadgroup uint own[3];
      out[group] = own[2] == 5 || given[1] == 5 || own[2] == 0 || given[1] == 0;
      own[2] = 5; given[1] = 5;
    })");
  for (const ThreadOrder order : kOrders) {
    std::vector<std::uint32_t> out(4, 7);
    Launch job = launch("f", {.x = 4}, {.x = 1}, out);
    job.threadgroup_bytes[3] = 16;
    job.thread_order = order;
    run(module, job);
    EXPECT_THAT(out, Each(0u));
  }
}

TEST(MslBarrier, ThatSomeThreadsNeverReachIsAnError) {
  auto module =
      compile(R"(kernel void f(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
      if (i % 64 == 40) return;
      threadgroup_barrier(mem_flags::mem_device);
      out[i] = i;
    })");
  std::vector<std::uint32_t> out(128);
  Launch job = launch("f", {.x = 128}, {.x = 64}, out);
  for (const ThreadOrder order : kOrders) {
    job.thread_order = order;
    EXPECT_EQ(error_of(module, job),
              "Function \"f\", thread group (0, 0, 0): divergent barrier: 1 of 64 threads returned "
              "while 63 wait at the barrier of line 6.");
  }
  // Fibers that were left in the middle work again.
  for (int repeat = 0; repeat < 3; ++repeat) {
    EXPECT_THAT(error_of(module, job), HasSubstr("divergent"));
    EXPECT_EQ(sums(kBarrier, kBarrier, ThreadOrder::kForward)[0], 3u + 127 * 128 * 255 / 6);
  }
}

TEST(MslBarrier, TwoAtOneTimeAreAnError) {
  auto module = compile(R"(kernel void f(uint i [[thread_position_in_grid]]) {
      if (i < 8) {
        threadgroup_barrier(mem_flags::mem_none);
      } else {
        threadgroup_barrier(mem_flags::mem_none);
      }
    })");
  EXPECT_THAT(error_of(module, launch("f", {.x = 64}, {.x = 64})),
              HasSubstr("some threads wait at the barrier of line 6, others at that of line 8"));
}

TEST(MslSimdgroup, DifferentOperationsAtOneTimeAreAnError) {
  auto module =
      compile(R"(kernel void f(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
      if (i % 2 == 0) {
        out[i] = simd_sum(i);
      } else {
        out[i] = simd_max(i);
      }
    })");
  std::vector<std::uint32_t> out(64);
  for (const ThreadOrder order : kOrders) {
    Launch job = launch("f", {.x = 64}, {.x = 64}, out);
    job.thread_order = order;
    EXPECT_THAT(error_of(module, job),
                HasSubstr("divergent simdgroup operation: lanes of SIMD group"));
  }
}

TEST(MslSimdgroup, LanesAtABarrierOrGoneTakeNoPart) {
  // As in a loop that lanes leave at different times, with the barrier behind it.
  auto module =
      compile(R"(kernel void f(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
      uint sum = 0;
      for (uint turn = 0; turn < i / 8; ++turn) sum += simd_sum(1u) * 1000 + simd_shuffle_xor(i, 1);
      if (BARRIER == 1) threadgroup_barrier(mem_flags::mem_none);
      out[i] = sum;
    })",
              {{"BARRIER", "1"}});
  auto gone =
      compile(R"(kernel void f(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
      uint sum = 0;
      for (uint turn = 0; turn < i / 8; ++turn) sum += simd_sum(1u) * 1000 + simd_shuffle_xor(i, 1);
      out[i] = sum;
    })");
  for (const auto& kernel : {module, gone}) {
    for (const ThreadOrder order : kOrders) {
      std::vector<std::uint32_t> out(32);
      Launch job = launch("f", {.x = 32}, {.x = 32}, out);
      job.thread_order = order;
      run(kernel, job);
      for (std::uint32_t i = 0; i < 32; ++i) {
        std::uint32_t wanted = 0;
        for (std::uint32_t turn = 0; turn < i / 8; ++turn) {
          wanted += (32 - 8 * (turn + 1)) * 1000 + (i ^ 1);
        }
        EXPECT_EQ(out[i], wanted) << i;
      }
    }
  }
}

/// Values of the lanes that take part; the others are not there.
using Lanes = std::vector<std::optional<std::uint32_t>>;

std::uint32_t fold(const Lanes& lanes, std::size_t begin, std::size_t end, std::uint32_t start,
                   const std::function<std::uint32_t(std::uint32_t, std::uint32_t)>& combine) {
  for (std::size_t i = begin; i < end; ++i) {
    if (lanes[i]) start = combine(start, *lanes[i]);
  }
  return start;
}

std::uint32_t first_of(const Lanes& lanes, std::size_t begin) {
  while (!lanes[begin]) ++begin;
  return static_cast<std::uint32_t>(begin);
}

constexpr std::uint32_t kNobody = 0xffffffff;
std::uint32_t at(const Lanes& lanes, std::uint32_t lane) {
  return lane < 32 ? lanes[lane].value_or(kNobody) : kNobody;
}

struct Operation {
  const char* expression;  // of x, the lane's value
  std::function<std::uint32_t(const Lanes&, std::uint32_t lane)> oracle;
};

std::vector<Operation> operations() {
  const auto folded = [](std::uint32_t start, auto combine) {
    return [=](const Lanes& l, std::uint32_t) { return fold(l, 0, 32, start, combine); };
  };
  const auto quad = [](std::uint32_t start, auto combine) {
    return [=](const Lanes& l, std::uint32_t i) {
      return fold(l, i / 4 * 4, i / 4 * 4 + 4, start, combine);
    };
  };
  const auto least = [](std::uint32_t a, std::uint32_t b) { return std::min(a, b); };
  const auto most = [](std::uint32_t a, std::uint32_t b) { return std::max(a, b); };
  const auto signed_most = [](std::uint32_t a, std::uint32_t b) {
    return static_cast<std::uint32_t>(
        std::max(static_cast<std::int32_t>(a), static_cast<std::int32_t>(b)));
  };
  const auto odd = [](const Lanes& l, std::uint32_t i) { return l[i] && *l[i] % 2 == 1; };
  return {
      {"simd_sum(x)", folded(0, std::plus<>())},
      {"simd_product(x | 1u)",
       [](const Lanes& l, std::uint32_t) {
         return fold(l, 0, 32, 1, [](auto a, auto b) { return a * (b | 1); });
       }},
      {"simd_min(x)", folded(kNobody, least)},
      {"simd_max(x)", folded(0, most)},
      {"uint(simd_max(int(x)))", folded(0x80000000u, signed_most)},
      {"simd_and(x)", folded(kNobody, std::bit_and<>())},
      {"simd_or(x)", folded(0, std::bit_or<>())},
      {"simd_xor(x)", folded(0, std::bit_xor<>())},
      {"as_type<uint>(simd_max(float(x % 1000u)))",
       [](const Lanes& l, std::uint32_t) {
         return std::bit_cast<std::uint32_t>(static_cast<float>(
             fold(l, 0, 32, 0, [](auto a, auto b) { return std::max(a, b % 1000); })));
       }},
      {"simd_sum(uint4(x, 1u, 2u, x)).w + simd_sum(uint2(1u, 2u)).y",
       [](const Lanes& l, std::uint32_t) {
         return fold(l, 0, 32, 0, [](auto a, auto b) { return a + b + 2; });
       }},
      {"uint(simd_sum(half(1.0h)))",
       [](const Lanes& l, std::uint32_t) {
         return fold(l, 0, 32, 0, [](auto a, auto) { return a + 1; });
       }},
      {"simd_prefix_inclusive_sum(x)",
       [](const Lanes& l, std::uint32_t i) { return fold(l, 0, i + 1, 0, std::plus<>()); }},
      {"simd_prefix_exclusive_sum(x)",
       [](const Lanes& l, std::uint32_t i) { return fold(l, 0, i, 0, std::plus<>()); }},
      {"simd_prefix_exclusive_product(x)",
       [](const Lanes& l, std::uint32_t i) { return fold(l, 0, i, 1, std::multiplies<>()); }},
      {"simd_shuffle(x, ushort(x % 32))",
       [](const Lanes& l, std::uint32_t i) { return at(l, *l[i] % 32); }},
      {"simd_shuffle_xor(x, 5)", [](const Lanes& l, std::uint32_t i) { return at(l, i ^ 5); }},
      {"simd_shuffle_up(x, 3)",
       [](const Lanes& l, std::uint32_t i) { return i < 3 ? *l[i] : at(l, i - 3); }},
      {"simd_shuffle_down(x, 3)",
       [](const Lanes& l, std::uint32_t i) { return i + 3 > 31 ? *l[i] : at(l, i + 3); }},
      {"simd_shuffle_rotate_up(x, 3)",
       [](const Lanes& l, std::uint32_t i) { return at(l, (i + 29) % 32); }},
      {"simd_shuffle_rotate_down(x, 3)",
       [](const Lanes& l, std::uint32_t i) { return at(l, (i + 3) % 32); }},
      {"simd_broadcast(x, 2)", [](const Lanes& l, std::uint32_t) { return at(l, 2); }},
      {"simd_broadcast_first(x)",
       [](const Lanes& l, std::uint32_t) { return at(l, first_of(l, 0)); }},
      {"uint((simd_vote::vote_t)simd_ballot(x % 2u == 1u))",
       [=](const Lanes& l, std::uint32_t) {
         std::uint32_t mask = 0;
         for (std::uint32_t i = 0; i < 32; ++i) mask |= std::uint32_t{odd(l, i)} << i;
         return mask;
       }},
      {"uint((simd_vote::vote_t)simd_active_threads_mask())",
       [](const Lanes& l, std::uint32_t) {
         std::uint32_t mask = 0;
         for (std::uint32_t i = 0; i < 32; ++i) mask |= std::uint32_t{l[i].has_value()} << i;
         return mask;
       }},
      {"uint(simd_all(x < 0xf0000000u)) * 2 + uint(simd_any(x < 0x08000000u))",
       [](const Lanes& l, std::uint32_t) {
         return fold(l, 0, 32, 2, [](auto a, auto b) { return b < 0xf0000000u ? a : a & 1; }) +
                fold(l, 0, 32, 0, [](auto a, auto b) { return b < 0x08000000u ? 1 : a; });
       }},
      {"uint(simd_is_first())",
       [](const Lanes& l, std::uint32_t i) { return std::uint32_t{first_of(l, 0) == i}; }},
      {"quad_sum(x)", quad(0, std::plus<>())},
      {"quad_max(x)", quad(0, most)},
      {"quad_shuffle(x, 2)", [](const Lanes& l, std::uint32_t i) { return at(l, i / 4 * 4 + 2); }},
      {"quad_shuffle_xor(x, 3)", [](const Lanes& l, std::uint32_t i) { return at(l, i ^ 3); }},
      {"quad_shuffle_up(x, 1)",
       [](const Lanes& l, std::uint32_t i) { return i % 4 == 0 ? *l[i] : at(l, i - 1); }},
      {"quad_shuffle_down(x, 1)",
       [](const Lanes& l, std::uint32_t i) { return i % 4 == 3 ? *l[i] : at(l, i + 1); }},
      {"quad_broadcast_first(x)",
       [](const Lanes& l, std::uint32_t i) { return at(l, first_of(l, i / 4 * 4)); }},
      {"uint(quad_all(x % 2u == 1u)) * 2 + uint(quad_any(x % 2u == 1u))",
       [](const Lanes& l, std::uint32_t i) {
         const std::uint32_t begin = i / 4 * 4;
         return fold(l, begin, begin + 4, 2, [](auto a, auto b) { return b % 2 == 1 ? a : 0; }) +
                fold(l, begin, begin + 4, 0, [](auto a, auto b) { return b % 2 == 1 ? 1 : a; });
       }},
      {"uint(quad_is_first())",
       [](const Lanes& l, std::uint32_t i) { return std::uint32_t{first_of(l, i / 4 * 4) == i}; }},
  };
}

TEST(MslSimdgroup, OperationsAgreeWithTheirOracles) {
  std::mt19937_64 random(segue::test::test_seed());
  const std::vector<Operation> all = operations();
  std::string text = R"(
    kernel void f(device const uint* in [[buffer(0)]], device uint* out [[buffer(1)]],
                  uint i [[thread_position_in_grid]], uint threads [[threads_per_grid]]) {
      uint x = in[i];
      if (x == 0xffffffffu) return;
      uint n = 0;
)";
  for (const Operation& operation : all) {
    text += "      out[n++ * threads + i] = " + std::string(operation.expression) +
            ";\n      simdgroup_barrier(mem_flags::mem_threadgroup);\n";
  }
  auto module = compile(text + "}");
  for (const std::uint32_t threads : {32u, 100u, 256u}) {
    for (int gone_in_8 = 0; gone_in_8 < 6; ++gone_in_8) {
      std::vector<std::uint32_t> in(threads);
      for (std::uint32_t& x : in) {
        x = static_cast<std::uint32_t>(random() % 0xfffffff0u);
        if (static_cast<int>(random() % 8) < gone_in_8) x = kNobody;
      }
      std::vector<std::uint32_t> out(threads * all.size());
      Launch job = launch("f", {.x = threads}, {.x = 96}, in, out);
      job.thread_order = kOrders[random() % 2];
      run(module, job);
      for (std::uint32_t i = 0; i < threads; ++i) {
        if (in[i] == kNobody) continue;
        const std::uint32_t lane = i % 96 % 32;
        const std::uint32_t end = std::min(i / 96 * 96 + 96, threads);
        Lanes lanes(32);
        for (std::uint32_t j = 0; j < 32; ++j) {
          const std::uint32_t other = i - lane + j;
          if (other < end && in[other] != kNobody) lanes[j] = in[other];
        }
        for (std::size_t n = 0; n < all.size(); ++n) {
          EXPECT_EQ(out[n * threads + i], all[n].oracle(lanes, lane))
              << all[n].expression << ", thread " << i << " of " << threads;
        }
      }
    }
  }
}

TEST(MslSimdgroup, OperationsInMembersAreSeen) {
  auto module = compile(R"(
    struct Sum { uint operator()(uint x) const { return simd_sum(x); } };
    kernel void f(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
      Sum sum;
      out[i] = sum(1u);
    })");
  std::vector<std::uint32_t> out(64);
  run(module, launch("f", {.x = 64}, {.x = 64}, out));
  EXPECT_THAT(out, Each(32u));
}

TEST(MslGroup, HoldsAThousandThreads) {
  auto module = compile(R"(
    kernel void f(device uint* out [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
      threadgroup uint x[1024];
      x[i] = i;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      out[i] = simd_sum(x[1023 - i]);
    })");
  std::vector<std::uint32_t> out(1024);
  run(module, launch("f", {.x = 1024}, {.x = 1024}, out));
  EXPECT_EQ(out[0], (1023u + 992u) * 16);
}

}  // namespace
}  // namespace metal_double::msl::test
