// SPDX-License-Identifier: Apache-2.0
//
// Fails each native call of the Vulkan backend in turn: an error comes back, nothing hangs, nothing
// leaks, validation has nothing to say, and what exists by then works once calls succeed again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "fault/vulkan_scenario.hpp"
#include "fault/watchdog.hpp"
#include "segue/vulkan.hpp"
#include "support/required_devices.hpp"
#include "support/wrapped_api.hpp"

namespace segue::test {
namespace {

using testing::IsEmpty;

constexpr std::chrono::seconds kPatience{60};
constexpr std::uint64_t kMostCalls = 2000;

/// Calls whose failure need not cost a result: names, clocks and caches are comforts, counters are
/// asked again, a block of memory that is refused is followed by a smaller request, and a wait by a
/// question. The results are compared all the same.
constexpr VulkanCall kAbsorbed[] = {
    VulkanCall::kSetDebugUtilsObjectNameEXT,
    VulkanCall::kGetPhysicalDeviceCalibrateableTimeDomainsEXT,
    VulkanCall::kGetCalibratedTimestampsEXT,
    VulkanCall::kGetPhysicalDeviceCooperativeMatrixPropertiesNV,
    VulkanCall::kCreatePipelineCache,
    VulkanCall::kGetPipelineCacheData,
    VulkanCall::kGetSemaphoreCounterValue,
    VulkanCall::kWaitSemaphores,
    VulkanCall::kQueueWaitIdle,
    VulkanCall::kDeviceWaitIdle,
    VulkanCall::kAllocateMemory,
    VulkanCall::kCreateBuffer,
    VulkanCall::kBindBufferMemory,
    VulkanCall::kMapMemory,
};
bool is_absorbed(VulkanCall call) {
  return std::ranges::find(kAbsorbed, call) != std::end(kAbsorbed);
}

const char* name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kOutOfDeviceMemory: return "OutOfDeviceMemory";
    case FaultKind::kOutOfHostMemory: return "OutOfHostMemory";
    case FaultKind::kDeviceLost: return "DeviceLost";
  }
  return "";
}

/// What fails, and how.
struct Fault {
  Phase phase;
  FaultKind kind;
  bool split_memory = false;
};

class VulkanFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto devices = vulkan::list_devices();
    if (devices && std::ranges::any_of(*devices, &vulkan::DeviceSummary::usable)) return;
    if (is_required("vulkan")) FAIL() << "This machine has no usable Vulkan device.";
    GTEST_SKIP() << "Vulkan is missing: this machine has no usable device.";
  }

  /// Makes the n-th call of a phase fail, for every n until the phase makes fewer calls.
  void fail_every_call(const Fault& fault);
  /// The same for one n. False: there are not so many calls.
  bool fail_call(const Fault& fault, std::uint64_t n);

  std::map<std::string, int> failures_;  ///< By entry point: how many calls made the phase fail.
};

/// What must hold of a device that is lost: whatever is called says so.
void expect_dead(VulkanScenario& scenario) {
  const Device& device = scenario.device();
  const auto code = [](const auto& result) {
    return result ? std::string("success") : std::string(to_string(result.error().code));
  };
  std::uint32_t word = 0;
  const auto bytes = std::as_writable_bytes(std::span(&word, 1));
  BufferDesc desc;
  desc.size_bytes = 16;
  EXPECT_EQ(code(device.create_buffer(desc)), "DeviceLost");
  EXPECT_EQ(code(device.wait_idle()), "DeviceLost");
  if (!scenario.small()) return;
  const BufferView view = scenario.small().view(0, 4).value();
  EXPECT_EQ(code(device.upload(view, bytes)), "DeviceLost");
  EXPECT_EQ(code(device.download(view, bytes)), "DeviceLost");
  EXPECT_EQ(code(device.create_encoder()), "DeviceLost");
  EXPECT_EQ(code(device.kernels().get("test_reverse")),
            device.kernels().contains("test_reverse") ? "DeviceLost" : "NotFound");
  if (CommandEncoder* const encoder = scenario.encoder()) {
    EXPECT_TRUE(encoder->begin().has_value());
    encoder->dispatch(scenario.add_one(), {scenario.small().view()}, threads(4));
    EXPECT_EQ(code(encoder->commit()), "DeviceLost");
  }
  if (Executable* const executable = scenario.executable()) {
    EXPECT_EQ(code(executable->submit()), "DeviceLost");
  }
}

bool VulkanFaultTest::fail_call(const Fault& fault, std::uint64_t n) {
  const auto [phase, kind, split_memory] = fault;
  WrappedApi api;
  if (split_memory) api.split_memory();
  std::atomic<const char*> doing{"runs"};
  VulkanScenario scenario;
  const Watchdog watchdog(kPatience, [&] {
    return fmt::format("phase {}, call {} ({}) with {}; the scenario {}, last call {}",
                       to_string(phase), n, api.failed_call(), name_of(kind), doing.load(),
                       api.last_call());
  });
  for (const Phase before : kPhases) {
    if (before == phase) break;
    const Result<> done = scenario.run(before);
    EXPECT_TRUE(done.has_value()) << to_string(before) << ": " << done.error().to_string();
    if (!done) return false;
  }
  api.arm(n, kind);
  const Result<> done = scenario.run(phase);
  const bool hit = api.hit();
  SCOPED_TRACE(fmt::format("call {} of phase {}, {}, fails with {}", n, to_string(phase),
                           api.failed_call(), name_of(kind)));
  if (done) {
    // Work that nobody waited for tells the device's error handler.
    const bool noticed = scenario.reported() != 0 || is_absorbed(api.failed());
    EXPECT_TRUE(!hit || noticed) << "nobody noticed";
  } else {
    EXPECT_TRUE(hit) << done.error().to_string();
    EXPECT_NE(done.error().code, ErrorCode::kCorruptData);
    EXPECT_THAT(done.error().message, testing::EndsWith("."));
    ++failures_[api.failed_call()];
  }
  doing = "runs again";
  if (kind == FaultKind::kDeviceLost && hit) {
    if (!done) {
      EXPECT_EQ(done.error().code, ErrorCode::kDeviceLost) << done.error().to_string();
    }
    expect_dead(scenario);
  } else {
    api.disarm();
    const Result<> again = scenario.run(phase);
    EXPECT_TRUE(again.has_value()) << again.error().to_string();
  }
  doing = "closes";
  scenario.close();
  EXPECT_THAT(api.leaks(), IsEmpty());
  EXPECT_THAT(api.misuse(), IsEmpty());
  EXPECT_THAT(scenario.messages(), IsEmpty());
  return hit;
}

void VulkanFaultTest::fail_every_call(const Fault& fault) {
  std::uint64_t n = 1;
  while (n < kMostCalls && fail_call(fault, n) && !HasFailure()) ++n;
  EXPECT_LT(n, kMostCalls);
  EXPECT_GT(n, 1U) << "no call was made";
  std::printf("Phase %s with %s: %llu calls", to_string(fault.phase), name_of(fault.kind),
              static_cast<unsigned long long>(n - 1));
  for (const auto& [name, count] : failures_) std::printf(", %s %d", name.c_str(), count);
  std::printf("\n");
}

class EveryVulkanCall : public VulkanFaultTest, public testing::WithParamInterface<Fault> {};

TEST_P(EveryVulkanCall, MayFail) {  // row K3
  fail_every_call(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Phases, EveryVulkanCall,
                         testing::Values(Fault{Phase::kOpen, FaultKind::kOutOfHostMemory},
                                         Fault{Phase::kAllocate, FaultKind::kOutOfDeviceMemory},
                                         Fault{Phase::kAllocate, FaultKind::kOutOfHostMemory, true},
                                         Fault{Phase::kTransfer, FaultKind::kOutOfHostMemory, true},
                                         Fault{Phase::kTransfer, FaultKind::kDeviceLost, true},
                                         Fault{Phase::kCompile, FaultKind::kOutOfDeviceMemory},
                                         Fault{Phase::kSubmit, FaultKind::kOutOfDeviceMemory},
                                         Fault{Phase::kSubmit, FaultKind::kDeviceLost},
                                         Fault{Phase::kLink, FaultKind::kOutOfHostMemory},
                                         Fault{Phase::kReplay, FaultKind::kOutOfDeviceMemory},
                                         Fault{Phase::kReplay, FaultKind::kDeviceLost}),
                         [](const auto& each) {
                           return std::string(to_string(each.param.phase)) +
                                  name_of(each.param.kind) +
                                  (each.param.split_memory ? "SplitMemory" : "");
                         });

/// One dispatch, committed and forgotten.
Result<> commit_and_forget(VulkanScenario& scenario, std::string_view label) {
  CommandEncoder& encoder = *scenario.encoder();
  SEGUE_TRY(encoder.begin());
  encoder.dispatch(scenario.add_one(), {scenario.small().view()}, threads(4));
  SEGUE_TRY(encoder.commit(label));
  return {};
}

TEST_F(VulkanFaultTest, ADeviceLostInASubmissionSaysSoToTheCaller) {  // rows G4, K3
  WrappedApi api;
  VulkanScenario scenario;
  const Result<> ready = scenario.run_through(Phase::kReplay);
  ASSERT_TRUE(ready.has_value()) << ready.error().to_string();
  api.arm(1, FaultKind::kDeviceLost);
  const Result<> lost = commit_and_forget(scenario, "last");
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kDeviceLost);
  ASSERT_TRUE(lost.error().native.has_value());
  EXPECT_EQ(lost.error().native->code, VK_ERROR_DEVICE_LOST);
  EXPECT_EQ(lost.error().native->text, "VK_ERROR_DEVICE_LOST");
  EXPECT_STREQ(api.failed_call(), "vkQueueSubmit2");
  expect_dead(scenario);
  scenario.close();
  EXPECT_EQ(scenario.reported(), 0) << "the caller knows";
  EXPECT_THAT(api.leaks(), IsEmpty());
}

TEST_F(VulkanFaultTest, ADeviceLostUnderWorkThatNobodyWaitsForIsReportedOnce) {  // rows G3, G4
  WrappedApi api;
  VulkanScenario scenario;
  const Watchdog watchdog(kPatience, [&api] { return std::string(api.last_call()); });
  const Result<> ready = scenario.run_through(Phase::kReplay);
  ASSERT_TRUE(ready.has_value()) << ready.error().to_string();
  api.arm(2, FaultKind::kDeviceLost);  // after the submission itself
  ASSERT_TRUE(commit_and_forget(scenario, "last").has_value());
  const Result<> idle = scenario.device().wait_idle();
  ASSERT_FALSE(idle.has_value());
  EXPECT_EQ(idle.error().code, ErrorCode::kDeviceLost);
  expect_dead(scenario);
  scenario.close();
  EXPECT_EQ(scenario.reported(), 1);
  EXPECT_EQ(scenario.last_report().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(scenario.last_report().label_path, "last");
  EXPECT_THAT(api.leaks(), IsEmpty());
}

}  // namespace
}  // namespace segue::test
