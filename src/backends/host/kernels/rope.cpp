// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/cache_rows.hpp"
#include "backends/host/kernels/mat_vec_panel.hpp"
#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/half.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/rope.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

// Angles are computed in double: at position 100,000 a float is already off by 0.004 radians.
using Doubles = hn::ScalableTag<double>;
using DoubleVec = hn::Vec<Doubles>;
constexpr Doubles kDoubles;
constexpr std::size_t kDoubleLanes = HWY_LANES(double);

/// Pairs whose sines and cosines are at hand at a time; whole vectors.
constexpr std::size_t kPairs = 64;

/// Which values of a head make a pair.
enum class Pairing { kInterleaved, kNeox };

/// sum of coefficients[k] x^k, by Horner's rule.
template <std::size_t kCount>
HWY_INLINE DoubleVec polynomial(DoubleVec x, const double (&coefficients)[kCount]) {
  DoubleVec sum = hn::Set(kDoubles, coefficients[kCount - 1]);
  for (std::size_t k = 2; k <= kCount; ++k)
    sum = hn::MulAdd(sum, x, hn::Set(kDoubles, coefficients[kCount - k]));
  return sum;
}

/// 2^x for -1000 < x < 1000: a power of two, and the Taylor series of e^r on |r| <= ln 2 / 2, whose
/// rest is below 1e-16.
HWY_INLINE DoubleVec exp2(DoubleVec x) {
  static constexpr double kSeries[] = {1.0,
                                       1.0,
                                       1.0 / 2,
                                       1.0 / 6,
                                       1.0 / 24,
                                       1.0 / 120,
                                       1.0 / 720,
                                       1.0 / 5040.0,
                                       1.0 / 40320.0,
                                       1.0 / 362880.0,
                                       1.0 / 3628800.0,
                                       1.0 / 39916800.0,
                                       1.0 / 479001600.0};
  const DoubleVec n = hn::Round(x);
  const DoubleVec r = hn::Mul(hn::Sub(x, n), hn::Set(kDoubles, 0.69314718055994530942));
  // Adding 2^52 leaves n + 1023, an exponent, in the lowest bits.
  const hn::RebindToUnsigned<Doubles> bits;
  const auto exponent = hn::BitCast(bits, hn::Add(n, hn::Set(kDoubles, 0x1p52 + 1023)));
  return hn::Mul(polynomial(r, kSeries), hn::BitCast(kDoubles, hn::ShiftLeft<52>(exponent)));
}

/// Sine and cosine with an absolute error below 1e-10 for 0 <= x < 4e9 (up to the rounding of x
/// itself): quadrants by a pi / 2 in two parts, the first with 33 bits (Cody & Waite, 1980), then
/// the Taylor series on |r| <= pi / 4.
HWY_INLINE void sin_cos(DoubleVec x, DoubleVec& sine, DoubleVec& cosine) {
  static constexpr double kSine[] = {
      1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880.0, -1.0 / 39916800.0, 1.0 / 6227020800.0};
  static constexpr double kCosine[] = {
      1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320.0, -1.0 / 3628800.0, 1.0 / 479001600.0};
  const DoubleVec n = hn::Round(hn::Mul(x, hn::Set(kDoubles, 0.63661977236758134308)));
  DoubleVec r = hn::NegMulAdd(n, hn::Set(kDoubles, 1.57079632673412561417), x);
  r = hn::NegMulAdd(n, hn::Set(kDoubles, 6.07710050650619224932e-11), r);
  const DoubleVec square = hn::Mul(r, r);
  const DoubleVec s = hn::Mul(polynomial(square, kSine), r);
  const DoubleVec c = polynomial(square, kCosine);
  const DoubleVec quarter = hn::Mul(n, hn::Set(kDoubles, 0.25));
  const DoubleVec quadrant = hn::Sub(quarter, hn::Floor(quarter));  // 0, 0.25, 0.5 or 0.75
  const auto odd =
      hn::Or(hn::Eq(quadrant, hn::Set(kDoubles, 0.25)), hn::Eq(quadrant, hn::Set(kDoubles, 0.75)));
  const auto lower = hn::Ge(quadrant, hn::Set(kDoubles, 0.5));
  const auto left =
      hn::Or(hn::Eq(quadrant, hn::Set(kDoubles, 0.25)), hn::Eq(quadrant, hn::Set(kDoubles, 0.5)));
  const DoubleVec sine_magnitude = hn::IfThenElse(odd, c, s);
  const DoubleVec cosine_magnitude = hn::IfThenElse(odd, s, c);
  sine = hn::IfThenElse(lower, hn::Neg(sine_magnitude), sine_magnitude);
  cosine = hn::IfThenElse(left, hn::Neg(cosine_magnitude), cosine_magnitude);
}

/// Rotations of up to kPairs pairs. Interleaved: each cosine twice, and each sine as -sine, sine.
struct Rotations {
  HWY_ALIGN double frequencies[kPairs];
  HWY_ALIGN float cosines[2 * kPairs];
  HWY_ALIGN float sines[2 * kPairs];

  /// Frequencies base^(-2i / rotated) from pair `first` on.
  HWY_INLINE void set_frequencies(std::size_t first, std::size_t count, double log2_per_pair) {
    for (std::size_t i = 0; i < count; i += kDoubleLanes) {
      const DoubleVec pair = hn::Iota(kDoubles, static_cast<double>(first + i));
      hn::Store(exp2(hn::Mul(pair, hn::Set(kDoubles, log2_per_pair))), kDoubles, frequencies + i);
    }
  }

  template <Pairing kPairing>
  HWY_INLINE void set_position(double position, std::size_t count) {
    const hn::Rebind<float, Doubles> narrow;
    for (std::size_t i = 0; i < count; i += kDoubleLanes) {
      DoubleVec sine = hn::Zero(kDoubles);
      DoubleVec cosine = hn::Zero(kDoubles);
      sin_cos(hn::Mul(hn::Load(kDoubles, frequencies + i), hn::Set(kDoubles, position)), sine,
              cosine);
      const auto c = hn::DemoteTo(narrow, cosine);
      const auto s = hn::DemoteTo(narrow, sine);
      if constexpr (kPairing == Pairing::kInterleaved) {
        hn::StoreInterleaved2(c, c, narrow, cosines + 2 * i);
        hn::StoreInterleaved2(hn::Neg(s), s, narrow, sines + 2 * i);
      } else {
        hn::Store(c, narrow, cosines + i);
        hn::Store(s, narrow, sines + i);
      }
    }
  }
};

// Results go to floats or straight into a cache of halves.
HWY_INLINE void store_one(float value, float* y) { *y = value; }
HWY_INLINE void store_one(float value, hwy::float16_t* y) {
  const std::uint16_t bits = base::float_to_half(value);
  std::memcpy(y, &bits, sizeof(bits));
}

/// Rotates `count` interleaved pairs, from pair `first` of the table on. Each pair gets the same
/// bits wherever it stands in a vector.
template <class T>
HWY_INLINE void rotate_interleaved(const Rotations& table, std::size_t first, const float* x, T* y,
                                   std::size_t count) {
  const float* const cosines = table.cosines + 2 * first;
  const float* const sines = table.sines + 2 * first;
  std::size_t i = 0;
  if constexpr (kLanes > 1) {
    const auto turn = [](FloatVec v, FloatVec cosine, FloatVec sine) {
      return hn::MulAdd(v, cosine, hn::Mul(hn::Reverse2(kFloats, v), sine));
    };
    for (; i + kLanes <= 2 * count; i += kLanes) {
      store_floats(turn(load_floats(x + i), load_floats(cosines + i), load_floats(sines + i)),
                   y + i);
    }
    const std::size_t rest = 2 * count - i;
    if (rest == 0) return;
    store_some(
        turn(load_some(x + i, rest), load_some(cosines + i, rest), load_some(sines + i, rest)),
        y + i, rest);
  } else {
    for (; i < 2 * count; i += 2) {
      const float a = x[i];
      const float b = x[i + 1];
      store_one(a * cosines[i] + b * sines[i], y + i);
      store_one(b * cosines[i + 1] + a * sines[i + 1], y + i + 1);
    }
  }
}

/// Rotates `count` pairs whose second values are `distance` behind the first ones.
template <class T>
HWY_INLINE void rotate_neox(const Rotations& table, const float* x, T* y, std::size_t count,
                            std::size_t distance) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const FloatVec a = load_floats(x + i);
    const FloatVec b = load_floats(x + i + distance);
    const FloatVec c = hn::Load(kFloats, table.cosines + i);
    const FloatVec s = hn::Load(kFloats, table.sines + i);
    store_floats(hn::MulSub(a, c, hn::Mul(b, s)), y + i);
    store_floats(hn::MulAdd(b, c, hn::Mul(a, s)), y + i + distance);
  }
  for (; i < count; ++i) {
    const float a = x[i];
    const float b = x[i + distance];
    store_one(a * table.cosines[i] - b * table.sines[i], y + i);
    store_one(b * table.cosines[i] + a * table.sines[i], y + i + distance);
  }
}

HWY_INLINE void copy_floats(const float* x, float* y, std::size_t count) {
  std::copy_n(x, count, y);
}
HWY_INLINE void copy_floats(const float* x, hwy::float16_t* y, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_floats(load_floats(x + i), y + i);
  if (i < count) store_some(load_some(x + i, count - i), y + i, count - i);
}

/// Copies what is not rotated.
template <class T>
HWY_INLINE void copy_rest(const float* x, T* y, const base::RopeParams& size, std::uint64_t begin,
                          std::uint64_t end) {
  const bool in_place = static_cast<const void*>(x) == static_cast<const void*>(y);
  if (in_place || size.rotated == size.head_size) return;
  for (std::uint64_t head = begin; head < end; ++head) {
    const std::size_t offset = head * size.head_size;
    copy_floats(x + offset + size.rotated, y + offset + size.rotated,
                size.head_size - size.rotated);
  }
}

HWY_INLINE double log2_of_a_pair(float base, std::uint32_t rotated) {
  return -2.0 * std::log2(static_cast<double>(base)) / rotated;
}

template <Pairing kPairing, class T>
HWY_INLINE void rope(const KernelContext& work, const float* x, T* y,
                     const base::RopeParams& size) {
  const std::uint64_t all = std::uint64_t{size.tokens} * size.heads;
  const std::uint64_t begin = std::min(work.group_begin, all);
  const std::uint64_t end = std::min(work.group_end, all);
  const std::size_t pairs = size.rotated / 2;
  const double log2_per_pair = log2_of_a_pair(size.base, size.rotated);
  Rotations table;
  for (std::size_t first = 0; first < pairs; first += kPairs) {
    const std::size_t count = std::min(pairs - first, kPairs);
    table.set_frequencies(first, count, log2_per_pair);
    for (std::uint64_t head = begin; head < end;) {
      const std::uint64_t token = head / size.heads;
      const std::uint64_t token_end = std::min((token + 1) * size.heads, end);
      table.set_position<kPairing>(static_cast<double>(size.position + token), count);
      for (; head < token_end; ++head) {
        const std::size_t offset = head * size.head_size;
        if constexpr (kPairing == Pairing::kInterleaved) {
          rotate_interleaved(table, 0, x + offset + 2 * first, y + offset + 2 * first, count);
        } else {
          rotate_neox(table, x + offset + first, y + offset + first, count, pairs);
        }
      }
    }
  }
  copy_rest(x, y, size, begin, end);
}

void rope_interleaved(const KernelContext& work, In<float> x, Out<float> y,
                      const base::RopeParams& size) {
  rope<Pairing::kInterleaved>(work, x.data(), y.data(), size);
}
void rope_neox(const KernelContext& work, In<float> x, Out<float> y, const base::RopeParams& size) {
  rope<Pairing::kNeox>(work, x.data(), y.data(), size);
}

/// rope() of some values of one token, the first of them at x[0] and y[0].
template <class T>
HWY_INLINE void rotate_values(const mat_vec::Rotation& by, mat_vec::HeadValues values,
                              const float* x, T* y) {
  // Calls `make` for those that are among the `size` values of a head from `first` on: which of
  // these comes first, which of all values that is, and how many there are.
  const auto for_each_head = [&](std::size_t first, std::size_t size, auto&& make) {
    for (std::size_t head = values.begin / by.head_size * by.head_size; head < values.end;
         head += by.head_size) {
      const std::size_t from = std::max<std::size_t>(head + first, values.begin);
      const std::size_t to = std::min<std::size_t>(head + first + size, values.end);
      if (from < to) make(from - head - first, from - values.begin, to - from);
    }
  };
  const std::size_t pairs = by.rotated / 2;
  const double log2_per_pair = log2_of_a_pair(by.base, by.rotated);
  Rotations table;
  for (std::size_t first = 0; first < pairs; first += kPairs) {
    const std::size_t count = std::min(pairs - first, kPairs);
    table.set_frequencies(first, count, log2_per_pair);
    table.set_position<Pairing::kInterleaved>(static_cast<double>(by.position), count);
    for_each_head(2 * first, 2 * count, [&](std::size_t place, std::size_t at, std::size_t size) {
      rotate_interleaved(table, place / 2, x + at, y + at, size / 2);
    });
  }
  for_each_head(
      by.rotated, by.head_size - by.rotated,
      [&](std::size_t, std::size_t at, std::size_t size) { copy_floats(x + at, y + at, size); });
}

void rotate(const mat_vec::Rotation& by, mat_vec::HeadValues values, const float* x, float* y) {
  rotate_values(by, values, x, y);
}
void rotate_and_round(const mat_vec::Rotation& by, mat_vec::HeadValues values, const float* x,
                      std::uint16_t* y) {
  rotate_values(by, values, x, reinterpret_cast<hwy::float16_t*>(y));
}

/// rope() into the rows of a cache from size.position on, as far as it has them.
template <Pairing kPairing, class T>
HWY_INLINE void rope_kv_append(const KernelContext& work, const float* x, Out<T> cache,
                               const base::RopeKvAppendParams& size) {
  const std::uint64_t columns = std::uint64_t{size.heads} * size.head_size;
  const auto tokens =
      static_cast<std::uint32_t>(rows_in_cache(cache.size(), columns, size.position, size.tokens));
  if (tokens == 0) return;
  rope<kPairing>(work, x, cache.data() + size.position * columns,
                 {tokens, size.heads, size.head_size, size.rotated, size.position, size.base});
}

void rope_kv_append_interleaved_f32(const KernelContext& work, In<float> x, Out<float> cache,
                                    const base::RopeKvAppendParams& size) {
  rope_kv_append<Pairing::kInterleaved>(work, x.data(), cache, size);
}
void rope_kv_append_interleaved_f16(const KernelContext& work, In<float> x,
                                    Out<hwy::float16_t> cache,
                                    const base::RopeKvAppendParams& size) {
  rope_kv_append<Pairing::kInterleaved>(work, x.data(), cache, size);
}
void rope_kv_append_neox_f32(const KernelContext& work, In<float> x, Out<float> cache,
                             const base::RopeKvAppendParams& size) {
  rope_kv_append<Pairing::kNeox>(work, x.data(), cache, size);
}
void rope_kv_append_neox_f16(const KernelContext& work, In<float> x, Out<hwy::float16_t> cache,
                             const base::RopeKvAppendParams& size) {
  rope_kv_append<Pairing::kNeox>(work, x.data(), cache, size);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(rope_interleaved);
HWY_EXPORT(rope_neox);
HWY_EXPORT(rope_kv_append_interleaved_f32);
HWY_EXPORT(rope_kv_append_interleaved_f16);
HWY_EXPORT(rope_kv_append_neox_f32);
HWY_EXPORT(rope_kv_append_neox_f16);
HWY_EXPORT(rotate);
HWY_EXPORT(rotate_and_round);

void mat_vec::choose_rotations(Steps& steps) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  steps.rotate = HWY_DYNAMIC_DISPATCH(rotate);
  steps.rotate_and_round = HWY_DYNAMIC_DISPATCH(rotate_and_round);
}

void append_rope_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  const auto add = [&](const char* name, const char* result, auto* function) {
    kernels.push_back(kernel(name, {"x", result, "size"}, function, options));
  };
  add("rope_interleaved", "y", &HWY_DYNAMIC_DISPATCH(rope_interleaved));
  add("rope_neox", "y", &HWY_DYNAMIC_DISPATCH(rope_neox));
  add("rope_kv_append_interleaved_f32", "cache",
      &HWY_DYNAMIC_DISPATCH(rope_kv_append_interleaved_f32));
  add("rope_kv_append_interleaved_f16", "cache",
      &HWY_DYNAMIC_DISPATCH(rope_kv_append_interleaved_f16));
  add("rope_kv_append_neox_f32", "cache", &HWY_DYNAMIC_DISPATCH(rope_kv_append_neox_f32));
  add("rope_kv_append_neox_f16", "cache", &HWY_DYNAMIC_DISPATCH(rope_kv_append_neox_f16));
}

}  // namespace segue::host
#endif  // HWY_ONCE
