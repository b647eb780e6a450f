// SPDX-License-Identifier: Apache-2.0
//
// Buffers in memory that the host does not see, or sees without caching it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/buffer_state.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeOptions;
using test::FakeSetup;
using test::open_fake;

FakeOptions unseen() {
  FakeOptions options;
  options.host_visible = false;
  return options;
}

FakeOptions uncached() {
  FakeOptions options;
  options.host_cached = false;
  return options;
}

BufferDesc describe(std::uint64_t size_bytes, HostAccess access = HostAccess::kNone) {
  BufferDesc desc;
  desc.size_bytes = size_bytes;
  desc.host_access = access;
  return desc;
}

std::vector<std::byte> counting(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

/// All bytes of a buffer.
std::vector<std::byte> content(const Device& device, const Buffer& buffer) {
  std::vector<std::byte> bytes(buffer.size_bytes());
  EXPECT_TRUE(device.download(buffer.view(), bytes).has_value());
  return bytes;
}

TEST(HostAccess, MemoryThatTheHostCannotSeeSaysSo) {  // row H7
  const FakeSetup setup = open_fake(unseen());
  const Buffer buffer = setup.device.create_buffer(describe(8)).value();
  ASSERT_EQ(buffer.state()->host, nullptr);
  EXPECT_EQ(buffer.view().map_read<std::uint8_t>().error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(buffer.view().map_write<std::uint8_t>().error().code, ErrorCode::kUnsupported);
}

TEST(HostAccess, ThatIsAskedForGetsMemoryThatTheHostSees) {  // row H7
  const FakeSetup setup = open_fake(unseen());
  const Buffer buffer = setup.device.create_buffer(describe(8, HostAccess::kReadWrite)).value();
  ASSERT_TRUE(buffer.view().map_write<std::uint8_t>().has_value());
  EXPECT_EQ(content(setup.device, buffer), std::vector<std::byte>(8));
  EXPECT_EQ(setup.hal->staged_bytes(), 0u);
}

TEST(UnseenMemory, TakesUploadsAndDownloadsThroughTheBackend) {  // row H6, H7
  const FakeSetup setup = open_fake(unseen());
  const Buffer buffer = setup.device.create_buffer(describe(64)).value();
  const std::vector<std::byte> sent = counting(24);
  ASSERT_TRUE(setup.device.upload(buffer.view(13, 24).value(), sent).has_value());
  EXPECT_EQ(setup.hal->staged_bytes(), 24u);
  std::vector<std::byte> received(24);
  ASSERT_TRUE(setup.device.download(buffer.view(13, 24).value(), received).has_value());
  EXPECT_EQ(setup.hal->staged_bytes(), 48u);
  EXPECT_EQ(received, sent);

  std::vector<std::byte> expected(64);
  std::ranges::copy(sent, expected.begin() + 13);
  EXPECT_EQ(content(setup.device, buffer), expected);
}

TEST(UnseenMemory, CountsFromTheStartOfAPart) {  // row H7
  const FakeSetup setup = open_fake(unseen());
  BufferDesc desc = describe(64);
  desc.deferred = true;
  const Buffer whole = setup.device.create_buffer(desc).value();
  const Buffer part = runtime::create_part(whole, 32, describe(16));
  const std::vector<std::byte> sent = counting(8);
  ASSERT_TRUE(setup.device.upload(part.view(4, 8).value(), sent).has_value());
  std::vector<std::byte> expected(64);
  std::ranges::copy(sent, expected.begin() + 36);
  EXPECT_EQ(content(setup.device, whole), expected);
  std::vector<std::byte> received(8);
  ASSERT_TRUE(setup.device.download(part.view(4, 8).value(), received).has_value());
  EXPECT_EQ(received, sent);
}

TEST(UnseenMemory, WaitsForWorkLikeAnyOther) {  // row H7, C7
  FakeOptions options = unseen();
  options.completion = Completion::kManual;
  const FakeSetup setup = open_fake(std::move(options));
  const Buffer buffer = setup.device.create_buffer(describe(8)).value();
  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.fill(buffer.view(), std::byte{9});
  const Submission work = encoder.commit().value();
  std::array<std::byte, 8> bytes{};
  EXPECT_EQ(setup.device.upload(buffer.view(), bytes, WaitMode::kDontWait).error().code,
            ErrorCode::kBusy);
  EXPECT_EQ(setup.device.download(buffer.view(), bytes, WaitMode::kDontWait).error().code,
            ErrorCode::kBusy);
  EXPECT_EQ(setup.hal->staged_bytes(), 0u);
  setup.hal->queue().complete_all();
  EXPECT_TRUE(setup.device.download(buffer.view(), bytes, WaitMode::kDontWait).has_value());
  EXPECT_THAT(bytes, testing::Each(std::byte{9}));
}

TEST(UnseenMemory, ReportsFailedCopiesAndStaysUsable) {  // row H7, G4
  std::string_view failing = "write";
  FakeOptions options = unseen();
  options.fail_call = [&failing](std::string_view call) { return call == failing; };
  const FakeSetup setup = open_fake(std::move(options));
  const Buffer buffer = setup.device.create_buffer(describe(8)).value();
  std::array<std::byte, 8> bytes{};
  EXPECT_EQ(setup.device.upload(buffer.view(), bytes).error().code, ErrorCode::kBackend);
  EXPECT_EQ(buffer.state()->write_mappings.load(), 0u);
  failing = "read";
  EXPECT_EQ(setup.device.download(buffer.view(), bytes).error().code, ErrorCode::kBackend);
  EXPECT_EQ(buffer.state()->read_mappings.load(), 0u);
  failing = {};
  EXPECT_TRUE(setup.device.upload(buffer.view(), bytes).has_value());
  EXPECT_TRUE(setup.device.download(buffer.view(), bytes).has_value());
}

TEST(UnseenMemory, OfAPoolIsClearedByTheBackend) {  // row H3
  std::string_view failing;
  FakeOptions options = unseen();
  options.fail_call = [&failing](std::string_view call) { return call == failing; };
  const FakeSetup setup = open_fake(std::move(options));
  PoolOptions pool_options;
  pool_options.host_access = HostAccess::kNone;
  pool_options.zero_leases = true;
  Pool pool = setup.device.create_pool(pool_options).value();
  PoolLease lease = pool.allocate(64).value();
  const void* const native = lease.view().buffer().state()->native;
  EXPECT_EQ(lease.view().buffer().state()->host, nullptr);
  ASSERT_TRUE(setup.device.upload(lease.view(), counting(64)).has_value());
  lease.release();
  failing = "fill";
  EXPECT_EQ(pool.allocate(64).error().code, ErrorCode::kBackend);
  failing = {};
  lease = pool.allocate(64).value();
  ASSERT_EQ(lease.view().buffer().state()->native, native);
  EXPECT_THAT(content(setup.device, lease.view().buffer()), testing::Each(std::byte{0}));
}

TEST(UncachedMemory, IsReadByTheHostInSmallPiecesOnly) {  // row H7
  const FakeSetup setup = open_fake(uncached());
  const std::size_t size = 4097;
  const Buffer buffer = setup.device.create_buffer(describe(size, HostAccess::kReadWrite)).value();
  const std::vector<std::byte> sent = counting(size);
  ASSERT_TRUE(setup.device.upload(buffer.view(), sent).has_value());
  EXPECT_EQ(setup.hal->staged_bytes(), 0u) << "the host writes through its pointer";
  std::vector<std::byte> received(size - 1);
  ASSERT_TRUE(setup.device.download(buffer.view(1, size - 1).value(), received).has_value());
  EXPECT_EQ(setup.hal->staged_bytes(), 0u);
  EXPECT_TRUE(std::ranges::equal(received, std::span(sent).subspan(1)));
  EXPECT_EQ(content(setup.device, buffer), sent);
  EXPECT_EQ(setup.hal->staged_bytes(), size) << "the device copies";
}

TEST(CachedMemory, IsReadByTheHostWhateverTheSize) {  // row H7
  const FakeSetup setup = open_fake();
  const Buffer buffer = setup.device.create_buffer(describe(100'000)).value();
  EXPECT_EQ(content(setup.device, buffer), std::vector<std::byte>(100'000));
  EXPECT_EQ(setup.hal->staged_bytes(), 0u);
}

}  // namespace
}  // namespace segue
