// SPDX-License-Identifier: Apache-2.0
//
// Machines that lack something: no device, an old one, none of the memory in common, an older
// system, little memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "conformance/metal_conformance_kernels.hpp"
#include "fault/metal_fixture.hpp"
#include "fault/metal_scenario.hpp"
#include "metal_double/double.hpp"

namespace segue::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class MetalMachineTest : public MetalDoubleTest {
 protected:
  void TearDown() override {
    device_ = Device();
    MetalDoubleTest::TearDown();
  }
  void open(const Machine& machine) {
    device_ = Device();
    use(machine);
    Result<Device> opened = metal::create_device({}, machine.metal);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    device_ = *std::move(opened);
    for (KernelSource& source : metal_conformance_kernels())
      expect_success(device_.kernels().add(std::move(source)));
  }
  template <class T>
  static void expect_refusal(const Result<T>& result, std::string_view code,
                             const std::string& sentence) {
    EXPECT_EQ(code_of(result), code);
    if (!result) {
      EXPECT_EQ(result.error().message, sentence);
    }
  }
  [[nodiscard]] Buffer make_buffer(std::uint64_t size, HostAccess access) const {
    BufferDesc desc;
    desc.size_bytes = size;
    desc.host_access = access;
    desc.label = "buffer";
    return device_.create_buffer(desc).value();
  }
  [[nodiscard]] Executable compile_replay(const Buffer& buffer) const {
    CommandEncoder encoder = device_.create_encoder().value();
    encoder.start_capture();
    const Kernel kernel = device_.kernels().get("test_add_one").value();
    for (int i = 0; i < 3; ++i) encoder.dispatch(kernel, {buffer.view()}, threads(64));
    return encoder.take_capture().value().compile(device_).value();
  }

  Device device_;
};

// Which device.

TEST_F(MetalMachineTest, WithoutADeviceSaysSo) {  // row K4
  Machine machine = unified_machine();
  machine.options.devices.clear();
  use(machine);
  expect_refusal(metal::create_device(), "Unsupported",
                 "No Metal device can be used. The system reports none.");
}

TEST_F(MetalMachineTest, WithAnOldDeviceNamesWhatItLacks) {  // row K4
  Machine machine = unified_machine();
  machine.options.devices = {"Old one", "Another"};
  machine.options.families = {1001, 1002, 1003, 1004, 1005, 1006, 2001, 3001, 3002};
  use(machine);
  const std::string reason =
      "is rejected: it is of no GPU family that sums over SIMD groups (Apple 7, Mac 2).";
  expect_refusal(metal::create_device(), "Unsupported",
                 "No Metal device can be used. Device \"Old one\" " + reason +
                     " Device \"Another\" " + reason);
}

TEST_F(MetalMachineTest, DevicesAreCountedFromTheDefaultOne) {  // row K4
  Machine machine = unified_machine();
  machine.options.devices = {"First", "Second"};
  for (machine.metal.index = 0; machine.metal.index < 2; ++machine.metal.index) {
    open(machine);
    EXPECT_EQ(device_.name(), machine.options.devices[machine.metal.index]);
  }
  device_ = Device();
  expect_refusal(metal::create_device({}, machine.metal), "NotFound",
                 "Metal device 2 is asked for, but 2 qualify, counted from 0.");
}

TEST_F(MetalMachineTest, AnyDeviceDoesWhereThereIsNoDefaultOne) {  // row K3
  use(unified_machine());
  metal_double::fail_nth_call(1);
  Result<Device> opened = metal::create_device();
  ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
  EXPECT_THAT(metal_double::call_names(), Contains("MTLCreateSystemDefaultDevice"));
}

// Memory.

/// The kinds of buffers that the log says were made.
std::vector<std::string> buffers_made() {
  std::vector<std::string> lines;
  for (const std::string& line : metal_double::log()) {
    if (line.starts_with("newBuffer")) lines.push_back(line);
  }
  return lines;
}

TEST_F(MetalMachineTest, WithoutUnifiedMemoryBuffersAreWhereTheyAreNeeded) {  // rows H6, H7
  open(discrete_machine());
  EXPECT_FALSE(device_.features().unified_memory);
  metal_double::clear_log();
  const Buffer shared = make_buffer(64, HostAccess::kReadWrite);
  EXPECT_THAT(buffers_made(), testing::ElementsAre(HasSubstr(" shared untracked")));
  metal_double::clear_log();
  const Buffer own = make_buffer(64, HostAccess::kNone);
  EXPECT_THAT(buffers_made(), Contains(HasSubstr("newBufferWithLength 64 private untracked")));
  expect_success(shared.view().map_write<std::uint32_t>());
  EXPECT_EQ(code_of(own.view().map_read<std::uint32_t>()), "Unsupported");
  alignas(4096) static std::byte page[4096];
  const Result<Buffer> imported = device_.import_host_memory(std::span<std::byte>(page));
  EXPECT_EQ(code_of(imported), "Unsupported");
}

TEST_F(MetalMachineTest, WithUnifiedMemoryAllBuffersAreShared) {  // row H7
  open(unified_machine());
  metal_double::clear_log();
  const Buffer shared = make_buffer(64, HostAccess::kReadWrite);
  const Buffer own = make_buffer(64, HostAccess::kNone);
  EXPECT_THAT(buffers_made(), SizeIs(2));
  EXPECT_THAT(buffers_made(), Each(HasSubstr(" shared untracked")));
}

/// Transfers go through a ring of 8 MiB; kernels that copy take any place.
TEST_F(MetalMachineTest, PrivateMemoryTakesTransfersOfAnyPlaceAndSize) {  // rows H3, H6
  constexpr std::uint64_t kRing = std::uint64_t{8} << 20;
  constexpr std::uint64_t kSize = 2 * kRing + 4099;
  open(discrete_machine());
  const Buffer own = make_buffer(kSize, HostAccess::kNone);
  std::vector<std::byte> expected(kSize, std::byte{0});
  std::vector<std::byte> found(kSize, std::byte{255});
  expect_success(device_.download(own.view(), found));
  EXPECT_TRUE(found == expected) << "it is not zeroed";
  struct Range {
    std::uint64_t offset, size;
  };
  constexpr Range kRanges[] = {{0, 1},         {1, 15},        {17, 64},        {kRing - 3, 7},
                               {5, kRing + 1}, {kSize - 1, 1}, {33, 2 * kRing}, {0, kSize}};
  for (std::uint8_t i = 0; const auto& [offset, size] : kRanges) {
    std::vector<std::byte> source(size);
    for (std::uint64_t k = 0; k < size; ++k)
      source[k] = static_cast<std::byte>((k * 7 + ++i) & 255);
    expect_success(device_.upload(own.view(offset, size).value(), source));
    std::ranges::copy(source, expected.begin() + static_cast<std::ptrdiff_t>(offset));
    found.assign(size, std::byte{255});
    expect_success(device_.download(own.view(offset, size).value(), found));
    EXPECT_TRUE(found == source) << size << " bytes at " << offset;
  }
  found.assign(kSize, std::byte{255});
  expect_success(device_.download(own.view(), found));
  EXPECT_TRUE(found == expected) << "transfers wrote beyond their range";
}

TEST_F(MetalMachineTest, WithLittleMemorySaysHowMuchThereIs) {  // rows K3, K4
  for (Machine machine : {unified_machine(), discrete_machine()}) {
    machine.options.memory_limit = std::uint64_t{64} << 20;
    machine.options.max_buffer_length = std::uint64_t{1} << 30;
    open(machine);
    const Buffer small = make_buffer(64, HostAccess::kNone);
    BufferDesc desc;
    desc.size_bytes = std::uint64_t{65} << 20;
    desc.label = "large";
    const Result<Buffer> large = device_.create_buffer(desc);
    EXPECT_EQ(code_of(large), "OutOfMemory");
    if (!large) {
      EXPECT_THAT(large.error().message,
                  HasSubstr("does not give 68157440 bytes for buffer \"large\""));
    }
    desc.size_bytes = 64;
    expect_success(device_.create_buffer(desc));
  }
}

// What a device need not have.

TEST_F(MetalMachineTest, BeforeMacOs15ThereAreNoResidencySets) {  // row H5
  open(m1_machine());
  EXPECT_FALSE(device_.features().residency_sets);
  EXPECT_FALSE(device_.residency().enabled());
  const Buffer buffer = make_buffer(64, HostAccess::kReadWrite);
  device_.residency().add(buffer);
  expect_success(device_.create_encoder().value().commit_and_wait());
  EXPECT_EQ(device_.residency().stats().resident, 1U) << "it counts all the same";
  device_.residency().remove(buffer);
  EXPECT_THAT(metal_double::log(), Not(Contains(HasSubstr("esidencySet"))));
}

TEST_F(MetalMachineTest, WithoutIndirectCommandBuffersReplaysEncode) {  // row F1
  for (const Machine& machine : {unified_machine(), reencoding_machine()}) {
    open(machine);
    const Buffer buffer = make_buffer(256, HostAccess::kReadWrite);
    Executable executable = compile_replay(buffer);
    metal_double::clear_log();
    expect_success(executable.submit_and_wait());
    EXPECT_EQ(*buffer.view().map_read<std::uint32_t>().value().begin(), 3U);
    const auto executes = std::ranges::count_if(metal_double::log(), [](const std::string& line) {
      return line.find("executeCommandsInBuffer") != std::string::npos;
    });
    EXPECT_EQ(executes, machine.metal.indirect_command_buffers ? 3 : 0);
  }
}

/// With no group, so that nothing runs twice.
TEST_F(MetalMachineTest, OnM1PipelinesAreDispatchedBeforeIndirectCommandsUseThem) {  // row F1
  for (const Machine& machine : {unified_machine(), m1_machine()}) {
    open(machine);
    const Buffer buffer = make_buffer(256, HostAccess::kReadWrite);
    Executable executable = compile_replay(buffer);
    metal_double::clear_log();
    expect_success(executable.submit_and_wait());
    EXPECT_EQ(*buffer.view().map_read<std::uint32_t>().value().begin(), 3U);
    std::vector<std::string> calls;
    for (const std::string& line : metal_double::log()) {
      if (line.starts_with("dispatch") || line.starts_with("executeCommandsInBuffer"))
        calls.push_back(line.substr(0, line.find(' ')));
    }
    const bool is_m1 = machine.options.os_major == 14;
    ASSERT_THAT(calls, SizeIs(is_m1 ? 4 : 3));
    EXPECT_EQ(calls[0],
              is_m1 ? "dispatchThreadgroupsWithIndirectBuffer" : "executeCommandsInBuffer");
  }
}

/// What does not fit is encoded anew.
TEST_F(MetalMachineTest, AGraphMayHaveMoreCommandsThanAnIndirectCommandBuffer) {  // row F1
  constexpr std::uint32_t kCommands = 0x4000 + 100;
  open(unified_machine());
  const Buffer buffer = make_buffer(std::uint64_t{4} * kCommands, HostAccess::kReadWrite);
  const Kernel kernel = device_.kernels().get("test_add_one").value();
  CommandEncoder encoder = device_.create_encoder().value();
  encoder.start_capture();
  for (std::uint64_t i = 0; i < kCommands; ++i)
    encoder.dispatch(kernel, {buffer.view(4 * i, 4).value()}, threads(1));
  CompileOptions options;
  options.max_in_flight = 1;
  Result<Executable> executable = encoder.take_capture().value().compile(device_, options);
  ASSERT_TRUE(executable.has_value()) << executable.error().to_string();
  expect_success(executable->submit_and_wait());
  const auto words = buffer.view().map_read<std::uint32_t>().value();
  EXPECT_EQ(std::accumulate(words.begin(), words.end(), 0U), kCommands);
}

TEST_F(MetalMachineTest, WithoutCountersThereAreTimesOfSubmissionsOnly) {  // rows J5, G1
  for (const bool counters : {true, false}) {
    for (const double ticks_per_ns : {1.0, 0.024, 3.0}) {
      Machine machine = unified_machine();
      machine.options.timestamp_counters = counters;
      machine.options.gpu_ticks_per_ns = ticks_per_ns;
      open(machine);
      Executable executable = compile_replay(make_buffer(256, HostAccess::kReadWrite));
      executable.set_profiling(true);
      Submission work = executable.submit().value();
      expect_success(work.wait());
      const GpuTime all = work.gpu_time().value();
      EXPECT_GT(all.elapsed_seconds(), 0.0);
      const std::vector<DispatchTime> times = work.dispatch_times().value();
      EXPECT_THAT(times, SizeIs(counters ? 3 : 0));
      double before = all.start_seconds;
      for (const DispatchTime& time : times) {
        EXPECT_GE(time.start_seconds, before);
        EXPECT_GE(time.end_seconds, time.start_seconds);
        before = time.start_seconds;
      }
      EXPECT_LE(before, all.end_seconds);
    }
  }
}

// Captures to files.

class MetalCaptureTest : public MetalMachineTest {
 protected:
  void SetUp() override {
    MetalMachineTest::SetUp();
    std::filesystem::remove(path_);
  }
  void TearDown() override {
    std::filesystem::remove(path_);
    MetalMachineTest::TearDown();
  }
  const std::string path_ = (std::filesystem::temp_directory_path() /
                             ("segue_capture_" + std::to_string(::getpid()) + ".gputrace"))
                                .string();
};

TEST_F(MetalCaptureTest, NeedsTheLeaveOfTheProcess) {  // row G8
  Machine machine = unified_machine();
  machine.options.capture_to_file = false;
  open(machine);
  expect_refusal(metal::start_capture(device_, path_), "Unsupported",
                 "This process may not capture to files; set MTL_CAPTURE_ENABLED=1 in its "
                 "environment.");
}

TEST_F(MetalCaptureTest, IsOneAtATime) {  // row G8
  open(unified_machine());
  expect_refusal(metal::stop_capture(), "InvalidState", "No capture of this process is under way.");
  expect_success(metal::start_capture(device_, path_));
  expect_refusal(metal::start_capture(device_, path_), "InvalidState",
                 "A capture of this process is under way.");
  expect_success(metal::stop_capture());
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(MetalCaptureTest, WritesOverNothing) {  // rows G8, K3
  open(unified_machine());
  std::ofstream(path_) << "precious";
  const Result<> started = metal::start_capture(device_, path_);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(to_string(started.error().code), "Io");
  EXPECT_TRUE(started.error().native.has_value());
  std::filesystem::remove(path_);
  expect_success(metal::start_capture(device_, path_));
  expect_success(metal::stop_capture());
}

}  // namespace
}  // namespace segue::test
