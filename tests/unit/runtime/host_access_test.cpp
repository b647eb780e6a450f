// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing buffers from the host while the device works on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <future>
#include <vector>

#include "runtime/buffer_state.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeOptions;
using test::FakeSetup;
using test::open_fake;

/// A buffer of 64 bytes and a device that works when told.
class HostAccessTest : public testing::Test {
 protected:
  HostAccessTest() {
    BufferDesc desc;
    desc.size_bytes = 64;
    desc.label = "logits";
    buffer_ = setup_.device.create_buffer(desc).value();
    other_ = setup_.device.create_buffer(desc).value();
  }

  /// Submits a fill of the bytes with 0x11.
  Submission submit_fill(std::uint64_t offset, std::uint64_t size) {
    CommandEncoder encoder = setup_.device.create_encoder().value();
    encoder.fill(buffer_.view(offset, size).value(), std::byte{0x11});
    return encoder.commit().value();
  }
  /// Submits a copy from the buffer to another one.
  Submission submit_read(std::uint64_t offset, std::uint64_t size) {
    CommandEncoder encoder = setup_.device.create_encoder().value();
    encoder.copy(buffer_.view(offset, size).value(), other_.view(offset, size).value());
    return encoder.commit().value();
  }
  test::FakeQueue& queue() { return setup_.hal->queue(); }

  FakeSetup setup_ = open_fake(Completion::kManual);
  Buffer buffer_;
  Buffer other_;
};

TEST_F(HostAccessTest, ReadingIsBusyWhileWorkWrites) {  // row C7
  const Submission work = submit_fill(0, 64);
  const auto mapped = buffer_.view().map_read<std::uint8_t>(WaitMode::kDontWait);
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().code, ErrorCode::kBusy);
  EXPECT_THAT(mapped.error().message, testing::HasSubstr("\"logits\""));
  EXPECT_EQ(buffer_.state()->read_mappings.load(), 0u);

  std::array<std::byte, 64> bytes{};
  EXPECT_EQ(setup_.device.download(buffer_.view(), bytes, WaitMode::kDontWait).error().code,
            ErrorCode::kBusy);
  queue().complete_all();
  EXPECT_TRUE(setup_.device.download(buffer_.view(), bytes, WaitMode::kDontWait).has_value());
  EXPECT_THAT(bytes, testing::Each(std::byte{0x11}));
}

TEST_F(HostAccessTest, ReadingGoesOnWhileWorkReads) {  // row C7
  const Submission work = submit_read(0, 64);
  EXPECT_TRUE(buffer_.view().map_read<std::uint8_t>(WaitMode::kDontWait).has_value());
  EXPECT_EQ(buffer_.view().map_write<std::uint8_t>(WaitMode::kDontWait).error().code,
            ErrorCode::kBusy);
  const std::array<std::byte, 64> bytes{};
  EXPECT_EQ(setup_.device.upload(buffer_.view(), bytes, WaitMode::kDontWait).error().code,
            ErrorCode::kBusy);
  queue().complete_all();
  EXPECT_TRUE(buffer_.view().map_write<std::uint8_t>(WaitMode::kDontWait).has_value());
}

TEST_F(HostAccessTest, OtherBytesOfTheBufferAreFree) {  // row C7, C2
  const Submission work = submit_fill(0, 32);
  EXPECT_TRUE(
      buffer_.view(32, 32).value().map_write<std::uint8_t>(WaitMode::kDontWait).has_value());
  EXPECT_FALSE(
      buffer_.view(31, 33).value().map_read<std::uint8_t>(WaitMode::kDontWait).has_value());
  queue().complete_all();
}

TEST_F(HostAccessTest, WaitsForTheWorkByDefault) {  // row C7
  const Submission work = submit_fill(0, 64);
  auto first_byte = std::async(std::launch::async,
                               [&] { return buffer_.view().map_read<std::uint8_t>().value()[0]; });
  // The mapping counts itself before it looks for work to wait for.
  while (buffer_.state()->read_mappings.load() == 0) std::this_thread::yield();
  EXPECT_NE(first_byte.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  queue().complete_all();
  EXPECT_EQ(first_byte.get(), 0x11);
}

TEST_F(HostAccessTest, UploadAndDownloadWaitForTheWork) {  // row C7
  const Submission work = submit_fill(0, 64);
  const std::vector<std::byte> sent(64, std::byte{0x22});
  std::vector<std::byte> received(64);
  auto done = std::async(std::launch::async, [&] {
    return setup_.device.upload(buffer_.view(), sent).has_value() &&
           setup_.device.download(buffer_.view(), received).has_value();
  });
  while (buffer_.state()->write_mappings.load() == 0) std::this_thread::yield();
  queue().complete_all();
  EXPECT_TRUE(done.get());
  EXPECT_EQ(received, sent);  // Not what the work wrote: the upload came after it.
}

TEST_F(HostAccessTest, CommitIsBusyWhileTheHostMaps) {  // row C7
  CommandEncoder reader = setup_.device.create_encoder().value();
  reader.copy(buffer_.view(), other_.view());
  CommandEncoder writer = setup_.device.create_encoder().value();
  writer.fill(buffer_.view(), std::byte{1});
  {
    const auto mapping = buffer_.view().map_read<std::uint8_t>().value();
    EXPECT_EQ(writer.commit().error().code, ErrorCode::kBusy);
    EXPECT_TRUE(reader.commit().has_value());
  }
  queue().complete_all();
  {
    const auto mapping = buffer_.view().map_write<std::uint8_t>().value();
    ASSERT_TRUE(reader.begin().has_value());
    reader.copy(buffer_.view(), other_.view());
    EXPECT_EQ(reader.commit().error().code, ErrorCode::kBusy);
  }
  ASSERT_TRUE(writer.begin().has_value());
  writer.fill(buffer_.view(), std::byte{1});
  EXPECT_TRUE(writer.commit().has_value());
  queue().complete_all();
}

TEST_F(HostAccessTest, AMovedMappingEndsOnce) {  // row C7
  {
    auto first = buffer_.view().map_write<std::uint8_t>().value();
    EXPECT_EQ(buffer_.state()->write_mappings.load(), 1u);
    const auto second = std::move(first);
    EXPECT_EQ(buffer_.state()->write_mappings.load(), 1u);
    EXPECT_EQ(second.size(), 64u);
  }
  EXPECT_EQ(buffer_.state()->write_mappings.load(), 0u);
}

TEST_F(HostAccessTest, AMappingKeepsItsBufferAlive) {  // row H1
  const auto mapping = buffer_.view().map_write<std::uint8_t>().value();
  buffer_ = {};
  mapping[63] = 9;
  EXPECT_EQ(mapping[63], 9);
}

TEST_F(HostAccessTest, TransfersCheckTheirSizes) {  // row K4
  std::array<std::byte, 10> bytes{};
  const auto uploaded = setup_.device.upload(buffer_.view(), bytes);
  ASSERT_FALSE(uploaded.has_value());
  EXPECT_EQ(uploaded.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(uploaded.error().message,
            "The view of buffer \"logits\" has 64 bytes but the host side of the upload has 10.");
  EXPECT_EQ(setup_.device.download(buffer_.view(), bytes).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(setup_.device.upload({}, bytes).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(HostAccessTest, TransfersRefuseBuffersOfAnotherDevice) {  // row K4
  const FakeSetup other = open_fake();
  std::array<std::byte, 64> bytes{};
  EXPECT_EQ(other.device.upload(buffer_.view(), bytes).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(other.device.download(buffer_.view(), bytes).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(HostAccessTest, BuffersWithoutHostAccessDoNotMapButTransfer) {  // row H7
  BufferDesc desc;
  desc.size_bytes = 8;
  desc.host_access = HostAccess::kNone;
  desc.label = "private";
  const Buffer buffer = setup_.device.create_buffer(desc).value();
  const auto mapped = buffer.view().map_read<std::uint8_t>();
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(mapped.error().message,
            "The memory of buffer \"private\" has no host access; Device::upload and "
            "Device::download copy its bytes.");

  const std::vector<std::byte> sent(4, std::byte{5});
  std::vector<std::byte> received(8);
  ASSERT_TRUE(setup_.device.upload(buffer.view(4, 4).value(), sent).has_value());
  ASSERT_TRUE(setup_.device.download(buffer.view(), received).has_value());
  EXPECT_THAT(received,
              testing::ElementsAre(std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                   std::byte{5}, std::byte{5}, std::byte{5}, std::byte{5}));
}

TEST(HostAccess, ALostDeviceFailsEveryCall) {  // row G4
  const FakeSetup setup = open_fake(Completion::kManual);
  BufferDesc desc;
  desc.size_bytes = 8;
  const Buffer buffer = setup.device.create_buffer(desc).value();
  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.fill(buffer.view(), std::byte{1});
  Submission work = encoder.commit().value();
  Error lost;
  lost.code = ErrorCode::kDeviceLost;
  lost.message = "The fake device falls off the bus.";
  setup.hal->queue().complete_next(lost);
  EXPECT_EQ(work.wait().error().code, ErrorCode::kDeviceLost);

  std::array<std::byte, 8> bytes{};
  EXPECT_EQ(buffer.view().map_read<std::uint8_t>().error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(setup.device.upload(buffer.view(), bytes).error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(setup.device.download(buffer.view(), bytes).error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(setup.device.create_buffer(desc).error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(setup.device.import_host_memory(std::span<std::byte>(bytes)).error().code,
            ErrorCode::kDeviceLost);
  EXPECT_EQ(setup.device.create_encoder().error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(setup.device.wait_idle().error().code, ErrorCode::kDeviceLost);
}

}  // namespace
}  // namespace segue
