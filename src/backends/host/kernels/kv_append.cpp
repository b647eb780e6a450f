// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/cache_rows.hpp"
#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/kv_append.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

template <class T>
HWY_INLINE void append_rows(const KernelContext& work, const float* x, Out<T> cache,
                            const base::KvAppendParams& size) {
  const std::uint64_t tokens =
      rows_in_cache(cache.size(), size.columns, size.position, size.tokens);
  const std::uint64_t begin = std::min(work.group_begin, tokens);
  const std::uint64_t end = std::min(work.group_end, tokens);
  if (begin == end) return;
  const float* const from = x + begin * size.columns;
  T* const to = cache.data() + (size.position + begin) * size.columns;
  const std::size_t count = (end - begin) * size.columns;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_floats(load_floats(from + i), to + i);
  if (i < count) store_some(load_some(from + i, count - i), to + i, count - i);
}

void kv_append_f32(const KernelContext& work, In<float> x, Out<float> cache,
                   const base::KvAppendParams& size) {
  append_rows(work, x.data(), cache, size);
}
void kv_append_f16(const KernelContext& work, In<float> x, Out<hwy::float16_t> cache,
                   const base::KvAppendParams& size) {
  append_rows(work, x.data(), cache, size);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(kv_append_f32);
HWY_EXPORT(kv_append_f16);

void append_kv_append_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(kernel("kv_append_f32", {"x", "cache", "size"},
                           HWY_DYNAMIC_DISPATCH(kv_append_f32), options));
  kernels.push_back(kernel("kv_append_f16", {"x", "cache", "size"},
                           HWY_DYNAMIC_DISPATCH(kv_append_f16), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
