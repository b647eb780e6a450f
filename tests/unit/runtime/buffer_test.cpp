// SPDX-License-Identifier: Apache-2.0
#include "segue/buffer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "runtime/buffer_state.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeOptions;
using test::open_fake;

Buffer make_buffer(const Device& device, std::uint64_t size_bytes, std::string label = "weights") {
  BufferDesc desc;
  desc.size_bytes = size_bytes;
  desc.label = std::move(label);
  return device.create_buffer(desc).value();
}

TEST(BufferView, HasTheThreeNumbersItWasMadeFrom) {  // row A2
  const auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 64);
  const BufferView view = buffer.view(16, 32).value();
  EXPECT_EQ(view.buffer(), buffer);
  EXPECT_EQ(view.offset_bytes(), 16u);
  EXPECT_EQ(view.size_bytes(), 32u);
  EXPECT_EQ(buffer.view().offset_bytes(), 0u);
  EXPECT_EQ(buffer.view().size_bytes(), 64u);
}

TEST(BufferView, MapsItsOwnBytes) {  // row A2
  const auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 64);
  {
    const auto all = buffer.view().map_write<std::uint8_t>().value();
    std::iota(all.begin(), all.end(), std::uint8_t{0});
  }
  const auto part = buffer.view(16, 4).value().map_read<std::uint8_t>().value();
  EXPECT_THAT(part.span(), testing::ElementsAre(16, 17, 18, 19));
}

TEST(BufferView, PartCountsFromItsParent) {  // row A4
  const auto setup = open_fake();
  const BufferView parent = make_buffer(setup.device, 64).view(16, 32).value();
  const BufferView part = parent.subview(8, 24).value();
  EXPECT_EQ(part.offset_bytes(), 24u);
  EXPECT_EQ(part.size_bytes(), 24u);
  EXPECT_EQ(part.subview(24, 0).value().offset_bytes(), 48u);
}

TEST(BufferView, RangesOfOneMemoryShareCoordinates) {  // row A2
  const auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 64);
  const AccessRange range = buffer.view(16, 32).value().range(Access::kWrite);
  EXPECT_EQ(range.memory, buffer.view().range(Access::kRead).memory);
  EXPECT_EQ(range.end - range.begin, 32u);
  EXPECT_EQ(range.begin - buffer.view().range(Access::kRead).begin, 16u);
  EXPECT_EQ(range.access, Access::kWrite);
  EXPECT_NE(range.memory, make_buffer(setup.device, 64).view().range(Access::kRead).memory);
  EXPECT_EQ(BufferView().range(Access::kWrite), AccessRange());
}

TEST(Buffer, TellsWhetherItHasMemoryAndKeepsIt) {  // row A2
  const auto setup = open_fake();
  BufferDesc desc;
  desc.size_bytes = 64;
  EXPECT_TRUE(setup.device.create_buffer(desc).value().is_backed());
  desc.deferred = true;
  const Buffer deferred = setup.device.create_buffer(desc).value();
  EXPECT_FALSE(deferred.is_backed());
  EXPECT_FALSE(deferred.is_transient());
  const std::vector<std::byte> bytes(64);
  ASSERT_TRUE(setup.device.upload(deferred.view(), bytes).has_value());
  EXPECT_TRUE(deferred.is_backed());
  desc.transient = true;
  const Buffer transient = setup.device.create_buffer(desc).value();
  EXPECT_TRUE(transient.is_transient());
  EXPECT_FALSE(transient.is_backed());
}

TEST(BufferView, CannotLeaveItsParent) {  // row A4, K4
  const auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 64);
  const auto view = buffer.view(32, 64);
  ASSERT_FALSE(view.has_value());
  EXPECT_EQ(view.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(view.error().message,
            "Buffer view ends at byte 96 but buffer \"weights\" has 64 bytes.");

  const auto part = buffer.view(16, 32).value().subview(8, 25);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(part.error().message,
            "Buffer view ends at byte 33 but its parent view of buffer \"weights\" has 32 bytes.");
}

TEST(BufferView, RefusesNumbersThatOverflow) {  // row A4
  const auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 64);
  const auto view = buffer.view(UINT64_MAX, 2);
  ASSERT_FALSE(view.has_value());
  EXPECT_EQ(view.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(view.error().message, testing::HasSubstr("18446744073709551615"));
  EXPECT_FALSE(buffer.view(1, UINT64_MAX).has_value());
  EXPECT_FALSE(buffer.view(UINT64_MAX, UINT64_MAX).has_value());
  EXPECT_FALSE(buffer.view(65, 0).has_value());
  EXPECT_TRUE(buffer.view(64, 0).has_value());
  EXPECT_FALSE(buffer.view(16, 16).value().subview(UINT64_MAX - 7, 16).has_value());
}

TEST(BufferView, OfAnEmptyHandleIsAnError) {  // row A4
  const Buffer nothing;
  EXPECT_EQ(nothing.view(0, 1).error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(BufferView().subview(0, 1).error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(BufferView().map_read<int>().error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(nothing.size_bytes(), 0u);
  EXPECT_EQ(nothing.label(), "");
}

TEST(BufferView, TypedAccessCoversTheViewOnly) {  // row A5
  const auto setup = open_fake();
  const BufferView view = make_buffer(setup.device, 256).view(64, 40).value();
  EXPECT_EQ(view.map_read<float>().value().size(), 10u);
  EXPECT_EQ(view.map_read<double>().value().size(), 5u);
}

TEST(BufferView, TypedAccessChecksDivisibility) {  // row A5, K4
  const auto setup = open_fake();
  const auto mapped = make_buffer(setup.device, 64).view(0, 10).value().map_read<float>();
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(
      mapped.error().message,
      "The view of buffer \"weights\" has 10 bytes, which elements of 4 bytes do not divide.");
}

TEST(BufferView, TypedAccessChecksAlignment) {  // row A5
  const auto setup = open_fake();
  const BufferView view = make_buffer(setup.device, 64).view(2, 8).value();
  const auto mapped = view.map_read<float>();
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(mapped.error().message, testing::HasSubstr("offset 2"));
  EXPECT_TRUE(view.map_read<std::uint16_t>().has_value());
}

TEST(Buffer, IsZeroUnlessAskedForUninitialised) {  // row H3
  const auto setup = open_fake();
  BufferDesc desc;
  desc.size_bytes = 32;
  EXPECT_THAT(
      setup.device.create_buffer(desc).value().view().map_read<std::uint8_t>().value().span(),
      testing::Each(0));
  desc.uninitialised = true;
  EXPECT_THAT(
      setup.device.create_buffer(desc).value().view().map_read<std::uint8_t>().value().span(),
      testing::Each(0xCD));  // what the fake's fresh memory holds
}

TEST(Buffer, RefusesSizesThatTheDeviceCannotTake) {  // row K4
  const auto setup = open_fake();
  BufferDesc desc;
  desc.label = "cache";
  const auto nothing = setup.device.create_buffer(desc);
  ASSERT_FALSE(nothing.has_value());
  EXPECT_EQ(nothing.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(nothing.error().message,
            "The size given for buffer \"cache\" is 0 bytes; a buffer has at least 1.");

  setup.hal->test_limits.max_buffer_bytes = 100;
  desc.size_bytes = 101;
  EXPECT_EQ(
      setup.device.create_buffer(desc).error().message,
      "The size given for buffer \"cache\" is 101 bytes but Limits::max_buffer_bytes is 100.");
  desc.size_bytes = 100;
  EXPECT_TRUE(setup.device.create_buffer(desc).has_value());
}

TEST(Buffer, GivesItsMemoryBack) {  // row H8
  const auto setup = open_fake();
  {
    const Buffer first = make_buffer(setup.device, 100);
    const Buffer second = make_buffer(setup.device, 28);
    EXPECT_EQ(setup.device.memory_info().used_bytes, 128u);
    EXPECT_EQ(setup.hal->live_memories(), 2);
  }
  EXPECT_EQ(setup.device.memory_info().used_bytes, 0u);
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

TEST(Buffer, IsUnchangedByAFailedAllocation) {  // row K3
  FakeOptions options;
  bool fail = true;
  options.fail_call = [&fail](std::string_view call) { return fail && call == "allocate"; };
  const auto setup = open_fake(options);
  BufferDesc desc;
  desc.size_bytes = 16;
  EXPECT_EQ(setup.device.create_buffer(desc).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(setup.device.memory_info().used_bytes, 0u);
  fail = false;
  EXPECT_TRUE(setup.device.create_buffer(desc).has_value());
}

TEST(Buffer, LivesUntilItsLastHandleGoes) {  // row H1
  const auto setup = open_fake();
  BufferView view;
  {
    const Buffer buffer = make_buffer(setup.device, 16);
    const Buffer copy = buffer;
    EXPECT_EQ(buffer.state()->handles.load(), 2u);
    EXPECT_EQ(buffer.state()->reference_count(), 1u);  // Handles together hold one reference.
    view = copy.view();
  }
  EXPECT_EQ(setup.hal->live_memories(), 1);
  EXPECT_EQ(view.buffer().label(), "weights");
  view = {};
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

TEST(Buffer, OutlivesTheDeviceHandle) {  // row K5
  auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 16);
  setup.device = {};
  EXPECT_THAT(buffer.view().map_read<std::uint8_t>().value().span(), testing::Each(0));
}

TEST(Buffer, HandlesMayBeCopiedAndDroppedOnSeveralThreads) {  // row K5
  const auto setup = open_fake();
  Buffer buffer = make_buffer(setup.device, 16);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([mine = buffer] {
        for (int i = 0; i < 2000; ++i) {
          const Buffer copy = mine;
          const BufferView view = copy.view();
          ASSERT_EQ(view.size_bytes(), 16u);
        }
      });
    }
  }
  EXPECT_EQ(buffer.state()->handles.load(), 1u);
  EXPECT_EQ(buffer.state()->reference_count(), 1u);
  buffer = {};
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

TEST(Buffer, IndicesAreUniqueAmongTheLivingAndUsedAgain) {
  const auto setup = open_fake();
  const Buffer first = make_buffer(setup.device, 16);
  Buffer second = make_buffer(setup.device, 16);
  const std::uint32_t index = second.state()->index;
  const MemoryId memory = second.state()->memory;
  EXPECT_NE(first.state()->index, index);
  second = {};
  second = make_buffer(setup.device, 16);
  EXPECT_EQ(second.state()->index, index);
  EXPECT_NE(second.state()->memory, memory);  // row C3: a recycled handle is not the old memory
}

TEST(Buffer, HasANativeHandle) {  // row G9
  const auto setup = open_fake();
  const Buffer buffer = make_buffer(setup.device, 16);
  EXPECT_EQ(buffer.native_handle().type, "fake.memory");
  EXPECT_EQ(buffer.native_handle().object, buffer.state()->native);
  EXPECT_EQ(Buffer().native_handle().object, nullptr);
}

}  // namespace
}  // namespace segue
