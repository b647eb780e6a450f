// SPDX-License-Identifier: Apache-2.0
//
// Which memory a buffer names, and the import of host memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "runtime/buffer_state.hpp"
#include "segue/access.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeSetup;
using test::open_fake;

using Page = std::array<std::byte, 64>;
using Bytes = std::span<std::byte>;

bool conflict(const BufferView& a, const BufferView& b) {
  const auto range = [](const BufferView& view) {
    return view.buffer().state()->range(view.offset_bytes(), view.size_bytes(), Access::kWrite);
  };
  return conflicts(range(a), range(b));
}

ImportOptions labelled(std::string label, std::uint64_t alias_token = 0,
                       std::uint64_t alias_offset = 0) {
  ImportOptions options;
  options.label = std::move(label);
  options.alias_token = alias_token;
  options.alias_offset_bytes = alias_offset;
  return options;
}

TEST(Import, TwoAllocationsNeverConflict) {  // row C3
  const FakeSetup setup = open_fake();
  BufferDesc desc;
  desc.size_bytes = 64;
  const Buffer a = setup.device.create_buffer(desc).value();
  const Buffer b = setup.device.create_buffer(desc).value();
  EXPECT_FALSE(conflict(a.view(), b.view()));
  EXPECT_TRUE(conflict(a.view(), a.view()));
}

TEST(Import, ConflictsWithAnotherExactlyWhereTheyOverlap) {  // row C3
  const FakeSetup setup = open_fake();
  Page page{};
  const Buffer low =
      setup.device.import_host_memory(Bytes(page).first(40), labelled("low")).value();
  const Buffer high =
      setup.device.import_host_memory(Bytes(page).last(40), labelled("high")).value();
  // They share bytes 24 to 39 of the page.
  EXPECT_TRUE(conflict(low.view(), high.view()));
  EXPECT_TRUE(conflict(low.view(39, 1).value(), high.view(15, 1).value()));
  EXPECT_FALSE(conflict(low.view(38, 1).value(), high.view(15, 1).value()));
  EXPECT_FALSE(conflict(low.view(0, 24).value(), high.view()));
  EXPECT_FALSE(conflict(low.view(), high.view(16, 24).value()));
}

TEST(Import, OfAnAllocationIsTrackedAsTheAllocation) {  // row C3
  const FakeSetup setup = open_fake();
  BufferDesc desc;
  desc.size_bytes = 64;
  const Buffer owner = setup.device.create_buffer(desc).value();
  const Buffer import =
      setup.device.import_host_memory(std::span(owner.state()->host + 16, 32)).value();
  EXPECT_TRUE(conflict(import.view(0, 1).value(), owner.view(16, 1).value()));
  EXPECT_FALSE(conflict(import.view(0, 1).value(), owner.view(15, 1).value()));
  EXPECT_FALSE(conflict(import.view(), owner.view(48, 16).value()));
}

TEST(Import, OfTwoAddressesWithOneTokenConflicts) {  // row C3
  const FakeSetup setup = open_fake();
  Page first{};
  Page second{};
  const Buffer a = setup.device.import_host_memory(Bytes(first), labelled("a", 5)).value();
  const Buffer b = setup.device.import_host_memory(Bytes(second), labelled("b", 5)).value();
  const Buffer c =
      setup.device.import_host_memory(Bytes(second).first(8), labelled("c", 5)).value();
  EXPECT_TRUE(conflict(a.view(7, 1).value(), b.view(7, 1).value()));
  EXPECT_FALSE(conflict(a.view(6, 1).value(), b.view(7, 1).value()));
  EXPECT_TRUE(conflict(a.view(7, 1).value(), c.view(7, 1).value()));
}

TEST(Import, OffsetsPlaceImportsInWhatATokenNames) {  // row C3
  const FakeSetup setup = open_fake();
  Page whole{};
  Page tail{};
  const Buffer a = setup.device.import_host_memory(Bytes(whole), labelled("whole file", 5)).value();
  const Buffer b =
      setup.device.import_host_memory(Bytes(tail).first(16), labelled("tail", 5, 48)).value();
  EXPECT_TRUE(conflict(a.view(48, 1).value(), b.view(0, 1).value()));
  EXPECT_FALSE(conflict(a.view(0, 48).value(), b.view()));
}

TEST(Import, TokensAreKeptWhileAnImportLives) {  // row C3
  const FakeSetup setup = open_fake();
  Page first{};
  Page second{};
  Buffer a = setup.device.import_host_memory(Bytes(first), labelled("a", 5)).value();
  const MemoryId memory = a.state()->memory;
  const Buffer b = setup.device.import_host_memory(Bytes(second), labelled("b", 5)).value();
  a = {};
  a = setup.device.import_host_memory(Bytes(first), labelled("a", 5)).value();
  EXPECT_EQ(a.state()->memory, memory);
}

TEST(Import, OfSharedAddressesUnderAnotherTokenIsAnError) {  // row C3, K4
  const FakeSetup setup = open_fake();
  Page page{};
  const Buffer a = setup.device.import_host_memory(Bytes(page).first(32), labelled("a", 5)).value();
  const auto other = setup.device.import_host_memory(Bytes(page), labelled("b", 6));
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(other.error().message,
            "The 64 bytes imported as buffer \"b\" share addresses with buffer \"a\" of 32 bytes, "
            "which is tracked as "
            "other memory; imports of the same bytes need the same alias token and offset.");
  EXPECT_FALSE(setup.device.import_host_memory(Bytes(page), labelled("b")).has_value());
  EXPECT_FALSE(setup.device.import_host_memory(Bytes(page), labelled("b", 5, 8)).has_value());
  EXPECT_TRUE(setup.device.import_host_memory(Bytes(page), labelled("b", 5)).has_value());
  // Wholly inside, without a token: tracked as what it lies in.
  const Buffer inside =
      setup.device.import_host_memory(Bytes(page).subspan(8, 8), labelled("c")).value();
  EXPECT_TRUE(conflict(inside.view(0, 1).value(), a.view(8, 1).value()));
  EXPECT_FALSE(conflict(inside.view(0, 1).value(), a.view(7, 1).value()));
}

TEST(Import, LeavesNothingBehindWhenItFails) {  // row K3
  const FakeSetup setup = open_fake();
  Page page{};
  const Buffer a = setup.device.import_host_memory(Bytes(page).first(32), labelled("a", 5)).value();
  EXPECT_FALSE(setup.device.import_host_memory(Bytes(page), labelled("b", 6)).has_value());
  EXPECT_EQ(setup.hal->live_memories(), 1);
  BufferDesc desc;
  desc.size_bytes = 1;
  EXPECT_EQ(setup.device.create_buffer(desc).value().state()->index, a.state()->index + 1);
}

TEST(Import, SharesTheBytesAndCountsNoMemory) {  // row H6
  const FakeSetup setup = open_fake();
  Page page{};
  page[3] = std::byte{42};
  const Buffer buffer =
      setup.device.import_host_memory(std::span<const std::byte>(page), labelled("file")).value();
  const auto mapped = buffer.view().map_read<std::uint8_t>().value();
  EXPECT_EQ(static_cast<const void*>(mapped.span().data()), page.data());
  EXPECT_EQ(mapped[3], 42);
  EXPECT_EQ(setup.device.memory_info().used_bytes, 0u);
}

TEST(Import, ForReadingRefusesEveryWrite) {  // row H6
  const FakeSetup setup = open_fake();
  Page page{};
  const Buffer buffer =
      setup.device.import_host_memory(std::span<const std::byte>(page), labelled("file")).value();
  EXPECT_EQ(buffer.view().map_write<std::uint8_t>().error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(setup.device.upload(buffer.view(), page).error().code, ErrorCode::kInvalidArgument);

  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.fill(buffer.view(), std::byte{1});
  const auto committed = encoder.commit();
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(committed.error().message, testing::HasSubstr("\"file\""));

  ImportOptions writable = labelled("file");
  writable.writable = true;
  EXPECT_EQ(
      setup.device.import_host_memory(std::span<const std::byte>(page), writable).error().code,
      ErrorCode::kInvalidArgument);
  EXPECT_TRUE(setup.device.import_host_memory(Bytes(page), writable)
                  .value()
                  .view()
                  .map_write<int>()
                  .has_value());
}

TEST(Import, ChecksAlignmentAndSize) {  // row H6, K4
  const FakeSetup setup = open_fake();
  alignas(64) Page page{};
  setup.hal->test_limits.host_import_alignment = 16;
  const auto shifted =
      setup.device.import_host_memory(Bytes(page).subspan(8, 16), labelled("file"));
  ASSERT_FALSE(shifted.has_value());
  EXPECT_EQ(shifted.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(shifted.error().message,
              testing::HasSubstr("divide by 16 (Limits::host_import_alignment)"));
  EXPECT_FALSE(setup.device.import_host_memory(Bytes(page).first(24)).has_value());
  EXPECT_TRUE(setup.device.import_host_memory(Bytes(page).first(32)).has_value());
  EXPECT_FALSE(setup.device.import_host_memory(std::span<std::byte>()).has_value());
  setup.hal->test_limits.max_buffer_bytes = 16;
  EXPECT_FALSE(setup.device.import_host_memory(Bytes(page).first(32)).has_value());
  EXPECT_FALSE(setup.device.import_host_memory(Bytes(page).first(16), labelled("x", 1, UINT64_MAX))
                   .has_value());
  EXPECT_FALSE(
      setup.device.import_host_memory(Bytes(page).first(16), labelled("x", 0, 1)).has_value());
}

TEST(Import, NeedsMemoryThatHostAndDeviceShare) {  // row H6
  const FakeSetup setup = open_fake();
  setup.hal->test_features.unified_memory = false;
  Page page{};
  const auto imported = setup.device.import_host_memory(Bytes(page), labelled("file"));
  ASSERT_FALSE(imported.has_value());
  EXPECT_EQ(imported.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(imported.error().message, testing::HasSubstr("Fake device"));
}

TEST(Import, OrdersHostAccessThroughTheOtherImport) {  // row C3, C7
  const FakeSetup setup = open_fake(Completion::kManual);
  Page page{};
  ImportOptions options = labelled("written");
  options.writable = true;
  const Buffer written = setup.device.import_host_memory(Bytes(page), options).value();
  const Buffer read =
      setup.device.import_host_memory(std::span<const std::byte>(page), labelled("read")).value();
  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.fill(written.view(0, 32).value(), std::byte{1});
  const Submission work = encoder.commit().value();
  EXPECT_EQ(read.view(0, 8).value().map_read<int>(WaitMode::kDontWait).error().code,
            ErrorCode::kBusy);
  EXPECT_TRUE(read.view(32, 8).value().map_read<int>(WaitMode::kDontWait).has_value());
  setup.hal->queue().complete_all();
  EXPECT_TRUE(read.view(0, 8).value().map_read<int>(WaitMode::kDontWait).has_value());
}

}  // namespace
}  // namespace segue
