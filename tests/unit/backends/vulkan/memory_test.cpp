// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "backends/vulkan/staging.hpp"
#include "context_fixture.hpp"
#include "support/test_seed.hpp"

namespace segue::vulkan {
namespace {

using test::VulkanFaults;
using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class VulkanMemoryTest : public ContextFixture {};
class DiscreteMemoryTest : public DiscreteFixture {};

TEST_F(VulkanMemoryTest, SmallRequestsShareBlocksAndNoBytes) {
  std::mt19937_64 random(test::test_seed());
  std::vector<std::unique_ptr<VulkanMemory>> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(allocate(random() % 20000));
    ASSERT_NE(all.back(), nullptr);
    if (random() % 3 == 0)
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(random() % all.size()));
  }
  EXPECT_EQ(allocator_->block_count(), 1u);
  std::map<VkDeviceSize, VkDeviceSize> by_offset;
  for (const auto& memory : all) {
    const BufferRange& range = memory->range();
    EXPECT_EQ(range.buffer, all.front()->range().buffer);
    EXPECT_EQ(memory->native, &range);
    EXPECT_EQ(range.offset % 256, 0u);
    EXPECT_EQ(range.offset % context_->traits.storage_alignment, 0u);
    EXPECT_EQ(range.offset % context_->traits.uniform_alignment, 0u);
    EXPECT_TRUE(by_offset.emplace(range.offset, range.offset + range.size).second);
  }
  VkDeviceSize end = 0;
  for (const auto& [first, last] : by_offset) {
    EXPECT_GE(first, end);
    end = last;
  }
}

TEST_F(VulkanMemoryTest, MappedBytesAreThoseOfTheirRange) {  // row H7
  if (!allocator_->device_memory_is_visible()) GTEST_SKIP() << "no visible device memory";
  const auto low = allocate(1000);
  const auto high = allocate(1000);
  ASSERT_EQ(low->range().buffer, high->range().buffer);
  EXPECT_EQ(static_cast<std::uint64_t>(high->host - low->host),
            high->range().offset - low->range().offset);
  std::memset(low->host, 1, 1000);
  std::memset(high->host, 2, 1000);
  EXPECT_THAT(std::vector(low->host, low->host + 1000), testing::Each(std::byte{1}));
}

TEST_F(VulkanMemoryTest, LargeRequestsHaveMemoryOfTheirOwn) {
  const auto small = allocate(4096);
  ASSERT_EQ(allocator_->block_count(), 1u);
  {
    const auto large = allocate(17 * kMiB);
    EXPECT_EQ(allocator_->block_count(), 2u);
    EXPECT_NE(large->range().buffer, small->range().buffer);
    EXPECT_EQ(large->range().offset, 0u);
    EXPECT_EQ(large->range().size, 17 * kMiB);
  }
  EXPECT_EQ(allocator_->block_count(), 1u);
}

TEST_F(VulkanMemoryTest, OneEmptyBlockIsKept) {
  std::vector<std::unique_ptr<VulkanMemory>> all;
  while (allocator_->block_count() < 3) all.push_back(allocate(15 * kMiB));
  all.clear();
  EXPECT_EQ(allocator_->block_count(), 1u);
  all.push_back(allocate(15 * kMiB));
  EXPECT_EQ(allocator_->block_count(), 1u);
}

TEST_F(VulkanMemoryTest, OutlivesWhoeverAskedForIt) {  // row K5
  const auto small = allocate(100);
  const auto large = allocate(17 * kMiB);
  allocator_.reset();
  context_.reset();
  if (small->host != nullptr) std::memset(small->host, 1, 100);
  if (large->host != nullptr) std::memset(large->host, 1, 100);
}

TEST_F(VulkanMemoryTest, IsNeverSeenIfItIsForTheDeviceAlone) {  // row H7
  EXPECT_EQ(allocate(100, MemoryUse::kDeviceOnly)->host, nullptr);
  EXPECT_EQ(allocate(17 * kMiB, MemoryUse::kDeviceOnly)->host, nullptr);
  EXPECT_NE(allocate(100, MemoryUse::kUpload)->host, nullptr);
  EXPECT_NE(allocate(17 * kMiB, MemoryUse::kReadback)->host, nullptr);
}

TEST_F(VulkanMemoryTest, ThreadsShareTheAllocator) {
  std::vector<std::jthread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      std::mt19937_64 random(thread);
      std::vector<std::unique_ptr<VulkanMemory>> mine;
      for (int i = 0; i < 400; ++i) {
        auto memory = allocator_->allocate({random() % 8192 + 1, MemoryUse::kUpload, "thread"});
        ASSERT_TRUE(memory.has_value());
        std::memset((*memory)->host, static_cast<int>(thread), (*memory)->range().size);
        mine.push_back(*std::move(memory));
        if (mine.size() > 20) mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(random() % 20));
        const VulkanMemory& some = *mine[random() % mine.size()];
        ASSERT_EQ(some.host[some.range().size - 1], static_cast<std::byte>(thread));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(allocator_->block_count(), 1u);
}

TEST_F(VulkanMemoryTest, MoreThanOnePieceHoldsIsAnErrorThatSaysSo) {  // row G5
  const std::uint64_t limit = context_->limits.max_buffer_bytes;
  const auto memory = allocator_->allocate({limit + 1, MemoryUse::kDevice, "weights"});
  ASSERT_FALSE(memory.has_value());
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(memory.error().message, HasSubstr(std::to_string(limit)));
  EXPECT_THAT(memory.error().message, HasSubstr(std::to_string(limit + 1)));
  EXPECT_THAT(memory.error().message, HasSubstr("\"weights\""));
  EXPECT_EQ(allocator_->block_count(), 0u);
}

TEST_F(VulkanMemoryTest, AnExhaustedHeapIsAnErrorThatSaysSo) {  // row G5
  VulkanFaults::arm_every("vkAllocateMemory");
  const auto memory = allocator_->allocate({123456, MemoryUse::kDevice, "weights"});
  VulkanFaults::disarm();
  ASSERT_FALSE(memory.has_value());
  const Error& error = memory.error();
  EXPECT_EQ(error.code, ErrorCode::kOutOfMemory);
  ASSERT_TRUE(error.native.has_value());
  EXPECT_EQ(error.native->code, VK_ERROR_OUT_OF_DEVICE_MEMORY);
  EXPECT_THAT(error.message, HasSubstr("123456"));
  EXPECT_THAT(error.message, HasSubstr("\"weights\""));
  EXPECT_THAT(error.message, HasSubstr("VK_ERROR_OUT_OF_DEVICE_MEMORY"));
  EXPECT_THAT(error.message, HasSubstr(std::to_string(context_->memory.memoryHeaps[0].size)));
  EXPECT_EQ(allocator_->block_count(), 0u);
}

TEST_F(VulkanMemoryTest, WhereNoBlockFitsTheRequestAloneMay) {
  VulkanFaults::arm(1);  // the block's buffer, and then nothing
  const auto memory = allocator_->allocate({1000, MemoryUse::kDevice, "small"});
  EXPECT_EQ(VulkanFaults::failed_call(), "vkCreateBuffer");
  VulkanFaults::disarm();
  ASSERT_TRUE(memory.has_value()) << memory.error().message;
  EXPECT_EQ((*memory)->range().offset, 0u);
  EXPECT_EQ(allocator_->block_count(), 1u);
}

TEST_F(VulkanMemoryTest, KeptBlocksMakeRoomForRequestsThatNeedIt) {
  allocate(100);  // leaves an empty block
  ASSERT_EQ(allocator_->block_count(), 1u);
  VulkanFaults::arm(1);
  const auto large = allocator_->allocate({20 * kMiB, MemoryUse::kDevice, "large"});
  VulkanFaults::disarm();
  ASSERT_TRUE(large.has_value()) << large.error().message;
  EXPECT_EQ(allocator_->block_count(), 1u);
}

TEST_F(VulkanMemoryTest, EveryFailedCallIsAnErrorOrMadeUpForAndNothingStays) {  // row G4
  for (const VkResult result : {VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_OUT_OF_HOST_MEMORY}) {
    for (const std::uint64_t size : {std::uint64_t{1000}, 17 * kMiB}) {
      for (std::uint64_t nth = 1;; ++nth) {
        VulkanFaults::arm(nth, result);
        auto allocator = MemoryAllocator::create(context_);
        std::unique_ptr<VulkanMemory> memory;
        if (allocator) {
          auto allocated = (*allocator)->allocate({size, MemoryUse::kUpload, "failing"});
          if (allocated) {
            memory = *std::move(allocated);
            std::memset(memory->host, 1, size);
          } else {
            EXPECT_EQ(allocated.error().code, ErrorCode::kOutOfMemory);
            EXPECT_EQ((*allocator)->block_count(), 0u);
          }
        }
        const std::uint64_t calls = VulkanFaults::disarm();
        if (calls < nth) {
          EXPECT_GT(nth, 4u);
          break;
        }
      }
    }
  }
}

TEST_F(VulkanMemoryTest, ADriverMapsNoMoreThanItDoes) {  // row G4
  VulkanFaults::arm_every("vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED);
  const auto memory = allocator_->allocate({1000, MemoryUse::kUpload, "unmapped"});
  VulkanFaults::disarm();
  ASSERT_FALSE(memory.has_value());
  EXPECT_EQ(memory.error().code, ErrorCode::kBackend);
  EXPECT_EQ(allocator_->block_count(), 0u);
}

PFN_vkGetPhysicalDeviceProperties2 real_properties = nullptr;

TEST_F(VulkanMemoryTest, StopsAtTheNumberOfAllocationsThatTheDeviceHas) {
  real_properties = context_->api.GetPhysicalDeviceProperties2;
  context_->api.GetPhysicalDeviceProperties2 = [](VkPhysicalDevice device,
                                                  VkPhysicalDeviceProperties2* out) {
    real_properties(device, out);
    out->properties.limits.maxMemoryAllocationCount = 2;
  };
  allocator_ = MemoryAllocator::create(context_).value();
  auto first = allocate(17 * kMiB);
  const auto second = allocate(17 * kMiB);
  const auto third = allocator_->allocate({17 * kMiB, MemoryUse::kDevice, "third"});
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(third.error().message, HasSubstr("maxMemoryAllocationCount"));
  first.reset();
  EXPECT_NE(allocate(17 * kMiB), nullptr);
}

TEST_F(VulkanMemoryTest, OfALostDeviceIsAnError) {  // row G4
  VulkanFaults::arm(1, VK_ERROR_DEVICE_LOST);
  const auto memory = allocator_->allocate({1000, MemoryUse::kDevice, "lost"});
  VulkanFaults::disarm();
  ASSERT_FALSE(memory.has_value());
  EXPECT_EQ(memory.error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(allocator_->allocate({1000, MemoryUse::kDevice, "lost"}).error().code,
            ErrorCode::kDeviceLost);
}

PFN_vkGetPhysicalDeviceMemoryProperties2 real_memory = nullptr;

TEST_F(VulkanMemoryTest, HasABudgetWhereTheDriverSaysSo) {  // row H8
  if (!context_->traits.memory_budget) {
    EXPECT_EQ(allocator_->budget(), std::nullopt);
  }
  context_->traits.memory_budget = true;
  real_memory = context_->api.GetPhysicalDeviceMemoryProperties2;
  context_->api.GetPhysicalDeviceMemoryProperties2 = [](VkPhysicalDevice device,
                                                        VkPhysicalDeviceMemoryProperties2* out) {
    auto* const budget = static_cast<VkPhysicalDeviceMemoryBudgetPropertiesEXT*>(out->pNext);
    ASSERT_EQ(budget->sType, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
    out->pNext = nullptr;
    real_memory(device, out);
    out->pNext = budget;
    for (VkDeviceSize& heap : budget->heapBudget) heap = 12345678;
  };
  EXPECT_EQ(allocator_->budget(), 12345678u);
  VulkanFaults::arm_every("vkAllocateMemory");
  const auto memory = allocator_->allocate({1000, MemoryUse::kDevice, "weights"});
  VulkanFaults::disarm();
  EXPECT_THAT(memory.error().message, HasSubstr("12345678"));
}

std::vector<std::pair<VkDeviceMemory, float>> priorities;

TEST_F(VulkanMemoryTest, TellsPrioritiesOfMemoryThatIsNotShared) {  // row H5
  const auto large = allocate(17 * kMiB);
  const auto small = allocate(1000);
  if (!context_->traits.memory_priority) {
    EXPECT_FALSE(allocator_->set_priority(*large, 1.0F));
  }
  context_->traits.memory_priority = true;
  context_->api.SetDeviceMemoryPriorityEXT = [](VkDevice, VkDeviceMemory memory, float priority) {
    priorities.emplace_back(memory, priority);
  };
  EXPECT_TRUE(allocator_->set_priority(*large, 1.0F));
  EXPECT_TRUE(allocator_->set_priority(*large, 0.5F));
  EXPECT_FALSE(allocator_->set_priority(*small, 1.0F));
  ASSERT_EQ(priorities.size(), 2u);
  EXPECT_EQ(priorities[0].first, priorities[1].first);
  EXPECT_EQ(priorities[0].second, 1.0F);
  EXPECT_EQ(priorities[1].second, 0.5F);
}

/// Pages that the process may write, and the same pages of a file that it may only read.
class MappedPages {
 public:
  explicit MappedPages(const std::vector<std::byte>& content) : size_(content.size()) {
    std::FILE* const file = std::tmpfile();
    EXPECT_EQ(std::fwrite(content.data(), 1, size_, file), size_);
    std::fflush(file);
    data_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fileno(file), 0);
    EXPECT_NE(data_, MAP_FAILED);
    std::fclose(file);
  }
  MappedPages(const MappedPages&) = delete;
  MappedPages& operator=(const MappedPages&) = delete;
  ~MappedPages() { munmap(data_, size_); }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  void* data_ = nullptr;
};

TEST_F(VulkanMemoryTest, ImportsMappedFilesWithoutACopy) {  // row H6
  if (!context_->traits.host_import) GTEST_SKIP() << "the device imports nothing";
  std::mt19937_64 random(test::test_seed());
  const std::vector<std::byte> content = random_bytes(random, 8 * 4096);
  const MappedPages pages(content);
  const auto imported = allocator_->import_host(pages.data(), pages.size());
  ASSERT_TRUE(imported.has_value()) << imported.error().message;
  EXPECT_EQ((*imported)->host, pages.data());
  EXPECT_EQ(allocator_->block_count(), 1u);
  StagingRing ring(context_, allocator_, *context_->queues.front());
  std::vector<std::byte> seen(content.size());
  ASSERT_TRUE(ring.read((*imported)->range(), 0, seen).has_value());
  EXPECT_EQ(seen, content);
}

TEST_F(VulkanMemoryTest, ImportsThatTheDriverRefusesSayWhy) {  // row H6
  if (!context_->traits.host_import) GTEST_SKIP() << "the device imports nothing";
  const MappedPages pages(std::vector<std::byte>(4096));
  for (std::uint64_t nth = 1;; ++nth) {
    VulkanFaults::arm(nth, VK_ERROR_INVALID_EXTERNAL_HANDLE);
    const auto imported = allocator_->import_host(pages.data(), pages.size());
    if (VulkanFaults::disarm() < nth) {
      EXPECT_TRUE(imported.has_value());
      EXPECT_GE(nth, 5u);
      break;
    }
    ASSERT_FALSE(imported.has_value()) << nth;
    EXPECT_EQ(imported.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(imported.error().message,
                HasSubstr("does not import the 4096 bytes at address 0x"));
    EXPECT_THAT(imported.error().message, HasSubstr(VulkanFaults::failed_call()));
    EXPECT_EQ(allocator_->block_count(), 0u);
  }
  context_->traits.host_import = false;
  const auto refused = allocator_->import_host(pages.data(), pages.size());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("VK_EXT_external_memory_host"));
}

/// Memory as the runtime gets it is zeroed, also where other bytes were before.
void check_zeroed(MemoryAllocator& allocator, StagingRing& ring, bool host_access) {
  for (const std::uint64_t size :
       {std::uint64_t{1}, std::uint64_t{1000}, 2 * kMiB + 3, 17 * kMiB}) {
    hal::MemoryRequest request;
    request.size_bytes = size;
    request.host_access = host_access;
    request.zero = false;
    auto dirty = allocate_memory(allocator, ring, request).value();
    const BufferRange before = *static_cast<const BufferRange*>(dirty->native);
    ASSERT_TRUE(ring.fill(before, 0, size, std::byte{0xff}).has_value());
    dirty.reset();
    request.zero = true;
    const auto memory = allocate_memory(allocator, ring, request).value();
    EXPECT_TRUE(!host_access || memory->host != nullptr);
    const BufferRange& range = *static_cast<const BufferRange*>(memory->native);
    if (size < 16 * kMiB) {
      ASSERT_EQ(range.buffer, before.buffer);
      ASSERT_EQ(range.offset, before.offset) << "best fit takes what was given back";
    }
    std::vector<std::byte> seen(size, std::byte{1});
    ASSERT_TRUE(ring.read(range, 0, seen).has_value());
    EXPECT_EQ(std::ranges::count(seen, std::byte{0}), static_cast<std::ptrdiff_t>(size));
  }
}

TEST_F(VulkanMemoryTest, IsZeroedUnlessAskedOtherwise) {  // row H3
  StagingRing ring(context_, allocator_, *context_->queues.front());
  check_zeroed(*allocator_, ring, true);
  check_zeroed(*allocator_, ring, false);
}

TEST_F(DiscreteMemoryTest, IsZeroedUnlessAskedOtherwise) {  // row H3
  StagingRing ring(context_, allocator_, *context_->queues.front());
  check_zeroed(*allocator_, ring, true);
  check_zeroed(*allocator_, ring, false);
}

TEST_F(DiscreteMemoryTest, IsOfTheHostOnlyWhereTheHostAsks) {  // row H7
  EXPECT_FALSE(allocator_->device_memory_is_visible());
  StagingRing ring(context_, allocator_, *context_->queues.front());
  hal::MemoryRequest request;
  request.size_bytes = 1000;
  const auto mapped = allocate_memory(*allocator_, ring, request).value();
  EXPECT_NE(mapped->host, nullptr);
  EXPECT_TRUE(mapped->host_cached);
  request.host_access = false;
  const auto unseen = allocate_memory(*allocator_, ring, request).value();
  EXPECT_EQ(unseen->host, nullptr);
  EXPECT_FALSE(unseen->host_cached);
  EXPECT_NE(allocate(1000, MemoryUse::kUpload)->host, nullptr);
}

TEST_F(DiscreteMemoryTest, ThatIsExhaustedIsNotReplacedByMemoryOfTheHost) {  // row G5
  VulkanFaults::arm_every("vkAllocateMemory");
  EXPECT_EQ(allocator_->allocate({1000, MemoryUse::kDevice, "weights"}).error().code,
            ErrorCode::kOutOfMemory);
  EXPECT_EQ(VulkanFaults::disarm(), 4u) << "a buffer and memory, for a block and then alone";
}

TEST_F(VulkanMemoryTest, FailsToZeroWithoutKeepingTheMemory) {  // row G4
  StagingRing ring(context_, allocator_, *context_->queues.front());
  hal::MemoryRequest request;
  request.size_bytes = 17 * kMiB;
  request.host_access = false;
  ASSERT_TRUE(ring.fill(allocate(16)->range(), 0, 16, std::byte{1}).has_value());
  const std::size_t before = allocator_->block_count();
  VulkanFaults::arm_every("vkQueueSubmit2", VK_ERROR_OUT_OF_HOST_MEMORY);
  const auto memory = allocate_memory(*allocator_, ring, request);
  VulkanFaults::disarm();
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
  EXPECT_LE(allocator_->block_count(), before);
}

}  // namespace
}  // namespace segue::vulkan
