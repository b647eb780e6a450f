// SPDX-License-Identifier: Apache-2.0
#include "unit/backends/vulkan/kernels/kernel_runner.hpp"

#include <algorithm>

#include "segue/buffer.hpp"
#include "segue/encoder.hpp"
#include "support/required_devices.hpp"
#include "support/test_seed.hpp"
#include "support/vulkan_device.hpp"

namespace segue::test {
namespace {

/// Bytes before and behind each argument.
constexpr std::size_t kMargin = 256;
constexpr std::byte kUntouched{0xA5};

struct Placed {
  Argument argument;
  Buffer buffer;
  BufferView view;
};

Placed place(const Device& device, const Argument& argument) {
  BufferDesc desc;
  desc.size_bytes = argument.bytes.size() + 2 * kMargin;
  Placed placed{argument, device.create_buffer(desc).value(), {}};
  std::vector<std::byte> content(desc.size_bytes, kUntouched);
  std::ranges::copy(argument.bytes, content.begin() + kMargin);
  EXPECT_TRUE(device.upload(placed.buffer.view(), content));
  placed.view = placed.buffer.view(kMargin, argument.bytes.size()).value();
  return placed;
}

/// Brings back what was written, and checks the margins.
void fetch(const Device& device, const Placed& placed) {
  std::vector<std::byte> content(placed.argument.bytes.size() + 2 * kMargin);
  ASSERT_TRUE(device.download(placed.buffer.view(), content));
  const auto inner = std::span(content).subspan(kMargin, placed.argument.bytes.size());
  const auto untouched = [](std::byte byte) { return byte == kUntouched; };
  EXPECT_TRUE(std::ranges::all_of(std::span(content).first(kMargin), untouched) &&
              std::ranges::all_of(std::span(content).last(kMargin), untouched))
      << "The kernel writes around its argument.";
  if (placed.argument.written) std::ranges::copy(inner, placed.argument.bytes.begin());
}

const Result<Device>& shared_device() {
  static const Result<Device> device = open_validated_vulkan({});
  return device;
}

}  // namespace

void VulkanKernelTest::SetUp() {
  const Result<Device>& device = shared_device();
  if (!device) {
    if (is_required("vulkan")) FAIL() << device.error().to_string();
    GTEST_SKIP() << "vulkan is missing: " << device.error().to_string();
  }
  device_ = *device;
  engine_.seed(test_seed());
}

std::vector<float> VulkanKernelTest::normal(std::size_t count, float deviation) {
  std::normal_distribution<float> distribution(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(engine_);
  return values;
}

void VulkanKernelTest::run_bytes(const std::string& kernel, std::span<const Argument> arguments,
                                 std::span<const std::byte> params, std::uint64_t items) {
  const Result<Kernel> compiled = device_.kernels().get(kernel, constants_);
  ASSERT_TRUE(compiled) << compiled.error().to_string();
  std::vector<Placed> placed;
  std::vector<KernelArg> args;
  for (const Argument& argument : arguments) {
    auto same = std::ranges::find_if(placed, [&](const Placed& other) {
      return other.argument.bytes.data() == argument.bytes.data();
    });
    if (same == placed.end()) {
      placed.push_back(place(device_, argument));
      same = placed.end() - 1;
    }
    same->argument.written |= argument.written;
    args.emplace_back(same->view);
  }
  args.push_back(KernelArg::bytes(params));
  const std::uint64_t per_group = compiled->signature().items_per_group;
  const auto group_count = static_cast<std::uint32_t>((items + per_group - 1) / per_group);
  CommandEncoder encoder = device_.create_encoder().value();
  encoder.dispatch(*compiled, args, groups(group_count));
  const Result<> done = encoder.commit_and_wait();
  ASSERT_TRUE(done) << kernel << ": " << done.error().to_string();
  SCOPED_TRACE(kernel);
  for (const Placed& each : placed) fetch(device_, each);
}

}  // namespace segue::test
