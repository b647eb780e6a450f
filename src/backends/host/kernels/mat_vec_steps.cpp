// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "backends/host/kernels/mat_vec_panel.hpp"
#include "backends/host/kernels/simd_targets.hpp"

// What fused products do before and behind them, in the very operations of the kernels that do it
// alone: a fused kernel gives the same bits.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/mat_vec_steps.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

float inverse_rms(const float* x, std::size_t count, float epsilon) {
  return inverse_root_mean_square(x, count, epsilon);
}

void normalise(const mat_vec::ColumnChunk& chunk, float* y) {
  const FloatVec factor = hn::Set(kFloats, chunk.norm_scale);
  const float* const weight = chunk.norm_weight;
  std::size_t i = 0;
  for (; i + kLanes <= chunk.columns; i += kLanes) {
    const FloatVec scaled = hn::Mul(load_floats(chunk.x + i), factor);
    store_floats(hn::Mul(scaled, load_floats(weight + i)), y + i);
  }
  const std::size_t rest = chunk.columns - i;
  if (rest == 0) return;
  const FloatVec scaled = hn::Mul(load_some(chunk.x + i, rest), factor);
  store_some(hn::Mul(scaled, load_some(weight + i, rest)), y + i, rest);
}

void add(const float* a, const float* b, float* y, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store_floats(hn::Add(load_floats(a + i), load_floats(b + i)), y + i);
  const std::size_t rest = count - i;
  if (rest != 0) store_some(hn::Add(load_some(a + i, rest), load_some(b + i, rest)), y + i, rest);
}

void silu_mul(const float* gate, const float* up, float* y, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store_floats(hn::Mul(silu_of(load_floats(gate + i)), load_floats(up + i)), y + i);
  const std::size_t rest = count - i;
  if (rest == 0) return;
  store_some(hn::Mul(silu_of(load_some(gate + i, rest)), load_some(up + i, rest)), y + i, rest);
}

void round(const float* x, std::uint16_t* y, std::size_t count) {
  auto* const halves = reinterpret_cast<hwy::float16_t*>(y);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_floats(load_floats(x + i), halves + i);
  if (i < count) store_some(load_some(x + i, count - i), halves + i, count - i);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(inverse_rms);
HWY_EXPORT(normalise);
HWY_EXPORT(add);
HWY_EXPORT(silu_mul);
HWY_EXPORT(round);

mat_vec::Steps mat_vec::choose_steps() {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  Steps steps;
  steps.inverse_root_mean_square = HWY_DYNAMIC_DISPATCH(inverse_rms);
  steps.normalise = HWY_DYNAMIC_DISPATCH(normalise);
  steps.add = HWY_DYNAMIC_DISPATCH(add);
  steps.silu_mul = HWY_DYNAMIC_DISPATCH(silu_mul);
  steps.round = HWY_DYNAMIC_DISPATCH(round);
  choose_rotations(steps);
  return steps;
}

}  // namespace segue::host
#endif  // HWY_ONCE
