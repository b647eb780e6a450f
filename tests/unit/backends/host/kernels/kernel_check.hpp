// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "support/run_host_kernel.hpp"
#include "support/simd_kernels.hpp"
#include "support/test_seed.hpp"

// What the tests of single kernels share.

namespace segue::test {

/// Calls check(kernels) for each instruction set.
template <class Check>
void for_each_simd(Check&& check) {
  for (const SimdKernels& simd : simd_kernels()) {
    SCOPED_TRACE(simd.name);
    check(simd.kernels);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

class RandomFloats {
 public:
  explicit RandomFloats(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::vector<float> normal(std::size_t count, float deviation = 1.0F) {
    std::normal_distribution<float> distribution(0.0F, deviation);
    std::vector<float> values(count);
    for (float& value : values) value = distribution(engine_);
    return values;
  }
  [[nodiscard]] std::size_t below(std::size_t end) { return engine_() % end; }

 private:
  std::mt19937_64 engine_;
};

/// Runs a kernel for `items` outputs that fill an array of `count` elements, the argument at
/// `output_index`. Checks that it writes nothing behind them, and the same bytes when each group
/// runs by itself, last first.
template <class T>
std::vector<T> run_kernel(const KernelSource& kernel, std::vector<host::KernelArgument> arguments,
                          std::size_t output_index, std::size_t count, std::uint64_t items,
                          std::span<const T> initial = {}) {
  constexpr std::size_t kGuard = 64;
  constexpr std::byte kUntouched{0xA5};
  const auto prepare = [&](std::vector<T>& output) {
    output.assign(count + kGuard, T{});
    std::memset(static_cast<void*>(output.data()), std::to_integer<int>(kUntouched),
                output.size() * sizeof(T));
    std::ranges::copy(initial, output.begin());
    arguments[output_index] = buffer_argument(std::span<T>(output).first(count));
  };
  const Extent3 groups = groups_for(kernel, items);
  std::vector<T> whole;
  prepare(whole);
  run_host_kernel(kernel, arguments, groups);

  std::vector<T> parts;
  prepare(parts);
  for (std::uint64_t group = groups.count(); group-- > 0;) {
    run_host_groups(kernel, arguments, groups, group, group + 1);
  }
  EXPECT_EQ(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(T)), 0)
      << kernel.name << " depends on how its grid is split.";
  for (const std::byte byte : std::as_bytes(std::span<const T>(whole).subspan(count))) {
    EXPECT_EQ(byte, kUntouched) << kernel.name << " writes beyond its output.";
    if (byte != kUntouched) break;
  }
  whole.resize(count);
  return whole;
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

}  // namespace segue::test
