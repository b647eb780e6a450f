// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <stdexcept>

#include "host_program.hpp"

namespace segue::host {
namespace {

using namespace testing;

struct Scale {
  float factor;
};

base::Ref<ir::Kernel> scale_kernel(hal::Device& device) {
  return value_of(device.compile(
      kernel("scale", {"x", "y", "scale"},
             [](const KernelContext& work, In<float> x, Out<float> y, const Scale& scale) {
               for (auto i = work.group_begin; i < work.group_end; ++i) y[i] = scale.factor * x[i];
             }),
      {}));
}

TEST(HostCommands, DispatchRunsEveryGroupOnceWithTheArgumentsInOrder) {  // rows A1, B1
  const auto device = make_device();
  const TestBuffer x = make_buffer(*device, 40);
  const TestBuffer y = make_buffer(*device, 40);
  std::iota(x.as<float>().begin(), x.as<float>().end(), 1.0F);
  TestProgram program;
  program.dispatch(scale_kernel(*device), {x, y, TestArgument::value(Scale{3})}, {10, 1, 1});
  const hal::Outcome outcome = run(*device, program);
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.command_buffers, 1U);
  EXPECT_LE(outcome.start_seconds, outcome.end_seconds);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(y.as<float>()[i], 3.0F * static_cast<float>(i + 1));
}

TEST(HostCommands, ViewsBindAtTheirOffsetAndSize) {  // rows A2, A3
  const auto device = make_device();
  const TestBuffer buffer = make_buffer(*device, 64);
  const TestBuffer seen = make_buffer(*device, 16);
  const auto probe = value_of(device->compile(
      kernel("probe", {"view", "seen"},
             [](const KernelContext&, Out<std::uint8_t> view, Out<std::uint64_t> result) {
               view[0] = 7;
               result[0] = view.size();
             }),
      {}));
  TestProgram program;
  program.dispatch(probe, {{buffer, 13, 5}, seen}, {1, 1, 1});
  EXPECT_FALSE(run(*device, program).error);
  EXPECT_EQ(seen.as<std::uint64_t>()[0], 5U);
  for (std::size_t i = 0; i < 64; ++i)
    EXPECT_EQ(buffer.as<std::uint8_t>()[i], i == 13 ? 7 : 0) << i;
}

TEST(HostCommands, InlineBytesAreAlignedTo16AndConstantsReachTheKernel) {  // rows I2, I5
  const auto device = make_device();
  const TestBuffer result = make_buffer(*device, 16);
  Signature signature;
  signature.parameters = {
      {"odd", ParameterKind::kBytes}, {"bytes", ParameterKind::kBytes}, {"result"}};
  const std::array<SpecConstant, 1> constants{{{4, std::uint32_t{99}}}};
  const auto probe = value_of(device->compile(
      raw_kernel("probe", signature,
                 [](const KernelContext& context) {
                   auto* out = reinterpret_cast<std::uint64_t*>(context.arguments[2].data);
                   out[0] = reinterpret_cast<std::uintptr_t>(context.arguments[1].data) % 16;
                   out[1] = context.constants.size() == 1 && context.constants[0].id == 4
                                ? std::get<std::uint32_t>(context.constants[0].value)
                                : 0;
                 }),
      constants));
  TestProgram program;
  program.dispatch(
      probe, {TestArgument::value(std::uint8_t{1}), TestArgument::value(std::uint8_t{2}), result},
      {1, 1, 1});
  EXPECT_FALSE(run(*device, program).error);
  EXPECT_EQ(result.as<std::uint64_t>()[0], 0U);
  EXPECT_EQ(result.as<std::uint64_t>()[1], 99U);
}

TEST(HostCommands, SharedMemoryIsAlignedAndAsLargeAsTheDispatchSays) {  // row B2
  const auto device = make_device();
  const TestBuffer result = make_buffer(*device, 16);
  const auto probe = value_of(device->compile(
      kernel(
          "probe", {"result", "a", "b"},
          [](const KernelContext&, Out<std::uint64_t> out, Shared<std::byte> a, Shared<float> b) {
            for (std::byte& byte : a) byte = std::byte{1};
            for (float& value : b) value = 2;
            const bool apart = a.data() + a.size() <= reinterpret_cast<std::byte*>(b.data());
            const bool aligned = reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0 &&
                                 reinterpret_cast<std::uintptr_t>(b.data()) % 64 == 0;
            out[0] = apart && aligned ? a.size() : 0;
            out[1] = b.size();
          }),
      {}));
  TestProgram program;
  program.dispatch(probe, {result}, {1, 1, 1}, {}, {100, 4096});
  EXPECT_FALSE(run(*device, program).error);
  EXPECT_EQ(result.as<std::uint64_t>()[0], 100U);
  EXPECT_EQ(result.as<std::uint64_t>()[1], 1024U);
}

TEST(HostCommands, AZeroSizedGridCallsNothing) {  // row B4
  const auto device = make_device();
  const auto bomb = value_of(device->compile(
      raw_kernel("bomb", {}, [](const KernelContext&) { throw std::runtime_error("called"); }),
      {}));
  TestProgram program;
  program.dispatch(bomb, {}, {4, 0, 1});
  EXPECT_FALSE(run(*device, program).error);
}

TEST(HostCommands, IndirectDispatchReadsItsCountsWhenItRunsAndStaysInTheBound) {  // row B6
  const auto device = make_device();
  const TestBuffer counts = make_buffer(*device, 32);
  const TestBuffer seen = make_buffer(*device, 32);
  const auto probe =
      value_of(device->compile(kernel("probe", {"seen"},
                                      [](const KernelContext& work, Out<std::uint64_t> out) {
                                        out[0] = work.group_count.count();
                                        out[1] += work.group_end - work.group_begin;
                                        out[2] = work.thread_count.x;
                                        out[3] = work.arguments.size();
                                      }),
                               {}));
  TestProgram program;
  program.upload({counts, 8, 12}, TestArgument::value(std::array<std::uint32_t, 3>{2, 900, 1}));
  program.barrier();
  program.dispatch_indirect(probe, {seen, {counts, 8, 12}}, {4, 5, 6});
  EXPECT_FALSE(run(*device, program).error);
  const auto values = seen.as<std::uint64_t>();
  EXPECT_EQ(values[0], 10U);
  EXPECT_EQ(values[1], 10U);
  EXPECT_EQ(values[2], 2U);
  EXPECT_EQ(values[3], 1U);
}

TEST(HostCommands, FillCopyAndUploadTouchTheirBytesOnly) {  // row B7
  const auto device = make_device();
  const std::uint64_t size = 200'001;  // several blocks and an odd end
  const TestBuffer a = make_buffer(*device, size + 2);
  const TestBuffer b = make_buffer(*device, size + 2);
  TestProgram program;
  program.fill({a, 1, size}, 0xAB);
  program.barrier();
  program.upload({a, 3, 4}, TestArgument::value(std::uint32_t{0x04030201}));
  program.barrier();
  program.copy({a, 1, size}, {b, 1, size});
  program.fill({b, 0, 0}, 0xFF);
  EXPECT_FALSE(run(*device, program).error);
  std::vector<std::uint8_t> expected(size + 2, 0xAB);
  expected.front() = expected.back() = 0;
  for (std::uint8_t i = 0; i < 4; ++i) expected[3U + i] = static_cast<std::uint8_t>(i + 1);
  const auto bytes = b.as<std::uint8_t>();
  EXPECT_EQ(std::vector<std::uint8_t>(bytes.begin(), bytes.end()), expected);
}

TEST(HostCommands, NativeCallbacksRunBetweenTheirNeighbours) {  // row G9
  const auto device = make_device();
  const TestBuffer buffer = make_buffer(*device, 1);
  int seen = -1;
  void* object = &seen;
  TestProgram program;
  program.fill(buffer, 5);
  program.barrier();
  program.native([&](const ir::NativeContext& context) {
    seen = buffer.as<std::uint8_t>()[0];
    object = context.object;
    buffer.as<std::uint8_t>()[0] = 6;
  });
  program.barrier();
  program.native(
      [&](const ir::NativeContext&) { seen = seen * 10 + buffer.as<std::uint8_t>()[0]; });
  EXPECT_FALSE(run(*device, program).error);
  EXPECT_EQ(seen, 56);
  EXPECT_EQ(object, nullptr);
}

TEST(HostCommands, BarriersAreIssuedBetweenGroupsAndTimedOnRequest) {  // rows J1, J3
  const auto device = make_device();
  const TestBuffer buffer = make_buffer(*device, 16);
  TestProgram program;
  for (int i = 0; i < 4; ++i) {
    program.fill(buffer, 1);
    program.barrier();
  }
  TestJob job;
  job.plan = &program.finish();
  job.time_barriers = true;
  job.waited_for = true;
  const auto queue = value_of(device->create_queue());
  ASSERT_TRUE(queue->submit(job));
  EXPECT_TRUE(queue->wait(job, std::nullopt));
  EXPECT_EQ(job.outcome.barriers_issued, 3U);
  EXPECT_GT(job.outcome.barrier_ns, 0U);
  const hal::Outcome untimed = run(*queue, program);
  EXPECT_EQ(untimed.barrier_ns, 0U);
}

TEST(HostCommands, AnEmptyPlanCompletes) {  // row G1
  const auto device = make_device();
  TestProgram program;
  const hal::Outcome outcome = run(*device, program);
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.barriers_issued, 0U);
}

}  // namespace
}  // namespace segue::host
