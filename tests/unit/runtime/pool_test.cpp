// SPDX-License-Identifier: Apache-2.0
#include "segue/pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "runtime/buffer_state.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeOptions;
using test::FakeSetup;
using test::open_fake;

Pool make_pool(const Device& device, const PoolOptions& options = {}) {
  return device.create_pool(options).value();
}

const void* storage_of(const PoolLease& lease) { return lease.view().buffer().state(); }

std::vector<std::uint8_t> bytes_of(const PoolLease& lease) {
  const auto mapping = lease.view().map_read<std::uint8_t>().value();
  return {mapping.begin(), mapping.end()};
}

void fill(const PoolLease& lease, std::uint8_t value) {
  const auto mapping = lease.view().map_write<std::uint8_t>().value();
  for (std::uint8_t& byte : mapping) byte = value;
}

TEST(Pool, LeasesHaveTheSizeAskedForInPowerOfTwoBuckets) {  // row H4, A5
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  const std::array<std::array<std::uint64_t, 2>, 6> expected = {
      {{1, 256}, {256, 256}, {257, 512}, {512, 512}, {513, 1024}, {1'000'000, 1 << 20}}};
  for (const auto& [size, bucket] : expected) {
    const PoolLease lease = pool.allocate(size).value();
    EXPECT_EQ(lease.view().size_bytes(), size);
    EXPECT_EQ(lease.view().buffer().size_bytes(), bucket);
    EXPECT_EQ(lease.view().offset_bytes(), 0u);
  }
}

TEST(Pool, TheLargestBucketIsWhatTheDeviceAllows) {  // row H4
  const FakeSetup setup = open_fake();
  setup.hal->test_limits.max_buffer_bytes = 1000;
  Pool pool = make_pool(setup.device);
  EXPECT_EQ(pool.allocate(900).value().view().buffer().size_bytes(), 1000u);
  const auto too_large = pool.allocate(1001);
  ASSERT_FALSE(too_large.has_value());
  EXPECT_EQ(too_large.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(too_large.error().message,
            "The pool is asked for a lease of 1001 bytes but Limits::max_buffer_bytes is 1000.");
  setup.hal->test_limits.max_buffer_bytes = UINT64_MAX;
  EXPECT_EQ(pool.allocate(0).error().code, ErrorCode::kInvalidArgument);
}

TEST(Pool, ChecksItsOptions) {  // row K4
  const FakeSetup setup = open_fake();
  PoolOptions options;
  options.smallest_bucket_bytes = 100;
  const auto pool = setup.device.create_pool(options);
  ASSERT_FALSE(pool.has_value());
  EXPECT_EQ(pool.error().message,
            "PoolOptions::smallest_bucket_bytes is 100; it is a power of two.");
}

TEST(Pool, ReusesWhatWasReleased) {  // row H4
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  PoolLease first = pool.allocate(300).value();
  const void* const storage = storage_of(first);
  first.release();
  first.release();  // Nothing is left to release.
  EXPECT_FALSE(first.view());
  const PoolLease second = pool.allocate(400).value();
  EXPECT_EQ(storage_of(second), storage);
  EXPECT_EQ(second.view().size_bytes(), 400u);
  const PoolLease third = pool.allocate(400).value();
  EXPECT_NE(storage_of(third), storage);
  EXPECT_EQ(pool.stats().allocations, 2u);
  EXPECT_EQ(pool.stats().reuses, 1u);
}

TEST(Pool, MovedLeasesGiveTheirMemoryBackOnce) {  // row H4
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  PoolLease a = pool.allocate(100).value();
  PoolLease b = std::move(a);
  EXPECT_EQ(pool.stats().leases, 1u);
  a = pool.allocate(100).value();
  a = std::move(b);  // What a held comes back.
  EXPECT_EQ(pool.stats().leases, 1u);
  EXPECT_EQ(pool.stats().free_buffers, 1u);
}

TEST(Pool, WaitsForUnfinishedWorkBeforeReuse) {  // row H4
  const FakeSetup setup = open_fake(Completion::kManual);
  Pool pool = make_pool(setup.device);
  PoolLease lease = pool.allocate(256).value();
  const void* const storage = storage_of(lease);
  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.fill(lease.view(), std::byte{1});
  lease.release();
  EXPECT_NE(storage_of(pool.allocate(256).value()), storage) << "a recording refers to it";
  const Submission work = encoder.commit().value();
  const PoolLease other = pool.allocate(256).value();
  EXPECT_NE(storage_of(other), storage) << "a submission uses it";
  setup.hal->queue().complete_all();
  EXPECT_EQ(storage_of(pool.allocate(256).value()), storage);
}

TEST(Pool, WaitsForUnfinishedWorkThatRetainsNothing) {  // row H4, H2
  const FakeSetup setup = open_fake(Completion::kManual);
  Pool pool = make_pool(setup.device);
  PoolLease lease = pool.allocate(256).value();
  const void* const storage = storage_of(lease);
  EncoderOptions options;
  options.lifetime = Lifetime::kUnretained;
  CommandEncoder encoder = setup.device.create_encoder(options).value();
  encoder.fill(lease.view(), std::byte{1});
  const Submission work = encoder.commit().value();
  lease.release();
  const PoolLease other = pool.allocate(256).value();
  EXPECT_NE(storage_of(other), storage);
  EXPECT_EQ(pool.trim(), 0u);
  setup.hal->queue().complete_all();
  EXPECT_EQ(storage_of(pool.allocate(256).value()), storage);
}

TEST(Pool, DoesNotReuseWhatAHandleStillNames) {  // row H4
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  PoolLease lease = pool.allocate(256).value();
  BufferView kept = lease.view();
  lease.release();
  const PoolLease other = pool.allocate(256).value();
  EXPECT_NE(other.view().buffer(), kept.buffer());
  const void* const storage = kept.buffer().state();
  kept = {};
  EXPECT_EQ(storage_of(pool.allocate(256).value()), storage);
}

TEST(Pool, BatchesAreAllOrNone) {  // row H4
  const FakeSetup setup = open_fake();
  PoolOptions options;
  options.max_bytes = 1024;
  Pool pool = make_pool(setup.device, options);
  const std::array<std::uint64_t, 3> fits = {256, 256, 512};
  {
    const auto leases = pool.allocate_batch(fits).value();
    ASSERT_EQ(leases.size(), 3u);
    EXPECT_EQ(leases[2].view().size_bytes(), 512u);
    EXPECT_EQ(
        std::set({storage_of(leases[0]), storage_of(leases[1]), storage_of(leases[2])}).size(), 3u);
  }
  ASSERT_TRUE(pool.reset().has_value());
  const std::array<std::uint64_t, 3> too_many = {256, 512, 512};
  const auto before = pool.stats();
  EXPECT_EQ(pool.allocate_batch(too_many).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(pool.stats().leases, 0u);
  EXPECT_EQ(pool.stats().reuses, before.reuses);
  EXPECT_EQ(pool.stats().free_bytes, 0u);
  EXPECT_EQ(setup.hal->live_memories(), 0);
  const std::array<std::uint64_t, 2> with_nothing = {256, 0};
  EXPECT_EQ(pool.allocate_batch(with_nothing).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool.stats().leases, 0u);
  EXPECT_TRUE(pool.allocate_batch({}).value().empty());
}

TEST(Pool, AFailedBatchKeepsWhatWasFree) {  // row H4, K3
  FakeOptions fake;
  int allocation = 0;
  fake.fail_call = [&](std::string_view call) { return call == "allocate" && ++allocation > 1; };
  const FakeSetup setup = open_fake(fake);
  Pool pool = make_pool(setup.device);
  const void* const storage = storage_of(pool.allocate(256).value());
  const std::array<std::uint64_t, 2> batch = {256, 256};
  EXPECT_EQ(pool.allocate_batch(batch).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(pool.stats().free_buffers, 1u);
  EXPECT_EQ(storage_of(pool.allocate(256).value()), storage);
}

TEST(Pool, MakesRoomUnderItsCap) {  // row H4
  const FakeSetup setup = open_fake();
  PoolOptions options;
  options.max_bytes = 1024;
  options.label = "scratch";
  Pool pool = make_pool(setup.device, options);
  PoolLease half = pool.allocate(512).value();
  static_cast<void>(pool.allocate(256).value());
  // 512 leased, 256 free: the free ones go, for another bucket needs the room.
  const PoolLease other = pool.allocate(512).value();
  EXPECT_EQ(pool.stats().free_buffers, 0u);
  const auto beyond = pool.allocate(1);
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(beyond.error().message,
            "Pool \"scratch\" holds 1024 bytes in use and needs 256 more but "
            "PoolOptions::max_bytes is 1024.");
  EXPECT_EQ(pool.allocate(2000).error().code, ErrorCode::kOutOfMemory);
  half.release();
  EXPECT_TRUE(pool.allocate(1).has_value());
}

TEST(Pool, TrimsWhenTheDeviceHasNoMemoryLeft) {  // row H4
  FakeOptions fake;
  std::weak_ptr<test::FakeDevice> device;
  fake.fail_call = [&device](std::string_view call) {
    return call == "allocate" && device.lock()->live_memories() >= 2;
  };
  const FakeSetup setup = open_fake(fake);
  device = setup.hal;
  Pool pool = make_pool(setup.device);
  static_cast<void>(pool.allocate(256).value());
  const PoolLease used = pool.allocate(512).value();
  EXPECT_TRUE(pool.allocate(1024).has_value());
  EXPECT_EQ(pool.stats().allocations, 3u);
}

TEST(Pool, TrimFreesDownToItsTarget) {  // row H4
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  const PoolLease kept = pool.allocate(256).value();
  {
    const std::array<std::uint64_t, 3> sizes = {256, 512, 1024};
    static_cast<void>(pool.allocate_batch(sizes).value());
  }
  EXPECT_EQ(pool.stats().free_bytes, 1792u);
  EXPECT_EQ(pool.trim(1100), 1024u);  // 2048 held, the largest go first.
  EXPECT_EQ(pool.trim(1100), 0u);
  EXPECT_EQ(pool.trim(), 768u);
  EXPECT_EQ(pool.stats().free_buffers, 0u);
  EXPECT_EQ(setup.hal->live_memories(), 1);
}

TEST(Pool, ResetCountsLiveLeases) {  // row H4, K4
  const FakeSetup setup = open_fake();
  PoolOptions options;
  options.label = "scratch";
  Pool pool = make_pool(setup.device, options);
  std::vector<PoolLease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(pool.allocate(256).value());
  static_cast<void>(pool.allocate(512).value());
  const auto refused = pool.reset();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(refused.error().message,
            "Pool \"scratch\" has 3 live leases; a reset needs all of them released.");
  EXPECT_EQ(setup.hal->live_memories(), 4) << "nothing is freed";
  leases.resize(1);
  EXPECT_EQ(pool.reset().error().message,
            "Pool \"scratch\" has 1 live lease; a reset needs all of them released.");
  leases.clear();
  EXPECT_TRUE(pool.reset().has_value());
  EXPECT_EQ(setup.hal->live_memories(), 0);
  // Release, then reset, then two leases: never one buffer twice.
  const PoolLease a = pool.allocate(256).value();
  const PoolLease b = pool.allocate(256).value();
  EXPECT_NE(storage_of(a), storage_of(b));
}

TEST(Pool, LeasesAreNotZeroedUnlessAsked) {  // row H3, H4
  const FakeSetup setup = open_fake();
  Pool plain = make_pool(setup.device);
  EXPECT_THAT(bytes_of(plain.allocate(16).value()),
              testing::Each(0xCD));  // what the fake's fresh memory holds
  PoolOptions options;
  options.zero_leases = true;
  options.poison = std::byte{0xEE};  // not applied
  Pool zeroed = make_pool(setup.device, options);
  {
    const PoolLease lease = zeroed.allocate(16).value();
    EXPECT_THAT(bytes_of(lease), testing::Each(0));
    fill(lease, 0x77);
  }
  EXPECT_THAT(bytes_of(zeroed.allocate(200).value()), testing::Each(0));
  EXPECT_EQ(zeroed.stats().reuses, 1u);
}

TEST(Pool, PoisonsReusedMemory) {  // row H3, H4
  const FakeSetup setup = open_fake(Completion::kManual);
  PoolOptions options;
  options.poison = std::byte{0xEE};
  Pool pool = make_pool(setup.device, options);
  PoolLease lease = pool.allocate(256).value();
  fill(lease, 0x77);
  const std::byte* const address = lease.view().buffer().state()->host;
  lease.release();
  EXPECT_EQ(*address, std::byte{0xEE}) << "idle memory is poisoned at once";
  lease = pool.allocate(256).value();
  EXPECT_THAT(bytes_of(lease), testing::Each(0xEE));

  CommandEncoder encoder = setup.device.create_encoder().value();
  encoder.fill(lease.view(), std::byte{0x55});
  const Submission work = encoder.commit().value();
  lease.release();
  setup.hal->queue().complete_all();
  EXPECT_EQ(*address, std::byte{0x55}) << "work used it when it came back";
  EXPECT_THAT(bytes_of(pool.allocate(256).value()), testing::Each(0xEE));
}

TEST(Pool, LeasesKeepThePoolAlive) {  // row K5
  FakeSetup setup = open_fake();
  PoolLease lease;
  {
    Pool pool = make_pool(setup.device);
    lease = pool.allocate(16).value();
  }
  setup.device = {};
  fill(lease, 3);
  EXPECT_THAT(bytes_of(lease), testing::Each(3));
  lease.release();
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

TEST(Pool, CountsBuffersAndBytes) {  // row H4
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  const PoolLease a = pool.allocate(100).value();
  PoolLease b = pool.allocate(300).value();
  b.release();
  const Pool::Stats stats = pool.stats();
  EXPECT_EQ(stats.leases, 1u);
  EXPECT_EQ(stats.leased_bytes, 256u);
  EXPECT_EQ(stats.free_buffers, 1u);
  EXPECT_EQ(stats.free_bytes, 512u);
}

TEST(Pool, NeverLeasesABufferTwiceOnSeveralThreads) {  // row H4, K5
  const FakeSetup setup = open_fake();
  Pool pool = make_pool(setup.device);
  {
    std::vector<std::jthread> threads;
    for (std::uint8_t t = 1; t <= 4; ++t) {
      threads.emplace_back([&pool, t] {
        std::mt19937 random(t);
        std::vector<PoolLease> mine;
        for (int i = 0; i < 300; ++i) {
          mine.push_back(pool.allocate(1 + random() % 1000).value());
          fill(mine.back(), t);
          if (mine.size() > 5) {
            const auto victim = mine.begin() + static_cast<std::ptrdiff_t>(random() % mine.size());
            ASSERT_THAT(bytes_of(*victim), testing::Each(t));
            mine.erase(victim);
          }
        }
      });
    }
  }
  EXPECT_EQ(pool.stats().leases, 0u);
  EXPECT_EQ(pool.stats().leased_bytes, 0u);
  EXPECT_TRUE(pool.reset().has_value());
  EXPECT_EQ(setup.hal->live_memories(), 0);
}

}  // namespace
}  // namespace segue
