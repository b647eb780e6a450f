// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/memory_types.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace segue::vulkan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kVisible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
constexpr VkMemoryPropertyFlags kCoherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
constexpr VkDeviceSize kGiB = VkDeviceSize{1} << 30;

class Machine {
 public:
  Machine& heap(VkDeviceSize size) {
    memory_.memoryHeaps[memory_.memoryHeapCount++].size = size;
    return *this;
  }
  /// A type of the last heap.
  Machine& type(VkMemoryPropertyFlags flags) {
    memory_.memoryTypes[memory_.memoryTypeCount++] = {flags, memory_.memoryHeapCount - 1};
    return *this;
  }
  [[nodiscard]] std::vector<std::uint32_t> ranked(MemoryUse use,
                                                  std::uint32_t type_bits = 0xff) const {
    return ranked_types(memory_, type_bits, use);
  }
  [[nodiscard]] const VkPhysicalDeviceMemoryProperties& properties() const { return memory_; }

 private:
  VkPhysicalDeviceMemoryProperties memory_{};
};

/// The host sees all memory of the device: an H200, or any card with a resizable BAR.
Machine large_bar() {
  return Machine()
      .heap(140 * kGiB)
      .type(kLocal)
      .type(kLocal | kVisible | kCoherent)
      .heap(128 * kGiB)
      .type(0)
      .type(kVisible | kCoherent)
      .type(kVisible | kCoherent | kCached);
}

/// The host sees a window of 256 MiB.
Machine small_bar() {
  return Machine()
      .heap(24 * kGiB)
      .type(kLocal)
      .heap(64 * kGiB)
      .type(kVisible | kCoherent)
      .type(kVisible | kCoherent | kCached)
      .heap(kGiB / 4)
      .type(kLocal | kVisible | kCoherent);
}

TEST(MemoryTypes, WithALargeBarKernelsWorkWhereTheHostSeesIt) {  // row H7
  EXPECT_THAT(large_bar().ranked(MemoryUse::kDevice), ElementsAre(1, 0));
  EXPECT_THAT(large_bar().ranked(MemoryUse::kDeviceOnly), ElementsAre(0, 1));
  EXPECT_THAT(large_bar().ranked(MemoryUse::kUpload), ElementsAre(3, 4, 1));
  EXPECT_THAT(large_bar().ranked(MemoryUse::kReadback), ElementsAre(4, 3, 1));
}

TEST(MemoryTypes, AWindowOfTheDeviceIsTheLastResort) {  // row H7
  EXPECT_THAT(small_bar().ranked(MemoryUse::kDevice), ElementsAre(0, 3));
  EXPECT_THAT(small_bar().ranked(MemoryUse::kDeviceOnly), ElementsAre(0, 3));
  EXPECT_THAT(small_bar().ranked(MemoryUse::kUpload), ElementsAre(1, 2, 3));
  EXPECT_THAT(small_bar().ranked(MemoryUse::kReadback), ElementsAre(2, 1, 3));
}

TEST(MemoryTypes, OneTypeForEverythingServesEverything) {
  const Machine machine = Machine().heap(2 * kGiB).type(kLocal | kVisible | kCoherent | kCached);
  for (const MemoryUse use :
       {MemoryUse::kDevice, MemoryUse::kDeviceOnly, MemoryUse::kUpload, MemoryUse::kReadback})
    EXPECT_THAT(machine.ranked(use), ElementsAre(0));
}

TEST(MemoryTypes, OnlyThoseThatTheBufferAllowsCount) {
  EXPECT_THAT(large_bar().ranked(MemoryUse::kDevice, 0b00001), ElementsAre(0));
  EXPECT_THAT(large_bar().ranked(MemoryUse::kUpload, 0b00001), IsEmpty());
}

TEST(MemoryTypes, WhatNeedsAFlushOrAFeatureIsNotMapped) {
  const Machine machine =
      Machine()
          .heap(8 * kGiB)
          .type(kLocal | kVisible | kCoherent | VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD)
          .type(kLocal | VK_MEMORY_PROPERTY_PROTECTED_BIT)
          .type(kLocal | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT)
          .type(kLocal | kVisible | kCached)
          .type(kLocal | kVisible | kCoherent);
  EXPECT_THAT(machine.ranked(MemoryUse::kDevice), ElementsAre(4, 3));
  EXPECT_THAT(machine.ranked(MemoryUse::kUpload), ElementsAre(4));
  EXPECT_FALSE(is_host_coherent(machine.properties(), 3));
  EXPECT_TRUE(is_host_coherent(machine.properties(), 4));
  EXPECT_TRUE(is_host_cached(machine.properties(), 3));
  EXPECT_FALSE(is_host_cached(machine.properties(), 4));
}

TEST(MemoryTypes, KernelsNeverWorkInMemoryOfTheHost) {
  const Machine machine = Machine().heap(8 * kGiB).type(kVisible | kCoherent);
  EXPECT_THAT(machine.ranked(MemoryUse::kDevice), IsEmpty());
}

}  // namespace
}  // namespace segue::vulkan
