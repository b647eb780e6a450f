// SPDX-License-Identifier: Apache-2.0
//
// Fills, copies and uploads against plain loops.
#include <sys/mman.h>

#include <algorithm>
#include <random>
#include <vector>

#include "support/test_seed.hpp"
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using Bytes = std::vector<std::byte>;

class MetalFillCopy : public MetalTest {
 protected:
  static constexpr std::uint64_t kBytes = 256;

  void SetUp() override {
    use(machine_with(metal_double::Order::kRandom));
    open_buffers();
  }
  void TearDown() override {
    x_ = {};
    y_ = {};
    MetalTest::TearDown();
  }
  void open_buffers(HostAccess access = HostAccess::kReadWrite, std::uint64_t size = kBytes) {
    BufferDesc desc;
    desc.size_bytes = size;
    desc.host_access = access;
    x_ = device_.create_buffer(desc).value();
    y_ = device_.create_buffer(desc).value();
  }
  [[nodiscard]] Bytes noise() {
    Bytes bytes(x_.size_bytes());
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
    return bytes;
  }
  void put(const Buffer& to, const Bytes& bytes) const {
    ASSERT_TRUE(device_.upload(to.view(), bytes).has_value());
  }
  [[nodiscard]] Bytes get(const Buffer& from) const {
    Bytes bytes(from.size_bytes());
    EXPECT_TRUE(device_.download(from.view(), bytes).has_value());
    return bytes;
  }
  void check_fill(std::uint64_t at, std::uint64_t size) {
    Bytes expected = noise();
    put(y_, expected);
    const auto value = static_cast<std::byte>(random_());
    CommandEncoder encoder = this->encoder();
    encoder.fill(y_.view(at, size).value(), value);
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at), size, value);
    ASSERT_EQ(get(y_), expected) << size << " bytes at " << at;
  }
  void check_copy(std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    const Bytes source = noise();
    Bytes expected = noise();
    put(x_, source);
    put(y_, expected);
    CommandEncoder encoder = this->encoder();
    encoder.copy(x_.view(from, size).value(), y_.view(to, size).value());
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(from), size,
                expected.begin() + static_cast<std::ptrdiff_t>(to));
    ASSERT_EQ(get(y_), expected) << size << " bytes from " << from << " to " << to;
    ASSERT_EQ(get(x_), source);
  }

  std::mt19937_64 random_{test::test_seed()};
  Buffer x_, y_;
};

TEST_F(MetalFillCopy, FillsEverySmallRange) {  // row B7
  for (std::uint64_t at = 0; at < 18; ++at)
    for (std::uint64_t size = 0; size < 37; ++size) ASSERT_NO_FATAL_FAILURE(check_fill(at, size));
}

TEST_F(MetalFillCopy, FillsRandomRanges) {  // row B7
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t size = random_() % (kBytes + 1);
    ASSERT_NO_FATAL_FAILURE(check_fill(random_() % (kBytes + 1 - size), size));
  }
}

TEST_F(MetalFillCopy, CopiesEverySmallRange) {  // row B7
  for (std::uint64_t from = 0; from < 17; ++from) {
    for (std::uint64_t to = 0; to < 17; to += 1 + from % 2) {
      for (const std::uint64_t size : {0U, 1U, 3U, 4U, 5U, 15U, 16U, 17U, 31U, 33U})
        ASSERT_NO_FATAL_FAILURE(check_copy(from, to, size));
    }
  }
}

TEST_F(MetalFillCopy, CopiesRandomRanges) {  // row B7
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t size = random_() % (kBytes + 1), room = kBytes + 1 - size;
    ASSERT_NO_FATAL_FAILURE(check_copy(random_() % room, random_() % room, size));
  }
}

TEST_F(MetalFillCopy, ReachTheEndOfSeveralGroups) {  // row B7
  // A group takes 4,096 bytes; where ranges begin and end around multiples of that decides how many
  // there are.
  open_buffers(HostAccess::kReadWrite, 4 * 4096);
  for (const std::uint64_t groups : {1U, 2U, 3U}) {
    for (int i = 0; i < 25; ++i) {
      const std::uint64_t size = 4096 * groups - 20 + random_() % 41;
      const std::uint64_t from = random_() % 33, to = random_() % 33;
      ASSERT_NO_FATAL_FAILURE(check_fill(to, size));
      ASSERT_NO_FATAL_FAILURE(check_copy(from, to, size));
    }
  }
}

TEST_F(MetalFillCopy, CopiesWithinABuffer) {  // row B7
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t size = 1 + random_() % 100;
    const std::uint64_t from = random_() % (kBytes / 2 - size + 1);
    const std::uint64_t to = from + size + random_() % (kBytes - from - 2 * size + 1);
    Bytes expected = noise();
    put(y_, expected);
    CommandEncoder encoder = this->encoder();
    encoder.copy(y_.view(from, size).value(), y_.view(to, size).value());
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    std::copy_n(expected.begin() + static_cast<std::ptrdiff_t>(from), size,
                expected.begin() + static_cast<std::ptrdiff_t>(to));
    ASSERT_EQ(get(y_), expected) << size << " bytes from " << from << " to " << to;
  }
}

TEST_F(MetalFillCopy, UploadsBytesTakenAtTheCall) {  // rows B7, C7
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t size = random_() % (kBytes + 1);
    const std::uint64_t to = random_() % (kBytes + 1 - size);
    Bytes expected = noise(), data = noise();
    put(y_, expected);
    data.resize(size);
    std::ranges::copy(data, expected.begin() + static_cast<std::ptrdiff_t>(to));
    CommandEncoder encoder = this->encoder();
    encoder.upload(y_.view(to, size).value(), data);
    std::ranges::fill(data, std::byte{0});
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    ASSERT_EQ(get(y_), expected) << size << " bytes to " << to;
  }
}

TEST_F(MetalFillCopy, NeighboursInOneGroupDoNotTouchEachOther) {  // rows B5, C2
  // Ranges that share words and vectors, but no byte, are filled without a barrier between them.
  Bytes expected(kBytes);
  CommandEncoder encoder = this->encoder();
  for (std::uint64_t at = 0; at < kBytes;) {
    const std::uint64_t size = std::min(1 + random_() % 9, kBytes - at);
    const auto value = static_cast<std::byte>(random_());
    encoder.fill(y_.view(at, size).value(), value);
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at), size, value);
    at += size;
  }
  EXPECT_EQ(encoder.stats().barriers_inferred, 0U);
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(get(y_), expected);
}

TEST_F(MetalFillCopy, ReachMemoryThatTheHostDoesNotSee) {  // rows B7, H7
  x_ = {};
  y_ = {};
  metal_double::Options discrete = machine_with(metal_double::Order::kRandom);
  discrete.unified_memory = false;
  use(discrete);
  open_buffers(HostAccess::kNone);
  EXPECT_EQ(log_count("private untracked"), 2U);
  EXPECT_FALSE(x_.view().map_read<std::byte>().has_value());
  EXPECT_EQ(get(x_), Bytes(kBytes));  // zeroed all the same
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t size = random_() % (kBytes + 1), room = kBytes + 1 - size;
    ASSERT_NO_FATAL_FAILURE(check_fill(random_() % room, size));
    ASSERT_NO_FATAL_FAILURE(check_copy(random_() % room, random_() % room, size));
  }
}

TEST_F(MetalFillCopy, TakeSeveralDispatchesBeyondAGibibyte) {  // row B7
  constexpr std::uint64_t kSize = std::uint64_t{5} << 29;
  void* const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "The system gives no address space.";
  {
    ImportOptions writable;
    writable.writable = true;
    const Buffer large =
        device_.import_host_memory(std::span(static_cast<std::byte*>(memory), kSize), writable)
            .value();
    CommandEncoder encoder = this->encoder();
    encoder.fill(large.view(), std::byte{1});
    metal_double::hold_execution(true);
    metal_double::clear_log();
    Submission work = encoder.commit().value();
    EXPECT_EQ(log_count("dispatchThreadgroups"), 3U);
    EXPECT_EQ(log_count("memoryBarrier"), 0U);
    metal_double::lose_device();  // nothing of it runs
    metal_double::hold_execution(false);
    EXPECT_FALSE(work.wait().has_value());
  }
  munmap(memory, kSize);
}

TEST_F(MetalFillCopy, StageMoreThanTheRingHolds) {  // rows H6, H7
  x_ = {};
  y_ = {};
  metal_double::Options discrete = machine_with(metal_double::Order::kRandom);
  discrete.unified_memory = false;
  use(discrete);
  BufferDesc desc;
  desc.size_bytes = (std::uint64_t{8} << 20) + 4099;
  desc.host_access = HostAccess::kNone;
  desc.uninitialised = true;
  const Buffer large = device_.create_buffer(desc).value();
  Bytes data(desc.size_bytes);
  for (std::size_t i = 0; i < data.size(); i += 997) data[i] = static_cast<std::byte>(random_());
  data.back() = std::byte{7};
  put(large, data);
  EXPECT_TRUE(get(large) == data);
}

}  // namespace
}  // namespace segue::metal
