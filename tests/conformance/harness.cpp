// SPDX-License-Identifier: Apache-2.0
#include "conformance/harness.hpp"

#include <numeric>
#include <utility>

#include "conformance/host_conformance_kernels.hpp"
#include "segue/host.hpp"
#if defined(SEGUE_HAS_METAL)
#include "conformance/metal_conformance_kernels.hpp"
#include "support/metal_device.hpp"
#endif
#if defined(SEGUE_HAS_VULKAN)
#include "conformance/vulkan_conformance_kernels.hpp"
#include "support/vulkan_device.hpp"
#endif

namespace segue::test {
namespace {

ConformanceDevice host_device(std::string name, unsigned threads, host::Parallelism parallelism) {
  return {std::move(name), "host",
          [threads, parallelism](const DeviceOptions& options) {
            host::HostOptions host_options;
            host_options.threads = threads;
            host_options.parallelism = parallelism;
            return host::create_device(options, host_options);
          },
          &host_conformance_kernels};
}

}  // namespace

const std::vector<ConformanceDevice>& conformance_devices() {
  static const std::vector<ConformanceDevice> all = {
      host_device("HostOneThread", 1, host::Parallelism::kAuto),
      host_device("HostTwoThreads", 2, host::Parallelism::kAuto),
      host_device("HostAlwaysParallel", 2, host::Parallelism::kAlways),
#if defined(SEGUE_HAS_VULKAN)
      {"Vulkan", "vulkan", &open_validated_vulkan, &vulkan_conformance_kernels},
#endif
#if defined(SEGUE_HAS_METAL)
      {"Metal", "metal", [](const DeviceOptions& options) { return open_metal(options); },
       &metal_conformance_kernels},
      {"MetalReencoding", "metal", &open_metal_reencoding, &metal_conformance_kernels},
#endif
  };
  return all;
}

const std::vector<ConformanceDevice>& conformance_modes() {
  static const std::vector<ConformanceDevice> all = [] {
    std::vector<ConformanceDevice> modes = conformance_devices();
    for (ConformanceDevice device : conformance_devices()) {
      device.name += "Replayed";
      device.replayed = true;
      modes.push_back(std::move(device));
    }
    return modes;
  }();
  return all;
}

void ConformanceTest::SetUp() {
  DeviceOptions options;
  options.queue_count = 2;
  Result<Device> opened = GetParam().open(options);
  if (!opened) {
    if (is_required(GetParam().spec)) FAIL() << opened.error().to_string();
    GTEST_SKIP() << GetParam().name << " is missing: " << opened.error().to_string();
  }
  device_ = *std::move(opened);
  for (KernelSource& source : GetParam().kernels()) {
    const Result<> added = device_.kernels().add(std::move(source));
    ASSERT_TRUE(added.has_value()) << added.error().to_string();
  }
}

Kernel ConformanceTest::kernel(std::string_view name) const {
  return device_.kernels().get(name).value();
}

CommandEncoder ConformanceTest::make_encoder(unsigned queue) const {
  EncoderOptions options;
  options.queue = queue;
  CommandEncoder encoder = device_.create_encoder(options).value();
  if (GetParam().replayed) encoder.start_capture();
  return encoder;
}

Buffer ConformanceTest::make_buffer(const Words& values, std::string label) const {
  BufferDesc desc;
  desc.size_bytes = 4 * values.size();
  desc.label = std::move(label);
  Buffer buffer = device_.create_buffer(desc).value();
  EXPECT_TRUE(device_.upload(buffer.view(), std::as_bytes(std::span(values))).has_value());
  return buffer;
}

ConformanceTest::Words ConformanceTest::read(const BufferView& view) const {
  Words values(view.size_bytes() / 4);
  const Result<> done = device_.download(view, std::as_writable_bytes(std::span(values)));
  EXPECT_TRUE(done.has_value()) << done.error().to_string();
  return values;
}

void ConformanceTest::run(CommandEncoder& encoder) const {
  if (GetParam().replayed) {
    const Result<Graph> graph = encoder.take_capture();
    ASSERT_TRUE(graph.has_value()) << graph.error().to_string();
    Result<Executable> executable = graph->compile(device_);
    ASSERT_TRUE(executable.has_value()) << executable.error().to_string();
    const Result<> done = executable->submit_and_wait();
    EXPECT_TRUE(done.has_value()) << done.error().to_string();
    encoder.start_capture();
    return;
  }
  const Result<> done = encoder.commit_and_wait();
  EXPECT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_TRUE(encoder.begin().has_value());
}

std::vector<std::uint32_t> counting(std::size_t count, std::uint32_t first) {
  std::vector<std::uint32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

}  // namespace segue::test
