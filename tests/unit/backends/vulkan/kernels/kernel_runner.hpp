// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "segue/device.hpp"
#include "segue/kernel.hpp"

// What the tests of single Vulkan kernels share.

namespace segue::test {

/// An argument of a kernel: bytes of the test, copied to the device and, if written, back. The same
/// bytes given twice are the same view.
struct Argument {
  std::span<std::byte> bytes;
  bool written = false;
};
template <class T>
[[nodiscard]] Argument read(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {{const_cast<std::byte*>(bytes.data()), bytes.size()}, false};
}
template <class T>
[[nodiscard]] Argument write(std::vector<T>& values) {
  return {std::as_writable_bytes(std::span(values)), true};
}

template <class T>
[[nodiscard]] bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Checks |got - want| <= relative * |want| + absolute, element by element.
inline void expect_close(std::span<const float> got, std::span<const double> want, double relative,
                         double absolute) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(got[i] - want[i]);
    ASSERT_TRUE(error <= relative * std::fabs(want[i]) + absolute)
        << "element " << i << " is " << got[i] << " and should be " << want[i];
  }
}

/// A Vulkan device that all tests share, and random values.
class VulkanKernelTest : public ::testing::Test {
 public:
  [[nodiscard]] std::vector<float> normal(std::size_t count, float deviation = 1.0F);
  [[nodiscard]] std::uint64_t below(std::uint64_t end) { return engine_() % end; }

  /// Runs a kernel for `items` outputs. Checks that it writes nothing around its arguments.
  template <class Params>
  void run(const std::string& kernel, std::span<const Argument> arguments, const Params& params,
           std::uint64_t items) {
    run_bytes(kernel, arguments, std::as_bytes(std::span(&params, 1)), items);
  }
  template <class Params>
  void run(const std::string& kernel, std::initializer_list<Argument> arguments,
           const Params& params, std::uint64_t items) {
    run(kernel, std::span(arguments), params, items);
  }

 protected:
  void SetUp() override;

  /// Specialisation constants of the kernels that run from now on.
  void set_constants(std::vector<SpecConstant> constants) { constants_ = std::move(constants); }

 private:
  void run_bytes(const std::string& kernel, std::span<const Argument> arguments,
                 std::span<const std::byte> params, std::uint64_t items);

  Device device_;
  std::vector<SpecConstant> constants_;
  std::mt19937_64 engine_;
};

}  // namespace segue::test
