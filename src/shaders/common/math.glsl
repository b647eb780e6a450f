// SPDX-License-Identifier: Apache-2.0
//
// Functions that are too inexact in hardware. Kernels that share them agree bit for bit.
//
// `precise` keeps compilers from rearranging; fma() does not: Mesa may take it apart and combine
// the pieces with others.
#ifndef SEGUE_COMMON_MATH_GLSL
#define SEGUE_COMMON_MATH_GLSL

#include "common/numbers.glsl"

/// e^x with a relative error below 3e-7, where exp() of a GPU is off by |x| times 6e-8. Below -87.3
/// the result is 0, above 88.3 infinite.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts whose product with n is exact (Cody &
/// Waite, "Software Manual for the Elementary Functions", 1980); e^r by its Taylor series, whose
/// rest is below 7e-9.
float exponential(float x) {
  precise const float n = roundEven(x * 1.442695041);
  precise float r = x - n * 0.693359375;
  r += n * 2.12194440e-4;
  float e = fma(r, 1.0 / 5040.0, 1.0 / 720.0);
  e = fma(e, r, 1.0 / 120.0);
  e = fma(e, r, 1.0 / 24.0);
  e = fma(e, r, 1.0 / 6.0);
  e = fma(e, r, 0.5);
  e = fma(e, r, 1.0);
  e = fma(e, r, 1.0);
  e *= uintBitsToFloat(uint(int(clamp(n, -126.0, 127.0)) + 127) << 23);
  e = x > 88.3 ? kInfinity : e;
  return x < -87.3 ? 0.0 : e;
}

/// x * sigmoid(x).
float silu(float x) {
  precise const float divisor = 1.0 + exponential(-x);
  precise const float y = x / divisor;
  return y;
}

vec4 silu(vec4 x) { return vec4(silu(x.x), silu(x.y), silu(x.z), silu(x.w)); }

#endif
