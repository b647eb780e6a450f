// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/op_params.hpp"
#include "segue/device.hpp"
#include "segue/encoder.hpp"
#include "segue/tensor.hpp"
#include "support/required_devices.hpp"
#include "support/test_seed.hpp"
#include "support/vulkan_device.hpp"
#include "support/weights.hpp"

namespace segue::test {

/// Weights as kernels with names that end in `name` take them.
struct Form {
  std::string name;
  DType type;
  WeightLayout layout = WeightLayout::kRowMajor;
};

/// Runs the kernels of products by their names.
class VulkanProducts : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<Device> opened = open_validated_vulkan({});
    if (!opened) {
      if (is_required("vulkan")) FAIL() << opened.error().to_string();
      GTEST_SKIP() << opened.error().to_string();
    }
    device_ = *std::move(opened);
    encoder_ = device_.create_encoder().value();
    random_.seed(test_seed());
  }

  /// The forms that the device has kernels for.
  static std::vector<Form> forms() {
    return {{"f32", DType::kF32},
            {"f16", DType::kF16},
            {"bf16", DType::kBF16},
            {"q8_0", DType::kQ8_0},
            {"q4_0", DType::kQ4_0},
            {"q8_0_planes", DType::kQ8_0, WeightLayout::kPlanes},
            {"q4_0_planes", DType::kQ4_0, WeightLayout::kPlanes}};
  }

  /// A view in the middle of a buffer, with these bytes, or any.
  BufferView view(std::uint64_t size_bytes, std::span<const std::byte> bytes = {}) {
    constexpr std::uint64_t kMargin = 256;
    BufferDesc desc;
    desc.size_bytes = size_bytes + 2 * kMargin;
    const BufferView middle = device_.create_buffer(desc).value().view(kMargin, size_bytes).value();
    if (!bytes.empty()) {
      EXPECT_TRUE(device_.upload(middle, bytes));
    }
    return middle;
  }
  BufferView floats(std::span<const float> values) {
    return view(values.size_bytes(), std::as_bytes(values));
  }
  std::vector<float> normal(std::size_t count) {
    std::normal_distribution<float> distribution;
    std::vector<float> values(count);
    for (float& value : values) value = distribution(random_);
    return values;
  }
  template <class T>
  std::vector<T> download(const BufferView& from) {
    std::vector<T> values(from.size_bytes() / sizeof(T));
    EXPECT_TRUE(device_.download(from, std::as_writable_bytes(std::span(values))));
    return values;
  }

  /// Runs `kernel` over enough groups for `items`, one matrix after the other, and for `batch`.
  void run(const std::string& name, std::initializer_list<BufferView> views, const auto& params,
           std::initializer_list<std::uint32_t> items, std::uint32_t batch = 1) {
    const bool set = name.find("mat_vec") != std::string::npos;
    const Kernel kernel =
        device_.kernels().get(name, set ? constants_ : std::vector<SpecConstant>()).value();
    const Signature& signature = kernel.signature();
    const auto groups_for = [](std::uint32_t count, std::uint32_t each) {
      return (count + each - 1) / each;
    };
    std::uint32_t count = 0;
    for (const std::uint32_t each : items) count += groups_for(each, signature.items_per_group);
    std::vector<KernelArg> args(views.begin(), views.end());
    args.push_back(KernelArg::bytes(params));
    const std::uint32_t batches =
        signature.batch_per_group == 0 ? 1 : groups_for(batch, signature.batch_per_group);
    encoder_.dispatch(kernel, args, groups(count, batches));
    const Result<> done = encoder_.commit_and_wait();
    ASSERT_TRUE(done.has_value()) << done.error().to_string();
    ASSERT_TRUE(encoder_.begin().has_value());
  }

  /// `weights` on the device, as `form` has them.
  BufferView stored(const Form& form, const Weights& weights) {
    const BufferView source = view(weights.bytes.size(), weights.bytes);
    if (form.layout == WeightLayout::kRowMajor) return source;
    const BufferView packed =
        view(weight_bytes(form.type, form.layout, weights.rows, weights.columns));
    const std::string type = form.type == DType::kQ8_0 ? "q8_0" : "q4_0";
    run("repack_" + type + "_planes", {source, packed},
        base::RepackParams{weights.rows, weights.columns}, {weights.rows});
    return packed;
  }
  /// "mat_vec_*".
  std::vector<float> product(const Form& form, const BufferView& weights, const BufferView& x,
                             std::uint32_t tokens, std::uint32_t rows, std::uint32_t columns) {
    const BufferView y = view(std::uint64_t{4} * tokens * rows);
    run("mat_vec_" + form.name, {weights, x, y}, base::MatMulParams{tokens, rows, columns}, {rows});
    return download<float>(y);
  }

  Device device_;
  std::vector<SpecConstant> constants_;  ///< Of "mat_vec" kernels, where they differ.
  CommandEncoder encoder_;
  std::mt19937_64 random_;
};

}  // namespace segue::test
