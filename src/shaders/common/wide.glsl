// SPDX-License-Identifier: Apache-2.0
//
// Unsigned 64-bit integers as uvec2, lower half first, for devices without shaderInt64.
#ifndef SEGUE_COMMON_WIDE_GLSL
#define SEGUE_COMMON_WIDE_GLSL

uvec2 wide_add(uvec2 a, uvec2 b) {
  uint carry;
  const uint low = uaddCarry(a.x, b.x, carry);
  return uvec2(low, a.y + b.y + carry);
}

uvec2 wide_negate(uvec2 a) { return uvec2(-a.x, ~a.y + uint(a.x == 0u)); }

uvec2 wide_subtract(uvec2 a, uvec2 b) {
  uint borrow;
  const uint low = usubBorrow(a.x, b.x, borrow);
  return uvec2(low, a.y - b.y - borrow);
}

/// a times 2^count, below 2^64; 0 from 64 on.
uvec2 wide_shift_left(uvec2 a, uint count) {
  const uvec2 b = count < 32u ? a : uvec2(0u, count < 64u ? a.x : 0u);
  const uint by = count & 31u;
  return uvec2(b.x << by, b.y << by | b.x >> 1u >> (31u - by));
}

/// a / 2^count, rounded down; 0 from 64 on.
uvec2 wide_shift_right(uvec2 a, uint count) {
  const uvec2 b = count < 32u ? a : uvec2(count < 64u ? a.y : 0u, 0u);
  const uint by = count & 31u;
  return uvec2(b.x >> by | b.y << 1u << (31u - by), b.y >> by);
}

/// The upper half of the product, at most 3 too small.
uvec2 wide_multiply_high(uvec2 a, uvec2 b) {
  uint high;
  uint low;
  uint cross_a;
  uint cross_b;
  uint unused;
  umulExtended(a.y, b.y, high, low);
  umulExtended(a.y, b.x, cross_a, unused);
  umulExtended(a.x, b.y, cross_b, unused);
  return wide_add(wide_add(uvec2(low, high), uvec2(cross_a, 0u)), uvec2(cross_b, 0u));
}

/// a * b, below 2^64.
uvec2 wide_multiply(uvec2 a, uvec2 b) {
  uint high;
  uint low;
  umulExtended(a.x, b.x, high, low);
  return uvec2(low, high + a.x * b.y + a.y * b.x);
}

#endif
