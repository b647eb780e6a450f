// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

#include "host_program.hpp"

namespace segue::host {
namespace {

using namespace testing;

base::Ref<ir::Kernel> throwing_kernel(hal::Device& device) {
  return value_of(device.compile(
      raw_kernel("brittle", {}, [](const KernelContext&) { throw std::runtime_error("glass"); }),
      {}));
}

TEST(HostFailures, AnExceptionOfAKernelFailsItsJobWithPlaceAndReason) {  // rows G4, K1
  for (const unsigned threads : {1U, 3U}) {
    const auto device =
        make_device(threads, threads == 1 ? Parallelism::kAuto : Parallelism::kAlways);
    const auto queue = value_of(device->create_queue());
    const TestBuffer buffer = make_buffer(*device, 4);
    TestProgram program;
    program.fill(buffer, 1);
    program.barrier();
    program.label("layer 3");
    program.fill({buffer, 0, 1}, 2);
    program.dispatch(throwing_kernel(*device), {}, {1, 1, 1});
    program.dispatch(throwing_kernel(*device), {}, {1, 1, 1});
    program.barrier();
    program.fill(buffer, 9);
    const hal::Outcome outcome = run(*queue, program);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::kBackend);
    EXPECT_EQ(outcome.error->message, "Kernel \"brittle\" fails with an exception: glass.");
    EXPECT_EQ(outcome.error->label_path, "layer 3");
    EXPECT_EQ(outcome.error->dispatch_index, 2U);
    EXPECT_EQ(outcome.error->native->backend, "host");
    EXPECT_EQ(buffer.as<std::uint8_t>()[3], 1) << "the group after the failure ran";

    TestProgram later;
    later.fill(buffer, 7);
    EXPECT_FALSE(run(*queue, later).error);
    EXPECT_EQ(buffer.as<std::uint8_t>()[3], 7);
  }
}

TEST(HostFailures, ThrownObjectsOfAnyTypeAndNativeCallbacksAreCaught) {  // row K1
  const auto device = make_device();
  TestProgram program;
  program.native([](const ir::NativeContext&) { throw 42; });
  const hal::Outcome outcome = run(*device, program);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->message,
            "A Native command fails with an exception: an exception of unknown type.");
}

TEST(HostFailures, ALostDeviceFailsEverythingThatFollows) {  // row G4
  bool lose = false;
  HostOptions options;
  options.fail_call = [&](std::string_view call) { return call == "device" && lose; };
  const auto device = value_of(create_hal_device(options));
  const auto queue = value_of(device->create_queue());
  const TestBuffer buffer = make_buffer(*device, 4);
  TestProgram program;
  program.fill(buffer, 1);
  EXPECT_FALSE(run(*queue, program).error);
  lose = true;
  const hal::Outcome outcome = run(*queue, program);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::kDeviceLost);
  lose = false;
  TestJob job;
  job.plan = &program.finish();
  const Result<> submitted = queue->submit(job);
  ASSERT_FALSE(submitted);
  EXPECT_EQ(submitted.error().code, ErrorCode::kDeviceLost);
  EXPECT_FALSE(job.completed);
  EXPECT_EQ(device->allocate({4, true, true, "x"}).error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(device->create_queue().error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(device->compile(raw_kernel("k", {}, [](const KernelContext&) {}), {}).error().code,
            ErrorCode::kDeviceLost);
}

/// Counts calls and fails the n-th.
struct FailNth {
  std::mutex mutex;
  int countdown;
  std::map<std::string, int, std::less<>> seen;
  bool operator()(std::string_view call) {
    const std::lock_guard lock(mutex);
    ++seen[std::string(call)];
    return --countdown == 0;
  }
};

/// Everything a program does with a device; the first error ends it.
Result<> use_device(const std::shared_ptr<FailNth>& faults) {
  HostOptions options;
  options.threads = 3;
  options.parallelism = Parallelism::kAlways;
  options.fail_call = [faults](std::string_view call) { return (*faults)(call); };
  SEGUE_TRY_ASSIGN(const auto device, create_hal_device(options));
  SEGUE_TRY_ASSIGN(const auto queue, device->create_queue());
  SEGUE_TRY_ASSIGN(const auto memory, device->allocate({4096, true, true, "buffer"}));
  std::uint32_t imported_value = 0;
  SEGUE_TRY_ASSIGN(const auto imported,
                   device->import_host(reinterpret_cast<std::byte*>(&imported_value), 4, true));
  SEGUE_TRY_ASSIGN(const auto kernel,
                   device->compile(raw_kernel("nothing", {}, [](const KernelContext&) {}), {}));
  TestProgram program;
  for (int i = 0; i < 4; ++i) program.dispatch(kernel, {}, {1, 1, 1});
  program.barrier();
  program.dispatch(kernel, {}, {1, 1, 1});
  for (const bool waited_for : {true, false}) {
    TestJob job;
    job.plan = &program.finish();
    job.waited_for = waited_for;
    SEGUE_TRY(queue->submit(job));
    queue->wait(job, std::nullopt);
    if (job.outcome.error) return std::unexpected(*job.outcome.error);
  }
  return {};
}

TEST(HostFailures, FailingTheNthCallGivesAnErrorAndNeitherLeaksNorHangs) {  // row K3
  int failures = 0;
  std::map<std::string, int, std::less<>> seen;
  for (int n = 1; n < 1000; ++n) {
    auto faults = std::make_shared<FailNth>();
    faults->countdown = n;
    const Result<> result = use_device(faults);
    if (faults->countdown > 0) {
      EXPECT_TRUE(result);
      seen = faults->seen;
      break;
    }
    if (!result) {
      ++failures;
      EXPECT_TRUE(result.error().message.ends_with('.')) << result.error().message;
    }
  }
  // A helper thread that the system refuses is done without, so two failing calls give no error.
  int calls = 0;
  std::set<std::string> names;
  for (const auto& [name, count] : seen) {
    names.insert(name);
    calls += count;
  }
  EXPECT_EQ(names, (std::set<std::string>{"allocate", "compile", "create_queue", "create_thread",
                                          "device", "import", "run_kernel", "submit"}));
  EXPECT_EQ(failures, calls - 2);
}

}  // namespace
}  // namespace segue::host
