// SPDX-License-Identifier: Apache-2.0
//
// Whether the barriers that Segue places do their work on a real GPU: a chain of dispatches that
// all add 1 to the same word comes out short when a single barrier of it is missing. Software
// devices run dispatches in order, so a barrier makes no difference there and most of this is
// skipped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "segue/vulkan.hpp"
#include "support/required_devices.hpp"
#include "support/test_seed.hpp"

namespace segue::test {
namespace {

constexpr std::uint32_t kDispatches = 800;
constexpr std::uint32_t kReplays = 31;
constexpr std::uint32_t kSubmissions = 8;  // of a chain with a gap

/// 32 threads that run in step and add 1 together.
constexpr const char* kIncrement = R"(#version 460
layout(local_size_x = 32) in;
layout(set = 0, binding = 0, std430) buffer X { uint x[]; };
void main() { x[0] = x[0] + 1; }
)";

class GpuBarrierTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto devices = vulkan::list_devices();
    const bool hardware =
        devices && std::ranges::any_of(*devices, [](const vulkan::DeviceSummary& device) {
          return device.usable && !device.software;
        });
    if (!hardware) {
      if (is_required("vulkan-gpu")) FAIL() << "This machine has no GPU with Vulkan.";
      GTEST_SKIP() << "vulkan-gpu is missing: only software devices are here.";
    }
    vulkan::VulkanOptions options;
    options.allow_software = false;
    device_ = vulkan::create_device({}, options).value();
    ASSERT_TRUE(device_.kernels().add(vulkan::glsl_kernel("increment", kIncrement)).has_value());
    kernel_ = device_.kernels().get("increment").value();
    BufferDesc desc;
    desc.size_bytes = 256;
    counter_ = device_.create_buffer(desc).value();
  }

  [[nodiscard]] CommandEncoder encoder(BarrierMode mode) const {
    EncoderOptions options;
    options.barriers = mode;
    return device_.create_encoder(options).value();
  }
  void clear() const {
    const std::uint32_t zero = 0;
    ASSERT_TRUE(device_.upload(counter_.view(0, 4).value(), std::as_bytes(std::span(&zero, 1)))
                    .has_value());
  }
  [[nodiscard]] std::uint32_t count() const {
    std::uint32_t value = 0;
    EXPECT_TRUE(
        device_.download(counter_.view(0, 4).value(), std::as_writable_bytes(std::span(&value, 1)))
            .has_value());
    return value;
  }
  /// The count after `kSubmissions` chains with a barrier before every dispatch but the first and
  /// number `gap`.
  [[nodiscard]] std::uint32_t count_with_gap(std::uint32_t gap) const {
    clear();
    CommandEncoder encoder = this->encoder(BarrierMode::kManual);
    for (std::uint32_t s = 0; s < kSubmissions; ++s) {
      for (std::uint32_t i = 0; i < kDispatches; ++i) {
        if (i != 0 && i != gap) encoder.memory_barrier();
        encoder.dispatch(kernel_, {counter_.view()}, groups(1));
      }
      EXPECT_TRUE(encoder.commit_and_wait().has_value());
      EXPECT_TRUE(encoder.begin().has_value());
    }
    return count();
  }

  Device device_;
  Kernel kernel_;
  Buffer counter_;
};

TEST_F(GpuBarrierTest, InferredBarriersKeepEveryIncrement) {  // row C4
  clear();
  CommandEncoder encoder = this->encoder(BarrierMode::kAutomatic);
  for (std::uint32_t i = 0; i < kDispatches; ++i)
    encoder.dispatch(kernel_, {counter_.view()}, groups(1));
  EXPECT_EQ(encoder.stats().barriers_inferred, kDispatches - 1);
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(count(), kDispatches);
}

TEST_F(GpuBarrierTest, PlannedBarriersKeepEveryIncrementOfAReplay) {  // rows C8, D5, F4
  clear();
  CommandEncoder encoder = this->encoder(BarrierMode::kAutomatic);
  encoder.start_capture();
  for (std::uint32_t i = 0; i < kDispatches; ++i)
    encoder.dispatch(kernel_, {counter_.view()}, groups(1));
  Executable executable = encoder.take_capture().value().compile(device_).value();
  EXPECT_EQ(executable.report().barriers, kDispatches - 1);
  for (std::uint32_t i = 0; i < kReplays; ++i) ASSERT_TRUE(executable.submit().has_value());
  ASSERT_TRUE(device_.wait_idle().has_value());
  EXPECT_EQ(count(), kDispatches * kReplays);
}

TEST_F(GpuBarrierTest, AnyMissingBarrierLosesIncrements) {  // row L1
  ASSERT_EQ(count_with_gap(0), kDispatches * kSubmissions) << "with all barriers";
  std::mt19937_64 random(test_seed());
  std::vector<std::uint32_t> gaps{1, kDispatches / 2, kDispatches - 1};
  for (int i = 0; i < 20; ++i)
    gaps.push_back(static_cast<std::uint32_t>(1 + random() % (kDispatches - 1)));
  for (const std::uint32_t gap : gaps) {
    const std::uint32_t found = count_with_gap(gap);
    EXPECT_LT(found, kDispatches * kSubmissions) << "without the barrier before dispatch " << gap;
    EXPECT_GE(found, kDispatches * kSubmissions - kSubmissions) << "two dispatches may meet";
  }
}

}  // namespace
}  // namespace segue::test
