// SPDX-License-Identifier: Apache-2.0
//
// The whole library on a device whose memory the host does not see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "backends/vulkan/vulkan_device.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/device_state.hpp"
#include "support/required_devices.hpp"
#include "support/vulkan_device.hpp"
#include "support/vulkan_discrete.hpp"

namespace segue::vulkan {
namespace {

constexpr const char* kDouble = R"(#version 450
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; };
layout(std430, binding = 1) writeonly buffer Y { uint y[]; };
layout(binding = 2) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < segue_thread_count.x) y[i] = 2 * x[i];
}
)";

class DiscreteDevice : public testing::Test {
 protected:
  void SetUp() override {
    auto hal = create_hal_device(test::validated_options(), 1, &test::DiscreteMemory::install);
    if (!hal) {
      if (test::is_required("vulkan")) FAIL() << hal.error().to_string();
      GTEST_SKIP() << "vulkan is missing: " << hal.error().message;
    }
    device_ = std::make_unique<Device>(
        runtime::DeviceState::create(*std::move(hal), DeviceOptions()).value());
  }
  void TearDown() override { EXPECT_EQ(test::DiscreteMemory::bad_maps(), 0); }

  [[nodiscard]] Buffer make_buffer(std::size_t words, HostAccess access) const {
    BufferDesc desc;
    desc.size_bytes = words * sizeof(std::uint32_t);
    desc.host_access = access;
    return device_->create_buffer(desc).value();
  }
  [[nodiscard]] std::vector<std::uint32_t> download(const Buffer& buffer) const {
    std::vector<std::uint32_t> words(buffer.size_bytes() / sizeof(std::uint32_t));
    EXPECT_TRUE(
        device_->download(buffer.view(), std::as_writable_bytes(std::span(words))).has_value());
    return words;
  }

  std::unique_ptr<Device> device_;
};

TEST_F(DiscreteDevice, UploadsRunsAndDownloadsWithoutAPointer) {  // row H6, H7
  ASSERT_TRUE(device_->kernels().add(glsl_kernel("double", kDouble)).has_value());
  const Kernel kernel = device_->kernels().get("double").value();
  constexpr std::size_t kWords = 5000;
  std::vector<std::uint32_t> sent(kWords);
  std::iota(sent.begin(), sent.end(), 7U);
  const Buffer x = make_buffer(kWords, HostAccess::kNone);
  const Buffer y = make_buffer(kWords, HostAccess::kNone);
  EXPECT_EQ(x.state()->host, nullptr);
  for (std::uint32_t round = 0; round < 3; ++round) {
    sent[0] = round;
    ASSERT_TRUE(device_->upload(x.view(), std::as_bytes(std::span(sent))).has_value());
    CommandEncoder encoder = device_->create_encoder().value();
    encoder.dispatch(kernel, {x.view(), y.view()}, threads(kWords));
    ASSERT_TRUE(encoder.commit().has_value());
    const std::vector<std::uint32_t> received = download(y);
    for (std::size_t i = 0; i < kWords; ++i) ASSERT_EQ(received[i], 2 * sent[i]) << i;
  }
}

TEST_F(DiscreteDevice, MapsBuffersThatTheHostAsksFor) {  // row H7
  ASSERT_TRUE(device_->kernels().add(glsl_kernel("double", kDouble)).has_value());
  const Kernel kernel = device_->kernels().get("double").value();
  const Buffer x = make_buffer(64, HostAccess::kReadWrite);
  const Buffer y = make_buffer(64, HostAccess::kReadWrite);
  {
    const auto mapped = x.view().map_write<std::uint32_t>().value();
    std::iota(mapped.begin(), mapped.end(), 0U);
  }
  CommandEncoder encoder = device_->create_encoder().value();
  encoder.dispatch(kernel, {x.view(), y.view()}, threads(64));
  ASSERT_TRUE(encoder.commit().has_value());
  const auto mapped = y.view().map_read<std::uint32_t>().value();
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(mapped[i], 2 * i);
}

TEST_F(DiscreteDevice, ZeroesWhatItCannotReach) {  // row H3
  for (const std::size_t words : {std::size_t{3}, std::size_t{200'000}, std::size_t{5'000'000}}) {
    const std::vector<std::uint32_t> content = download(make_buffer(words, HostAccess::kNone));
    EXPECT_EQ(std::ranges::count(content, 0U), static_cast<std::ptrdiff_t>(words));
  }
}

TEST_F(DiscreteDevice, SaysWhatItUses) {  // row H8
  const std::uint64_t before = device_->memory_info().used_bytes;
  const Buffer buffer = make_buffer(1000, HostAccess::kNone);
  EXPECT_EQ(device_->memory_info().used_bytes, before + 4000);
  EXPECT_GT(device_->limits().max_view_bytes, 0U);
}

TEST_F(DiscreteDevice, RefusesViewsLargerThanADescriptorNamingTheLimit) {  // row B4
  ASSERT_TRUE(device_->kernels().add(glsl_kernel("double", kDouble)).has_value());
  const Kernel kernel = device_->kernels().get("double").value();
  const std::uint64_t limit = device_->limits().max_view_bytes;
  if (limit >= device_->limits().max_buffer_bytes) GTEST_SKIP() << "every buffer can be bound";
  BufferDesc desc;
  desc.size_bytes = limit + 4;
  desc.deferred = true;
  const Buffer large = device_->create_buffer(desc).value();
  const Buffer small = make_buffer(1, HostAccess::kNone);
  CommandEncoder encoder = device_->create_encoder().value();
  encoder.dispatch(kernel, {large.view(), small.view()}, threads(1));
  const auto submitted = encoder.commit();
  ASSERT_FALSE(submitted.has_value());
  EXPECT_THAT(submitted.error().message, testing::HasSubstr("Limits::max_view_bytes"));
  EXPECT_THAT(submitted.error().message, testing::HasSubstr(std::to_string(limit)));
  EXPECT_FALSE(large.is_backed());
}

}  // namespace
}  // namespace segue::vulkan
