// SPDX-License-Identifier: Apache-2.0
//
// Vector helpers that kernels share. Compiled once per instruction set, as the files that include
// it: the guard flips with each pass of Highway's foreach_target.hpp.
#if defined(SEGUE_HOST_SIMD_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SEGUE_HOST_SIMD_MATH_INL
#undef SEGUE_HOST_SIMD_MATH_INL
#else
#define SEGUE_HOST_SIMD_MATH_INL
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/half.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;
using Halves = hn::Rebind<hwy::float16_t, Floats>;
using BrainHalves = hn::Rebind<hwy::bfloat16_t, Floats>;
using Ints = hn::Rebind<std::int32_t, Floats>;
using Uints = hn::Rebind<std::uint32_t, Floats>;
constexpr Floats kFloats;
constexpr Ints kInts;
constexpr Uints kUints;
constexpr std::size_t kLanes = HWY_LANES(float);
constexpr float kInfinity = std::numeric_limits<float>::infinity();

HWY_INLINE FloatVec load_floats(const float* data) { return hn::LoadU(kFloats, data); }
HWY_INLINE FloatVec load_floats(const hwy::float16_t* data) {
  return hn::PromoteTo(kFloats, hn::LoadU(Halves(), data));
}
HWY_INLINE FloatVec load_floats(const hwy::bfloat16_t* data) {
  return hn::PromoteTo(kFloats, hn::LoadU(BrainHalves(), data));
}
/// `v`, kept in a register. GCC 12 otherwise repeats the load of a vector in every instruction that
/// uses it, and loops that multiply from the cache wait for just these loads.
HWY_INLINE FloatVec in_register(FloatVec v) {
#if HWY_ARCH_X86 && HWY_COMPILER_GCC_ACTUAL
  asm("" : "+v"(v.raw));
#endif
  return v;
}
HWY_INLINE void store_floats(FloatVec v, float* data) { hn::StoreU(v, kFloats, data); }
HWY_INLINE void store_floats(FloatVec v, hwy::float16_t* data) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_NEON
  hn::StoreU(hn::DemoteTo(Halves(), v), Halves(), data);
#else  // Without an instruction for it, Highway 1.0.3 truncates instead of rounding to the nearest.
  HWY_ALIGN float floats[kLanes];
  hn::Store(v, kFloats, floats);
  for (std::size_t i = 0; i < kLanes; ++i) {
    const std::uint16_t half = base::float_to_half(floats[i]);
    std::memcpy(data + i, &half, sizeof(half));
  }
#endif
}

/// The first `count` < kLanes values at `data`; the other lanes are `fill`. Reads nothing beyond.
HWY_INLINE FloatVec load_some(const float* data, std::size_t count, float fill = 0.0F) {
  HWY_ALIGN float padded[kLanes];
  hn::Store(hn::Set(kFloats, fill), kFloats, padded);
  std::memcpy(padded, data, count * sizeof(float));
  return hn::Load(kFloats, padded);
}
template <class T>
HWY_INLINE FloatVec load_some(const T* data, std::size_t count) {
  HWY_ALIGN std::byte padded[kLanes * sizeof(T)] = {};
  std::memcpy(padded, data, count * sizeof(T));
  return load_floats(reinterpret_cast<const T*>(padded));
}
/// Stores the first `count` < kLanes lanes.
template <class T>
HWY_INLINE void store_some(FloatVec v, T* data, std::size_t count) {
  HWY_ALIGN std::byte padded[kLanes * sizeof(T)];
  store_floats(v, reinterpret_cast<T*>(padded));
  std::memcpy(data, padded, count * sizeof(T));
}

HWY_INLINE float sum_of_lanes(FloatVec v) { return hn::GetLane(hn::SumOfLanes(kFloats, v)); }

/// The larger of two values by lane; `b` where `a` is NaN, on every instruction set.
HWY_INLINE FloatVec larger(FloatVec a, FloatVec b) { return hn::IfThenElse(hn::Gt(a, b), a, b); }

/// The largest value of a row, -infinity if it has none but NaN. The order does not matter, so four
/// chains hide latency.
HWY_INLINE float largest_of(const float* x, std::size_t count) {
  FloatVec chains[4];
  for (FloatVec& chain : chains) chain = hn::Set(kFloats, -kInfinity);
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    HWY_UNROLL(4) for (std::size_t k = 0; k < 4; ++k) {
      chains[k] = larger(load_floats(x + i + k * kLanes), chains[k]);
    }
  }
  for (; i + kLanes <= count; i += kLanes) chains[0] = larger(load_floats(x + i), chains[0]);
  if (i < count) chains[0] = larger(load_some(x + i, count - i, -kInfinity), chains[0]);
  const FloatVec all = larger(larger(chains[0], chains[1]), larger(chains[2], chains[3]));
  return hn::GetLane(hn::MaxOfLanes(kFloats, all));
}

/// e^x with a relative error below 2e-7. Below -87.3 the result is 0, above 88.3 infinite.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts whose product with n is exact (Cody &
/// Waite, "Software Manual for the Elementary Functions", 1980); e^r by its Taylor series, whose
/// rest is below 7e-9.
HWY_INLINE FloatVec exp(FloatVec x) {
  const FloatVec n = hn::Round(hn::Mul(x, hn::Set(kFloats, 1.442695041F)));
  FloatVec r = hn::NegMulAdd(n, hn::Set(kFloats, 0.693359375F), x);
  r = hn::NegMulAdd(n, hn::Set(kFloats, -2.12194440e-4F), r);
  FloatVec e = hn::MulAdd(r, hn::Set(kFloats, 1.0F / 5040), hn::Set(kFloats, 1.0F / 720));
  e = hn::MulAdd(e, r, hn::Set(kFloats, 1.0F / 120));
  e = hn::MulAdd(e, r, hn::Set(kFloats, 1.0F / 24));
  e = hn::MulAdd(e, r, hn::Set(kFloats, 1.0F / 6));
  e = hn::MulAdd(e, r, hn::Set(kFloats, 0.5F));
  e = hn::MulAdd(e, r, hn::Set(kFloats, 1.0F));
  e = hn::MulAdd(e, r, hn::Set(kFloats, 1.0F));
  // Not every target may convert NaN or what no int holds; both get another result below, or stay.
  const auto convertible = hn::Le(hn::Abs(n), hn::Set(kFloats, 128.0F));
  const auto power = hn::ConvertTo(kInts, hn::IfThenElseZero(convertible, n));
  const auto exponent = hn::Add(power, hn::Set(kInts, 127));
  e = hn::Mul(e, hn::BitCast(kFloats, hn::ShiftLeft<23>(exponent)));
  e = hn::IfThenElse(hn::Gt(x, hn::Set(kFloats, 88.3F)), hn::Set(kFloats, kInfinity), e);
  return hn::IfThenElse(hn::Lt(x, hn::Set(kFloats, -87.3F)), hn::Zero(kFloats), e);
}

/// x * sigmoid(x).
HWY_INLINE FloatVec silu_of(FloatVec x) {
  return hn::Div(x, hn::Add(hn::Set(kFloats, 1.0F), exp(hn::Neg(x))));
}

/// Four chains of sums hide latency. Every kernel that normalises adds in this order.
HWY_INLINE float sum_of_squares(const float* x, std::size_t count) {
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

/// 1 / sqrt(mean of x^2 + epsilon).
HWY_INLINE float inverse_root_mean_square(const float* x, std::size_t count, float epsilon) {
  const float mean = sum_of_squares(x, count) / static_cast<float>(count);
  return 1.0F / std::sqrt(mean + epsilon);
}

}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SEGUE_HOST_SIMD_MATH_INL
