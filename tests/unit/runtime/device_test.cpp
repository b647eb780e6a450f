// SPDX-License-Identifier: Apache-2.0
#include "segue/device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "runtime/device_core.hpp"
#include "runtime/device_state.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeOptions;
using test::FakeSetup;
using test::open_fake;

Error sample_error(std::string message) {
  Error error;
  error.code = ErrorCode::kBackend;
  error.message = std::move(message);
  return error;
}

TEST(Device, SaysWhatItIs) {  // row H8
  DeviceOptions options;
  options.queue_count = 3;
  const FakeSetup setup = open_fake(FakeOptions{}, options);
  EXPECT_EQ(setup.device.name(), "Fake device");
  EXPECT_EQ(setup.device.backend(), "fake");
  EXPECT_EQ(setup.device.clock_name(), "fake clock");
  EXPECT_EQ(setup.device.queue_count(), 3u);
  EXPECT_EQ(setup.device.limits().max_inline_bytes, 4096u);
  EXPECT_TRUE(setup.device.features().unified_memory);
  EXPECT_FALSE(setup.device.memory_info().budget_bytes.has_value());
  EXPECT_EQ(setup.device.native_handle().value, 7u);
}

TEST(Device, AnEmptyHandleAnswersWithErrors) {  // row K1
  const Device device;
  std::array<std::byte, 1> byte{};
  EXPECT_FALSE(device);
  EXPECT_EQ(device.create_buffer({}).error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(device.import_host_memory(std::span<std::byte>(byte)).error().code,
            ErrorCode::kInvalidState);
  EXPECT_EQ(device.import_host_memory(std::span<const std::byte>(byte)).error().code,
            ErrorCode::kInvalidState);
  EXPECT_EQ(device.upload({}, byte).error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(device.download({}, byte).error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(device.create_encoder().error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(device.create_pool().error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(device.wait_idle().error().code, ErrorCode::kInvalidState);
}

TEST(Device, RefusesAnEncoderForAQueueItDoesNotHave) {  // row K4
  const FakeSetup setup = open_fake();
  EncoderOptions options;
  options.queue = 1;
  const auto encoder = setup.device.create_encoder(options);
  ASSERT_FALSE(encoder.has_value());
  EXPECT_EQ(encoder.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(encoder.error().message,
            "The encoder asks for queue 1 but the device has 1, counted from 0.");
}

TEST(Device, ReportsErrorsThatNobodyWaitsForToItsHandler) {  // row G3
  std::vector<std::string> messages;
  DeviceOptions options;
  options.error_handler = [&messages](const Error& error) { messages.push_back(error.message); };
  const FakeSetup setup = open_fake(Completion::kManual, options);
  const auto fail_one = [&setup](const char* message) {
    CommandEncoder encoder = setup.device.create_encoder().value();
    static_cast<void>(encoder.commit().value());
    setup.hal->queue().complete_next(sample_error(message));
  };
  fail_one("The first breaks.");
  EXPECT_THAT(messages, testing::ElementsAre("The first breaks."));

  std::vector<std::string> others;
  setup.device.set_error_handler(
      [&others](const Error& error) { others.push_back(error.message); });
  fail_one("The second breaks.");
  EXPECT_THAT(messages, testing::SizeIs(1));
  EXPECT_THAT(others, testing::ElementsAre("The second breaks."));
}

TEST(Device, LogsErrorsThatNobodyWaitsForWithoutAHandler) {  // row G3
  const FakeSetup setup = open_fake(Completion::kManual);
  CommandEncoder encoder = setup.device.create_encoder().value();
  static_cast<void>(encoder.commit().value());
  testing::internal::CaptureStderr();
  setup.hal->queue().complete_next(sample_error("The engine stalls."));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("The engine stalls."));
}

TEST(Device, OpeningReportsEachFailureAndLeaksNothing) {  // row K3
  for (int failing = 0; failing < 2; ++failing) {
    FakeOptions options;
    int call_index = 0;
    options.fail_call = [&](std::string_view call) {
      return call == "create_queue" && call_index++ == failing;
    };
    auto hal = std::make_shared<test::FakeDevice>(options);
    DeviceOptions device_options;
    device_options.queue_count = 2;
    const auto device = open_fake(hal, device_options);
    ASSERT_FALSE(device.has_value());
    EXPECT_EQ(device.error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(hal->queue_count(), 0u);
    EXPECT_EQ(hal.use_count(), 1);
  }
}

TEST(Device, HandlesMayGoInAnyOrder) {  // row K5
  FakeSetup setup = open_fake();
  BufferDesc desc;
  desc.size_bytes = 16;
  Buffer buffer = setup.device.create_buffer(desc).value();
  CommandEncoder encoder = setup.device.create_encoder().value();
  Submission work;
  {
    const Device last = std::exchange(setup.device, {});
  }
  encoder.fill(buffer.view(), std::byte{7});
  work = encoder.commit().value();
  encoder = {};
  EXPECT_TRUE(work.wait().has_value());
  work = {};
  EXPECT_EQ(buffer.view().map_read<std::uint8_t>().value()[15], 7);
  buffer = {};
  EXPECT_EQ(setup.hal->live_memories(), 0);
  EXPECT_EQ(setup.hal.use_count(), 1) << "nothing keeps the backend";
}

}  // namespace
}  // namespace segue
