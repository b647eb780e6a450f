// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <random>
#include <vector>

#include "backends/vulkan/create_context.hpp"
#include "backends/vulkan/vulkan_memory.hpp"
#include "support/required_devices.hpp"
#include "support/vulkan_device.hpp"
#include "support/vulkan_discrete.hpp"
#include "support/vulkan_faults.hpp"

namespace segue::vulkan {

/// A context whose calls can be made to fail and whose every message fails the test, objects that
/// are left behind at the end among them; with an allocator.
class ContextFixture : public testing::Test {
 protected:
  void SetUp() override {
    auto context = create_context(test::validated_options(), hook());
    if (!context) {
      if (test::is_required("vulkan")) FAIL() << context.error().to_string();
      GTEST_SKIP() << "vulkan is missing: " << context.error().message;
    }
    context_ = *std::move(context);
    allocator_ = MemoryAllocator::create(context_).value();
  }
  virtual ApiHook hook() { return &test::VulkanFaults::install; }

  std::unique_ptr<VulkanMemory> allocate(std::uint64_t size_bytes,
                                         MemoryUse use = MemoryUse::kDevice) {
    auto memory = allocator_->allocate({size_bytes, use, "test"});
    if (!memory) ADD_FAILURE() << memory.error().to_string();
    return memory ? *std::move(memory) : nullptr;
  }

  ContextPointer context_;
  std::shared_ptr<MemoryAllocator> allocator_;
};

/// The same on a device whose own memory the host does not see.
class DiscreteFixture : public ContextFixture {
 protected:
  ApiHook hook() override {
    return [](Api& api) {
      test::DiscreteMemory::install(api);
      test::VulkanFaults::install(api);
    };
  }
  void TearDown() override { EXPECT_EQ(test::DiscreteMemory::bad_maps(), 0); }
};

inline std::vector<std::byte> random_bytes(std::mt19937_64& random, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace segue::vulkan
