// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/hal.hpp"
#include "metal_double/double.hpp"
#include "segue/device.hpp"
#include "segue/encoder.hpp"
#include "segue/executable.hpp"
#include "segue/graph.hpp"
#include "segue/metal.hpp"
#include "support/parameters.hpp"

namespace segue::metal {

/// A device on a double of Metal of its own: each test starts with a fresh one, and ends without
/// broken rules that it did not take, and without objects.
class MetalTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Starts over on another machine.
  void use(metal_double::Options machine, const MetalOptions& metal_options = {},
           const DeviceOptions& options = {});
  /// Lets go of the device, and checks what it leaves.
  void close();

  /// A kernel of test_kernels.cpp, with the signature that Metal reflects.
  [[nodiscard]] Kernel kernel(std::string_view function,
                              std::span<const SpecConstant> constants = {}) const;
  /// The same with a declared one.
  [[nodiscard]] Kernel kernel(std::string_view function, const Signature& signature) const;
  [[nodiscard]] Buffer buffer(std::uint64_t words, const char* label = "") const;
  [[nodiscard]] Buffer buffer_of(std::span<const std::uint32_t> words,
                                 const char* label = "") const;
  [[nodiscard]] CommandEncoder encoder(BarrierMode mode = BarrierMode::kAutomatic) const;
  [[nodiscard]] std::vector<std::uint32_t> words(const BufferView& view) const;
  [[nodiscard]] std::vector<std::uint32_t> words(const Buffer& of) const {
    return words(of.view());
  }
  void write(const Buffer& to, std::span<const std::uint32_t> words) const;

  Device device_;
  /// What `device_` talks to.
  std::shared_ptr<hal::Device> hal_;
};

/// The text of all kernels of these tests.
[[nodiscard]] std::string test_kernel_text();

/// The lines of the double's log with this text in them.
[[nodiscard]] std::vector<std::string> log_with(std::string_view text, unsigned device = 0);
[[nodiscard]] std::size_t log_count(std::string_view text);

/// Runs work in an order that nobody expects, from a seed that is printed.
[[nodiscard]] metal_double::Options machine_with(metal_double::Order order);

using test::bytes_parameter;
using test::shared_parameter;
using test::view_parameter;

/// 0, 1, 2, ...
[[nodiscard]] std::vector<std::uint32_t> counting(std::size_t count, std::uint32_t first = 0);

}  // namespace segue::metal
