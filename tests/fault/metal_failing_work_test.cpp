// SPDX-License-Identifier: Apache-2.0
//
// Command buffers that fail on the device, with each of Metal's codes and in each place: the error
// says what and where, whatever depends on the work ends, and a device that is lost says so.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fault/metal_fixture.hpp"
#include "fault/metal_scenario.hpp"
#include "fault/watchdog.hpp"
#include "metal_double/double.hpp"

namespace segue::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using Phase = MetalScenario::Phase;

constexpr std::uint32_t kThreads = 64;
constexpr long kDeviceRemoved = 11;

/// A value of MTLCommandBufferError and what becomes of it.
struct Failure {
  const char* name = "";
  long code = 0;
  ErrorCode expected = ErrorCode::kBackend;

  [[nodiscard]] bool loses_device() const { return expected == ErrorCode::kDeviceLost; }
  friend std::ostream& operator<<(std::ostream& out, const Failure& failure) {
    return out << failure.name;
  }
};
constexpr Failure kFailures[] = {
    {"Internal", 1, ErrorCode::kBackend},
    {"Timeout", 2, ErrorCode::kBackend},
    {"PageFault", 3, ErrorCode::kBackend},
    {"AccessRevoked", 4, ErrorCode::kDeviceLost},
    {"NotPermitted", 7, ErrorCode::kBackend},
    {"OutOfMemory", 8, ErrorCode::kOutOfMemory},
    {"InvalidResource", 9, ErrorCode::kBackend},
    {"DeviceRemoved", kDeviceRemoved, ErrorCode::kDeviceLost},
    {"StackOverflow", 12, ErrorCode::kBackend},
};

/// A scenario that has come as far as its graph.
class FailingWorkTest : public MetalDoubleTest {
 protected:
  void start(const Machine& machine) {
    use(machine);
    scenario_.emplace(machine.metal);
    watchdog_.emplace(kPatience, [] {
      return std::string(testing::UnitTest::GetInstance()->current_test_info()->name());
    });
    const Result<> ready = scenario_->run_through(Phase::kLink);
    ASSERT_TRUE(ready.has_value()) << ready.error().to_string();
    for (unsigned i = 0; i < 2; ++i) ASSERT_TRUE(scenario_->encoder(i)->begin().has_value());
  }
  void SetUp() override {
    MetalDoubleTest::SetUp();
    start(unified_machine());
  }
  void TearDown() override {
    metal_double::hold_execution(false);
    scenario_.reset();
    MetalDoubleTest::TearDown();
  }

  CommandEncoder& encoder(unsigned queue) { return *scenario_->encoder(queue); }
  void add_one(unsigned queue, const Buffer& buffer) {
    encoder(queue).dispatch(scenario_->add_one(), {buffer.view()}, threads(kThreads));
  }
  Submission commit(unsigned queue, std::string_view label) {
    Result<Submission> submitted = encoder(queue).commit(label);
    EXPECT_TRUE(submitted.has_value()) << submitted.error().to_string();
    expect_success(encoder(queue).begin());
    return *std::move(submitted);
  }
  Timeline make_timeline(std::string_view label) {
    return scenario_->device().create_timeline(0, label).value();
  }
  /// Whatever is called says that the device is lost.
  void expect_dead();

  std::optional<MetalScenario> scenario_;
  std::optional<Watchdog> watchdog_;
};

void FailingWorkTest::expect_dead() {
  const Device& device = scenario_->device();
  std::uint32_t word = 0;
  const auto bytes = std::as_writable_bytes(std::span(&word, 1));
  BufferDesc desc;
  desc.size_bytes = 16;
  const BufferView view = scenario_->small().view(0, 4).value();
  EXPECT_EQ(code_of(device.create_buffer(desc)), "DeviceLost");
  EXPECT_EQ(code_of(device.upload(view, bytes)), "DeviceLost");
  EXPECT_EQ(code_of(device.download(view, bytes)), "DeviceLost");
  EXPECT_EQ(code_of(device.create_encoder()), "DeviceLost");
  EXPECT_EQ(code_of(device.create_timeline()), "DeviceLost");
  EXPECT_EQ(code_of(device.kernels().get("test_saxpy")), "DeviceLost");
  EXPECT_EQ(code_of(device.wait_idle()), "DeviceLost");
  EXPECT_EQ(code_of(scenario_->executable()->submit()), "DeviceLost");
  expect_success(encoder(0).begin());
  add_one(0, scenario_->small());
  EXPECT_EQ(code_of(encoder(0).commit()), "DeviceLost");
}

class EveryMetalFailure : public FailingWorkTest, public testing::WithParamInterface<Failure> {};

TEST_P(EveryMetalFailure, SaysWhatAndWhere) {  // rows G3, G4
  metal_double::fail_command_buffer(1, GetParam().code);
  encoder(0).push_label("scope");
  add_one(0, scenario_->small());
  Submission work = commit(0, "work");
  const Result<> done = work.wait();
  ASSERT_FALSE(done.has_value());
  const Error& error = done.error();
  EXPECT_EQ(to_string(error.code), to_string(GetParam().expected));
  EXPECT_EQ(error.message, "The device does not finish command buffer \"work\".");
  EXPECT_EQ(error.label_path, "work");
  ASSERT_TRUE(error.native.has_value());
  EXPECT_EQ(error.native->backend, "metal");
  EXPECT_EQ(error.native->code, GetParam().code);
  EXPECT_THAT(error.native->text, StartsWith("MTLCommandBufferErrorDomain: "));
  EXPECT_THAT(scenario_->reports(), IsEmpty()) << "the caller knows";
  if (GetParam().loses_device()) return expect_dead();
  add_one(0, scenario_->small());
  expect_success(encoder(0).commit_and_wait("next"));
}

TEST_P(EveryMetalFailure, IsReportedOnceIfNobodyWaits) {  // rows G3, G4
  metal_double::fail_command_buffer(1, GetParam().code);
  add_one(0, scenario_->small());
  static_cast<void>(commit(0, "dropped"));
  const Result<> idle = scenario_->device().wait_idle();
  EXPECT_EQ(code_of(idle), GetParam().loses_device() ? "DeviceLost" : "success");
  metal_double::drain();
  const std::vector<Error> reports = scenario_->reports();
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(to_string(reports[0].code), to_string(GetParam().expected));
  EXPECT_EQ(reports[0].label_path, "dropped");
}

/// `first` fails while others wait for it: by a hazard and by a timeline on the other queue, on the
/// host, and on its own queue.
TEST_P(EveryMetalFailure, HoldsNobodyUp) {  // rows G10, K3
  const Timeline gate = make_timeline("gate");
  const Timeline turn = make_timeline("turn");
  encoder(0).wait_for(gate, 1);
  add_one(0, scenario_->small());
  encoder(0).signal(turn, 1);
  metal_double::fail_command_buffer(1, GetParam().code);
  Submission first = commit(0, "first");
  add_one(1, scenario_->small());
  Submission by_hazard = commit(1, "by hazard");
  encoder(1).wait_for(turn, 1);
  add_one(1, scenario_->unmapped());
  Submission by_timeline = commit(1, "by timeline");
  add_one(0, scenario_->unmapped());
  Submission behind = commit(0, "behind");
  std::optional<Result<>> waited;
  std::thread host([&] { waited = turn.wait(9); });
  expect_success(gate.signal(1));
  const std::string code(to_string(GetParam().expected));
  EXPECT_EQ(code_of(first.wait()), code);
  EXPECT_EQ(code_of(by_timeline.wait()), code);
  host.join();
  EXPECT_EQ(code_of(*waited), code);
  // These may have been done before the device was lost.
  const Result<> others[] = {by_hazard.wait(), behind.wait()};
  for (const Result<>& other : others) {
    if (!GetParam().loses_device()) expect_success(other);
  }
  EXPECT_EQ(code_of(turn.value()), code);
  EXPECT_THAT(scenario_->reports(), IsEmpty());
  if (GetParam().loses_device()) return expect_dead();
  expect_success(scenario_->device().wait_idle());
  add_one(1, scenario_->small());
  expect_success(encoder(1).commit_and_wait("next"));
}

/// Each command of a profiled recording has a pass of its own.
TEST_P(EveryMetalFailure, MayStrikeAnyPass) {  // rows G4, J5
  constexpr unsigned kPasses = 4;
  for (unsigned pass = 0; pass < kPasses; ++pass) {
    SCOPED_TRACE(pass);
    start(unified_machine());
    scenario_->executable()->set_profiling(true);
    metal_double::fail_command_buffer(1, GetParam().code, pass);
    Result<Submission> replay = scenario_->executable()->submit("profiled");
    ASSERT_TRUE(replay.has_value()) << replay.error().to_string();
    const Result<> done = replay->wait();
    EXPECT_EQ(code_of(done), to_string(GetParam().expected));
    if (!done) {
      EXPECT_THAT(done.error().label_path, testing::AnyOf("profiled", "native"));
    }
    if (GetParam().loses_device()) {
      expect_dead();
    } else {
      expect_success(scenario_->run(Phase::kReplay));
    }
  }
}

/// All of which are committed. A line "commit ..." may be a residency set's.
std::uint64_t command_buffers_since(std::size_t first_line) {
  const std::vector<std::string> log = metal_double::log();
  return static_cast<std::uint64_t>(std::ranges::count_if(
      log.begin() + static_cast<std::ptrdiff_t>(first_line), log.end(),
      [](const std::string& line) { return line.starts_with("commandBuffer "); }));
}

/// Of each phase that commits any, on a machine that also moves bytes with them.
TEST_P(EveryMetalFailure, MayStrikeAnyCommandBuffer) {  // rows G4, K3
  for (const Phase phase : {Phase::kAllocate, Phase::kTransfer, Phase::kSubmit, Phase::kTimelines,
                            Phase::kTrace, Phase::kLink, Phase::kReplay}) {
    std::uint64_t n = 1;
    for (bool hit = true; hit && !HasFailure(); ++n) {
      SCOPED_TRACE(fmt::format("command buffer {} of phase {}", n, to_string(phase)));
      use(discrete_machine());
      scenario_.emplace();
      for (const Phase before : MetalScenario::kPhases) {
        if (before == phase) break;
        expect_success(scenario_->run(before));
      }
      watchdog_->feed();
      const std::size_t begin = metal_double::log().size();
      metal_double::fail_command_buffer(n, GetParam().code);
      const Result<> done = scenario_->run(phase);
      metal_double::drain();
      hit = command_buffers_since(begin) >= n;
      const auto reports = scenario_->reports();
      // What follows a failure that nobody waited for computes with what there is.
      const bool noticed =
          !reports.empty() || (!done && done.error().code != ErrorCode::kCorruptData);
      EXPECT_EQ(noticed, hit) << (done ? "success" : done.error().to_string());
      if (!hit) break;
      if (!done) {
        EXPECT_THAT(done.error().message, EndsWith("."));
      }
      const Result<> again = scenario_->run(phase);
      if (!GetParam().loses_device()) {
        expect_success(again);
      } else if (phase != Phase::kAllocate) {
        EXPECT_EQ(code_of(again), "DeviceLost");
      }
      scenario_.reset();
      expect_clean();
    }
    EXPECT_GT(n, 1U) << "phase " << to_string(phase) << " commits nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, EveryMetalFailure, testing::ValuesIn(kFailures),
                         [](const auto& each) { return std::string(each.param.name); });

// A lost device.

class LostMetalDevice : public FailingWorkTest, public testing::WithParamInterface<Failure> {};

TEST_P(LostMetalDevice, EndsWorkInFlightAndWhateverWaits) {  // rows G4, G10, K3
  metal_double::hold_execution(true);
  const Timeline gate = make_timeline("gate");
  const Timeline never = make_timeline("never");
  std::vector<Submission> works;
  for (const unsigned queue : {0U, 1U, 0U, 1U}) {
    add_one(queue, scenario_->small());
    works.push_back(commit(queue, "running"));
  }
  for (const unsigned queue : {0U, 1U}) {
    encoder(queue).wait_for(gate, 1);
    add_one(queue, scenario_->unmapped());
    works.push_back(commit(queue, "waiting"));
  }
  for (int i = 0; i < 2; ++i) {
    Result<Submission> replay = scenario_->executable()->submit("replay");
    ASSERT_TRUE(replay.has_value()) << replay.error().to_string();
    works.push_back(*std::move(replay));
  }
  std::optional<Result<>> waited, downloaded;
  std::thread host([&] { waited = never.wait(7); });
  std::thread reader([&] {
    std::uint32_t word = 0;
    downloaded = scenario_->device().download(scenario_->small().view(0, 4).value(),
                                              std::as_writable_bytes(std::span(&word, 1)));
  });
  metal_double::lose_device(GetParam().code);
  for (Submission& work : works) {
    const Result<> done = work.wait();
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(to_string(done.error().code), "DeviceLost");
    EXPECT_EQ(done.error().label_path, work.label());
  }
  host.join();
  reader.join();
  EXPECT_EQ(code_of(*waited), "DeviceLost");
  EXPECT_EQ(code_of(*downloaded), "DeviceLost");
  EXPECT_EQ(code_of(gate.signal(1)), "DeviceLost");
  EXPECT_EQ(code_of(gate.value()), "DeviceLost");
  expect_dead();
  EXPECT_THAT(scenario_->reports(), IsEmpty());
  works.clear();
}

TEST_P(LostMetalDevice, ReportsWhatWasDropped) {  // rows G3, G4
  metal_double::hold_execution(true);
  add_one(0, scenario_->small());
  static_cast<void>(commit(0, "dropped"));
  add_one(1, scenario_->unmapped());
  static_cast<void>(commit(1, "dropped, too"));
  metal_double::lose_device(GetParam().code);
  EXPECT_EQ(code_of(scenario_->device().wait_idle()), "DeviceLost");
  metal_double::drain();
  std::vector<std::string> paths;
  for (const Error& report : scenario_->reports()) {
    EXPECT_EQ(to_string(report.code), "DeviceLost");
    paths.push_back(report.label_path);
  }
  EXPECT_THAT(paths, testing::UnorderedElementsAre("dropped", "dropped, too"));
}

TEST_P(LostMetalDevice, IsFoundByTheNextCommand) {  // row G4
  metal_double::lose_device(GetParam().code);
  add_one(0, scenario_->small());
  EXPECT_EQ(code_of(encoder(0).commit_and_wait("work")), "DeviceLost");
  expect_dead();
}

TEST_P(LostMetalDevice, IsFoundByATransferThroughTheDevice) {  // rows G4, H6
  start(discrete_machine());
  metal_double::lose_device(GetParam().code);
  EXPECT_EQ(code_of(scenario_->read(scenario_->unmapped().view())), "DeviceLost");
  expect_dead();
}

INSTANTIATE_TEST_SUITE_P(Codes, LostMetalDevice,
                         testing::Values(Failure{"AccessRevoked", 4, ErrorCode::kDeviceLost},
                                         Failure{"DeviceRemoved", kDeviceRemoved,
                                                 ErrorCode::kDeviceLost}),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace segue::test
