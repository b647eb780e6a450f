// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "conformance/harness.hpp"
#include "segue/device.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"
#include "support/test_seed.hpp"

namespace segue::test {

/// A device with its operations, tensors made from values, and comparison with an oracle.
class OpsTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (!device_) return;  // Skipped, or failed.
    Result<ops::Ops> made = ops::Ops::create(device_);
    ASSERT_TRUE(made) << made.error().to_string();
    ops_.emplace(*std::move(made));
    encoder_ = make_encoder();
    random_.seed(test_seed());
  }

  std::vector<float> normal(std::size_t count, float deviation = 1.0F) {
    std::normal_distribution<float> distribution(0.0F, deviation);
    std::vector<float> values(count);
    for (float& value : values) value = distribution(random_);
    return values;
  }

  /// A tensor in the middle of a larger buffer, with these bytes, or zeros.
  Tensor tensor(DType dtype, std::uint32_t rows, std::uint32_t columns,
                std::span<const std::byte> bytes = {}) {
    return {view(row_bytes(dtype, columns) * rows, bytes), dtype, rows, columns};
  }
  Tensor floats(std::uint32_t rows, std::uint32_t columns, std::span<const float> values = {}) {
    return tensor(DType::kF32, rows, columns, std::as_bytes(values));
  }
  BufferView view(std::uint64_t size_bytes, std::span<const std::byte> bytes = {}) {
    constexpr std::uint64_t kMargin = 256;
    BufferDesc desc;
    desc.size_bytes = size_bytes + 2 * kMargin;
    desc.label = "test";
    const Buffer buffer = device_.create_buffer(desc).value();
    const BufferView middle = buffer.view(kMargin, size_bytes).value();
    if (!bytes.empty()) {
      EXPECT_TRUE(device_.upload(middle, bytes));
    }
    return middle;
  }

  /// Runs what was recorded.
  void run() { ConformanceTest::run(encoder_); }

  template <class T>
  std::vector<T> download(const Tensor& from) {
    std::vector<T> values(from.view.size_bytes() / sizeof(T));
    EXPECT_TRUE(device_.download(from.view, std::as_writable_bytes(std::span(values))));
    return values;
  }

  /// Runs, and checks |y - want| <= tolerance[i].
  void expect(const Tensor& y, std::span<const double> want, std::span<const double> tolerance) {
    run();
    const std::vector<float> got = download<float>(y);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_TRUE(std::fabs(got[i] - want[i]) <= tolerance[i])
          << "element " << i << " is " << got[i] << " and should be " << want[i] << " within "
          << tolerance[i];
    }
  }
  /// Runs, and checks |y - want| <= relative * |want| + absolute.
  void expect(const Tensor& y, std::span<const double> want, double relative, double absolute) {
    std::vector<double> tolerance;
    for (const double value : want) tolerance.push_back(relative * std::fabs(value) + absolute);
    expect(y, want, tolerance);
  }

  std::optional<ops::Ops> ops_;
  CommandEncoder encoder_;
  std::mt19937_64 random_;
};

}  // namespace segue::test
