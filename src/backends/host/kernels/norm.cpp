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
#define HWY_TARGET_INCLUDE "backends/host/kernels/norm.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

/// y[i] = x[i] * inverse * weight[i]; without `weight`, x[i] * inverse.
HWY_INLINE void scale_row(const float* x, const float* weight, float inverse, float* y,
                          std::size_t columns) {
  const FloatVec factor = hn::Set(kFloats, inverse);
  std::size_t i = 0;
  for (; i + kLanes <= columns; i += kLanes) {
    FloatVec v = hn::Mul(load_floats(x + i), factor);
    if (weight != nullptr) v = hn::Mul(v, load_floats(weight + i));
    store_floats(v, y + i);
  }
  if (i < columns) {
    FloatVec v = hn::Mul(load_some(x + i, columns - i), factor);
    if (weight != nullptr) v = hn::Mul(v, load_some(weight + i, columns - i));
    store_some(v, y + i, columns - i);
  }
}

HWY_INLINE void add_row(const float* a, const float* b, float* sum, std::size_t columns) {
  std::size_t i = 0;
  for (; i + kLanes <= columns; i += kLanes)
    store_floats(hn::Add(load_floats(a + i), load_floats(b + i)), sum + i);
  if (i < columns) {
    const FloatVec last = hn::Add(load_some(a + i, columns - i), load_some(b + i, columns - i));
    store_some(last, sum + i, columns - i);
  }
}

HWY_INLINE void norm_rows(const KernelContext& work, const float* x, const float* weight, float* y,
                          const base::RmsNormParams& size) {
  const std::size_t columns = size.columns;
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.rows);
  for (std::uint64_t row = work.group_begin; row < end; ++row) {
    const float* const from = x + row * columns;
    const float inverse = inverse_root_mean_square(from, columns, size.epsilon);
    scale_row(from, weight, inverse, y + row * columns, columns);
  }
}

HWY_INLINE void add_norm_rows(const KernelContext& work, const float* a, const float* b,
                              const float* weight, float* sum, float* y,
                              const base::RmsNormParams& size) {
  const std::size_t columns = size.columns;
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.rows);
  for (std::uint64_t row = work.group_begin; row < end; ++row) {
    const std::size_t offset = row * columns;
    add_row(a + offset, b + offset, sum + offset, columns);
    const float inverse = inverse_root_mean_square(sum + offset, columns, size.epsilon);
    scale_row(sum + offset, weight, inverse, y + offset, columns);
  }
}

void rms_norm(const KernelContext& work, In<float> x, Out<float> y,
              const base::RmsNormParams& size) {
  norm_rows(work, x.data(), nullptr, y.data(), size);
}
void rms_norm_weighted(const KernelContext& work, In<float> x, In<float> weight, Out<float> y,
                       const base::RmsNormParams& size) {
  norm_rows(work, x.data(), weight.data(), y.data(), size);
}
void add_rms_norm(const KernelContext& work, In<float> a, In<float> b, Out<float> sum, Out<float> y,
                  const base::RmsNormParams& size) {
  add_norm_rows(work, a.data(), b.data(), nullptr, sum.data(), y.data(), size);
}
void add_rms_norm_weighted(const KernelContext& work, In<float> a, In<float> b, In<float> weight,
                           Out<float> sum, Out<float> y, const base::RmsNormParams& size) {
  add_norm_rows(work, a.data(), b.data(), weight.data(), sum.data(), y.data(), size);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(rms_norm);
HWY_EXPORT(rms_norm_weighted);
HWY_EXPORT(add_rms_norm);
HWY_EXPORT(add_rms_norm_weighted);

void append_norm_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(
      kernel("rms_norm", {"x", "y", "size"}, HWY_DYNAMIC_DISPATCH(rms_norm), options));
  kernels.push_back(kernel("rms_norm_weighted", {"x", "weight", "y", "size"},
                           HWY_DYNAMIC_DISPATCH(rms_norm_weighted), options));
  kernels.push_back(kernel("add_rms_norm", {"a", "b", "sum", "y", "size"},
                           HWY_DYNAMIC_DISPATCH(add_rms_norm), options));
  kernels.push_back(kernel("add_rms_norm_weighted", {"a", "b", "weight", "sum", "y", "size"},
                           HWY_DYNAMIC_DISPATCH(add_rms_norm_weighted), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
