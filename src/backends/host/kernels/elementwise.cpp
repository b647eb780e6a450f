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
#define HWY_TARGET_INCLUDE "backends/host/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

/// Elements of one thread group.
constexpr std::uint32_t kElementsPerGroup = 1024;

struct Add {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Add(a, b); }
};
struct Multiply {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Mul(a, b); }
};
struct SiluMultiply {
  HWY_INLINE FloatVec operator()(FloatVec gate, FloatVec up) const {
    return hn::Mul(silu_of(gate), up);
  }
};

template <class Op>
HWY_INLINE void combine(Op op, const float* a, const float* b, float* y, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store_floats(op(load_floats(a + i), load_floats(b + i)), y + i);
  }
  if (i < count) {
    store_some(op(load_some(a + i, count - i), load_some(b + i, count - i)), y + i, count - i);
  }
}

/// y[i] = op(a[i], b[i mod period]) for the elements of the groups.
template <class Op>
HWY_INLINE void combine_groups(Op op, const KernelContext& work, const float* a, const float* b,
                               float* y, const base::ElementwiseParams& size) {
  std::uint64_t i = std::min<std::uint64_t>(work.group_begin * kElementsPerGroup, size.count);
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end * kElementsPerGroup, size.count);
  if (size.period >= size.count) return combine(op, a + i, b + i, y + i, end - i);
  while (i < end) {
    const std::uint64_t column = i % size.period;
    const std::uint64_t count = std::min(end - i, size.period - column);
    combine(op, a + i, b + column, y + i, count);
    i += count;
  }
}

void add(const KernelContext& work, In<float> a, In<float> b, Out<float> y,
         const base::ElementwiseParams& size) {
  combine_groups(Add(), work, a.data(), b.data(), y.data(), size);
}
void mul(const KernelContext& work, In<float> a, In<float> b, Out<float> y,
         const base::ElementwiseParams& size) {
  combine_groups(Multiply(), work, a.data(), b.data(), y.data(), size);
}
void silu_mul(const KernelContext& work, In<float> gate, In<float> up, Out<float> y,
              const base::ElementwiseParams& size) {
  combine_groups(SiluMultiply(), work, gate.data(), up.data(), y.data(), size);
}
void silu(const KernelContext& work, In<float> x, Out<float> y,
          const base::ElementwiseParams& size) {
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end * kElementsPerGroup, size.count);
  std::uint64_t i = work.group_begin * kElementsPerGroup;
  for (; i + kLanes <= end; i += kLanes)
    store_floats(silu_of(load_floats(x.data() + i)), y.data() + i);
  if (i < end) store_some(silu_of(load_some(x.data() + i, end - i)), y.data() + i, end - i);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(add);
HWY_EXPORT(mul);
HWY_EXPORT(silu);
HWY_EXPORT(silu_mul);

void append_elementwise_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  options.items_per_group = HWY_STATIC_DISPATCH(kElementsPerGroup);
  kernels.push_back(kernel("add", {"a", "b", "y", "size"}, HWY_DYNAMIC_DISPATCH(add), options));
  kernels.push_back(kernel("mul", {"a", "b", "y", "size"}, HWY_DYNAMIC_DISPATCH(mul), options));
  kernels.push_back(kernel("silu", {"x", "y", "size"}, HWY_DYNAMIC_DISPATCH(silu), options));
  kernels.push_back(
      kernel("silu_mul", {"gate", "up", "y", "size"}, HWY_DYNAMIC_DISPATCH(silu_mul), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
