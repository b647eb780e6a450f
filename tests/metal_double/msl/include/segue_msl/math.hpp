// SPDX-License-Identifier: Apache-2.0
// Functions of floating-point numbers and their vectors, and those common to all numbers.
#pragma once

namespace metal {

namespace fast = ::metal;
namespace precise = ::metal;

#define SEGUE_MSL_UNARY(name, builtin)         \
  template <typename T>                        \
    requires kIsFloat<T>                       \
  SEGUE_MSL_INLINE T name(T x) {               \
    return __builtin_elementwise_##builtin(x); \
  }
SEGUE_MSL_UNARY(ceil, ceil)
SEGUE_MSL_UNARY(floor, floor)
SEGUE_MSL_UNARY(trunc, trunc)
SEGUE_MSL_UNARY(rint, roundeven)
SEGUE_MSL_UNARY(round, round)
SEGUE_MSL_UNARY(exp, exp)
SEGUE_MSL_UNARY(exp2, exp2)
SEGUE_MSL_UNARY(log, log)
SEGUE_MSL_UNARY(log2, log2)
SEGUE_MSL_UNARY(log10, log10)
SEGUE_MSL_UNARY(sin, sin)
SEGUE_MSL_UNARY(cos, cos)
SEGUE_MSL_UNARY(sqrt, sqrt)
SEGUE_MSL_UNARY(fabs, abs)
#undef SEGUE_MSL_UNARY

/// Functions for which there is no vector builtin.
#define SEGUE_MSL_UNARY(name, function)                                                    \
  template <typename T>                                                                    \
    requires kIsFloat<T>                                                                   \
  SEGUE_MSL_INLINE T name(T x) {                                                           \
    return map(x, [](Element<T> each) { return Element<T>(__builtin_##function(each)); }); \
  }
SEGUE_MSL_UNARY(tan, tanf)
SEGUE_MSL_UNARY(asin, asinf)
SEGUE_MSL_UNARY(acos, acosf)
SEGUE_MSL_UNARY(atan, atanf)
SEGUE_MSL_UNARY(sinh, sinhf)
SEGUE_MSL_UNARY(cosh, coshf)
SEGUE_MSL_UNARY(tanh, tanhf)
SEGUE_MSL_UNARY(asinh, asinhf)
SEGUE_MSL_UNARY(acosh, acoshf)
SEGUE_MSL_UNARY(atanh, atanhf)
SEGUE_MSL_UNARY(exp10, exp10f)
#undef SEGUE_MSL_UNARY

#define SEGUE_MSL_BINARY(name, function)                                                           \
  template <typename T>                                                                            \
    requires kIsFloat<T>                                                                           \
  SEGUE_MSL_INLINE T name(T x, Same<T> y) {                                                        \
    return map(x, y,                                                                               \
               [](Element<T> a, Element<T> b) { return Element<T>(__builtin_##function(a, b)); }); \
  }
SEGUE_MSL_BINARY(atan2, atan2f)
SEGUE_MSL_BINARY(pow, powf)
SEGUE_MSL_BINARY(powr, powf)
SEGUE_MSL_BINARY(fmod, fmodf)
SEGUE_MSL_BINARY(fdim, fdimf)
SEGUE_MSL_BINARY(copysign, copysignf)
SEGUE_MSL_BINARY(nextafter, nextafterf)
#undef SEGUE_MSL_BINARY

template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T fma(T a, Same<T> b, Same<T> c) {
  return __builtin_elementwise_fma(a, b, c);
}

template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T rsqrt(T x) {
  return T(1) / sqrt(x);
}

template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T fract(T x) {
  // The largest number below 1: x - floor(x) would round to 1 for tiny negative x.
  const Element<T> last =
      sizeof(Element<T>) == 2 ? Element<T>(0x1.ffcp-1f) : Element<T>(0x1.fffffep-1f);
  T limit = last;
  return __builtin_elementwise_min(T(x - floor(x)), limit);
}

template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T sincos(T x, T& cosine) {
  cosine = cos(x);
  return sin(x);
}

template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T modf(T x, T& whole) {
  whole = trunc(x);
  return copysign(T(x - whole), x);
}

template <typename T, typename I>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T ldexp(T x, I exponent) {
  if constexpr (kIsVector<T>) {
    for (int i = 0; i < Traits<T>::kSize; ++i) x[i] = __builtin_ldexpf(x[i], exponent[i]);
    return x;
  } else {
    return T(__builtin_ldexpf(x, exponent));
  }
}

template <typename T, typename I>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T frexp(T x, I& exponent) {
  if constexpr (kIsVector<T>) {
    for (int i = 0; i < Traits<T>::kSize; ++i) {
      int each = 0;
      x[i] = __builtin_frexpf(x[i], &each);
      exponent[i] = each;
    }
    return x;
  } else {
    return T(__builtin_frexpf(x, &exponent));
  }
}

template <typename T>
SEGUE_MSL_INLINE T abs(T x) {
  if constexpr (__is_unsigned(Element<T>)) {
    return x;
  } else {
    return __builtin_elementwise_abs(x);
  }
}

/// Of a number and a NaN, the number.
template <typename T>
SEGUE_MSL_INLINE T min(T a, T b) {
  return __builtin_elementwise_min(a, b);
}
template <typename T>
SEGUE_MSL_INLINE T max(T a, T b) {
  return __builtin_elementwise_max(a, b);
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE T min(T a, Element<T> b) {
  T all = b;
  return __builtin_elementwise_min(a, all);
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE T max(T a, Element<T> b) {
  T all = b;
  return __builtin_elementwise_max(a, all);
}
template <typename T>
SEGUE_MSL_INLINE T fmin(T a, Same<T> b) {
  return __builtin_elementwise_min(a, b);
}
template <typename T>
SEGUE_MSL_INLINE T fmax(T a, Same<T> b) {
  return __builtin_elementwise_max(a, b);
}
template <typename T>
SEGUE_MSL_INLINE T min3(T a, Same<T> b, Same<T> c) {
  return __builtin_elementwise_min(__builtin_elementwise_min(a, b), c);
}
template <typename T>
SEGUE_MSL_INLINE T max3(T a, Same<T> b, Same<T> c) {
  return __builtin_elementwise_max(__builtin_elementwise_max(a, b), c);
}
template <typename T>
SEGUE_MSL_INLINE T clamp(T x, Same<T> low, Same<T> high) {
  return __builtin_elementwise_min(__builtin_elementwise_max(x, low), high);
}
template <typename T>
SEGUE_MSL_INLINE T median3(T a, Same<T> b, Same<T> c) {
  return max(min(a, b), min(max(a, b), c));
}
template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T saturate(T x) {
  return clamp(x, T(0), T(1));
}
template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T mix(T a, Same<T> b, Same<T> amount) {
  return a + (b - a) * amount;
}
template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T step(T edge, Same<T> x) {
  return map(edge, x,
             [](Element<T> e, Element<T> v) { return v < e ? Element<T>(0) : Element<T>(1); });
}
template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T smoothstep(T low, Same<T> high, Same<T> x) {
  const T t = saturate(T((x - low) / (high - low)));
  return t * t * (T(3) - T(2) * t);
}
template <typename T>
  requires kIsFloat<T>
SEGUE_MSL_INLINE T sign(T x) {
  return map(x, [](Element<T> v) {
    if (v > Element<T>(0)) return Element<T>(1);
    return v < Element<T>(0) ? Element<T>(-1) : v == v ? v : Element<T>(0);
  });
}

}  // namespace metal
