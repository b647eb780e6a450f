// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/softmax.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

/// Powers that are added up in float before they go into a double, so that small ones count even if
/// there are many.
constexpr std::size_t kBlock = 32 * kLanes;

/// y[i] = exp(x[i] - largest); returns the sum.
HWY_INLINE float exponentiate(const float* x, float* y, std::size_t count, float largest) {
  const FloatVec largest_lanes = hn::Set(kFloats, largest);
  FloatVec sums = hn::Zero(kFloats);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const FloatVec power = exp(hn::Sub(load_floats(x + i), largest_lanes));
    sums = hn::Add(sums, power);
    store_floats(power, y + i);
  }
  if (i < count) {
    const FloatVec power = exp(hn::Sub(load_some(x + i, count - i, -kInfinity), largest_lanes));
    sums = hn::Add(sums, power);
    store_some(power, y + i, count - i);
  }
  return sum_of_lanes(sums);
}

/// Three passes: largest value, powers and their sum, division.
HWY_INLINE void softmax_row(const float* x, float* y, std::size_t count) {
  const float largest = largest_of(x, count);
  double sum = 0.0;
  for (std::size_t i = 0; i < count; i += kBlock) {
    sum += exponentiate(x + i, y + i, std::min(count - i, kBlock), largest);
  }
  const FloatVec inverse = hn::Set(kFloats, static_cast<float>(1.0 / sum));
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store_floats(hn::Mul(load_floats(y + i), inverse), y + i);
  if (i < count) store_some(hn::Mul(load_some(y + i, count - i), inverse), y + i, count - i);
}

void softmax(const KernelContext& work, In<float> x, Out<float> y,
             const base::SoftmaxParams& size) {
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.rows);
  for (std::uint64_t row = work.group_begin; row < end; ++row) {
    softmax_row(x.data() + row * size.columns, y.data() + row * size.columns, size.columns);
  }
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(softmax);

void append_softmax_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(kernel("softmax", {"x", "y", "size"}, HWY_DYNAMIC_DISPATCH(softmax), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
