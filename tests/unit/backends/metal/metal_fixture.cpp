// SPDX-License-Identifier: Apache-2.0
#include "unit/backends/metal/metal_fixture.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "backends/metal/metal_device.hpp"
#include "runtime/device_state.hpp"
#include "support/test_seed.hpp"

namespace segue::metal {

void MetalTest::SetUp() { use({}); }

void MetalTest::TearDown() { close(); }

void MetalTest::use(metal_double::Options machine, const MetalOptions& metal_options,
                    const DeviceOptions& options) {
  close();
  metal_double::reset(std::move(machine));
  auto hal = create_hal_device(metal_options);
  if (!hal) throw std::runtime_error(hal.error().to_string());
  hal_ = *hal;
  device_ = Device(runtime::DeviceState::create(hal_, options).value());
}

void MetalTest::close() {
  metal_double::hold_execution(false);
  device_ = {};
  hal_.reset();
  EXPECT_THAT(metal_double::take_violations(), testing::IsEmpty());
  EXPECT_THAT(metal_double::live_objects(), testing::IsEmpty());
}

Kernel MetalTest::kernel(std::string_view function, std::span<const SpecConstant> constants) const {
  const std::string name(function);
  if (!device_.kernels().contains(name)) {
    EXPECT_TRUE(device_.kernels().add(msl_kernel(name, test_kernel_text(), name)).has_value());
  }
  return device_.kernels().get(name, constants).value();
}

Kernel MetalTest::kernel(std::string_view function, const Signature& signature) const {
  const std::string name(function);
  EXPECT_TRUE(
      device_.kernels().add(msl_kernel(name, signature, test_kernel_text(), name)).has_value());
  return device_.kernels().get(name).value();
}

Buffer MetalTest::buffer(std::uint64_t words, const char* label) const {
  BufferDesc desc;
  desc.size_bytes = words * 4;
  desc.label = label;
  return device_.create_buffer(desc).value();
}

Buffer MetalTest::buffer_of(std::span<const std::uint32_t> words, const char* label) const {
  Buffer made = buffer(words.size(), label);
  write(made, words);
  return made;
}

CommandEncoder MetalTest::encoder(BarrierMode mode) const {
  EncoderOptions options;
  options.barriers = mode;
  return device_.create_encoder(options).value();
}

std::vector<std::uint32_t> MetalTest::words(const BufferView& view) const {
  std::vector<std::uint32_t> all(view.size_bytes() / 4);
  EXPECT_TRUE(device_.download(view, std::as_writable_bytes(std::span(all))).has_value());
  return all;
}

void MetalTest::write(const Buffer& to, std::span<const std::uint32_t> words) const {
  EXPECT_TRUE(
      device_.upload(to.view(0, words.size_bytes()).value(), std::as_bytes(words)).has_value());
}

std::vector<std::string> log_with(std::string_view text, unsigned device) {
  std::vector<std::string> lines = metal_double::log(device);
  std::erase_if(lines, [text](const std::string& line) { return !line.contains(text); });
  return lines;
}

std::size_t log_count(std::string_view text) { return log_with(text).size(); }

metal_double::Options machine_with(metal_double::Order order) {
  metal_double::Options machine;
  machine.order = order;
  machine.seed = test::test_seed();
  return machine;
}

std::vector<std::uint32_t> counting(std::size_t count, std::uint32_t first) {
  std::vector<std::uint32_t> all(count);
  std::iota(all.begin(), all.end(), first);
  return all;
}

}  // namespace segue::metal
