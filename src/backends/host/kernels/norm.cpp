// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/norm.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

float sum_of_squares(const float* x, std::size_t count) {
  FloatVec sums[4];
  for (FloatVec& sum : sums) sum = hn::Zero(kFloats);
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    HWY_UNROLL(4) for (std::size_t k = 0; k < 4; ++k) {
      const FloatVec v = load_floats(x + i + k * kLanes);
      sums[k] = hn::MulAdd(v, v, sums[k]);
    }
  }
  for (; i + kLanes <= count; i += kLanes) {
    const FloatVec v = load_floats(x + i);
    sums[0] = hn::MulAdd(v, v, sums[0]);
  }
  if (i < count) {
    const FloatVec v = load_some(x + i, count - i);
    sums[1] = hn::MulAdd(v, v, sums[1]);
  }
  return sum_of_lanes(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])));
}

template <class Scale>
HWY_INLINE void norm_rows(const KernelContext& work, const float* x, float* y,
                          const base::RmsNormParams& size, Scale&& scale) {
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.rows);
  for (std::uint64_t row = work.group_begin; row < end; ++row) {
    const float* const from = x + row * size.columns;
    const float mean = sum_of_squares(from, size.columns) / static_cast<float>(size.columns);
    scale(from, y + row * size.columns, hn::Set(kFloats, 1.0F / std::sqrt(mean + size.epsilon)));
  }
}

void rms_norm(const KernelContext& work, In<float> x, Out<float> y,
              const base::RmsNormParams& size) {
  const std::size_t columns = size.columns;
  norm_rows(work, x.data(), y.data(), size,
            [columns](const float* from, float* to, FloatVec inverse) HWY_ATTR {
              std::size_t i = 0;
              for (; i + kLanes <= columns; i += kLanes)
                store_floats(hn::Mul(load_floats(from + i), inverse), to + i);
              if (i < columns)
                store_some(hn::Mul(load_some(from + i, columns - i), inverse), to + i, columns - i);
            });
}

void rms_norm_weighted(const KernelContext& work, In<float> x, In<float> weight, Out<float> y,
                       const base::RmsNormParams& size) {
  const std::size_t columns = size.columns;
  const float* const w = weight.data();
  norm_rows(work, x.data(), y.data(), size,
            [columns, w](const float* from, float* to, FloatVec inverse) HWY_ATTR {
              std::size_t i = 0;
              for (; i + kLanes <= columns; i += kLanes) {
                store_floats(hn::Mul(hn::Mul(load_floats(from + i), inverse), load_floats(w + i)),
                             to + i);
              }
              if (i < columns) {
                const FloatVec scaled = hn::Mul(load_some(from + i, columns - i), inverse);
                store_some(hn::Mul(scaled, load_some(w + i, columns - i)), to + i, columns - i);
              }
            });
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(rms_norm);
HWY_EXPORT(rms_norm_weighted);

void append_norm_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(
      kernel("rms_norm", {"x", "y", "size"}, HWY_DYNAMIC_DISPATCH(rms_norm), options));
  kernels.push_back(kernel("rms_norm_weighted", {"x", "weight", "y", "size"},
                           HWY_DYNAMIC_DISPATCH(rms_norm_weighted), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
