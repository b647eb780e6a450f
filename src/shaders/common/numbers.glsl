// SPDX-License-Identifier: Apache-2.0
//
// Stored numbers, by integer arithmetic where GLSL leaves rounding open.
#ifndef SEGUE_COMMON_NUMBERS_GLSL
#define SEGUE_COMMON_NUMBERS_GLSL

// No constants: a compiler may not fold them, and GLSL has no literals for them.
#define kNan uintBitsToFloat(0x7FC00000u)
#define kInfinity uintBitsToFloat(0x7F800000u)

/// The value of binary16 bits in the lower half of `bits`.
float half_value(uint bits) { return unpackHalf2x16(bits).x; }

/// Four binary16 numbers, lower halves first.
vec4 half_values(uvec2 bits) { return vec4(unpackHalf2x16(bits.x), unpackHalf2x16(bits.y)); }

/// The value of bfloat16 bits: the upper half of a float.
float bfloat_value(uint bits) { return uintBitsToFloat(bits << 16); }

vec4 bfloat_values(uvec2 bits) {
  return uintBitsToFloat(uvec4(bits.x << 16, bits.x & 0xFFFF0000u, bits.y << 16,
                               bits.y & 0xFFFF0000u));
}

/// The binary16 bits nearest to `value`, ties to even; infinite from 65520 on.
uint half_bits(float value) {
  const uint bits = floatBitsToUint(value);
  const uint sign = bits >> 16 & 0x8000u;
  const uint magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return sign | 0x7E00u;   // NaN
  if (magnitude >= 0x477FF000u) return sign | 0x7C00u;  // 65520
  if (magnitude >= 0x38800000u) {                       // 2^-14, the least normal one
    const uint odd = magnitude >> 13 & 1u;
    return sign | (magnitude - 0x38000000u + 0xFFFu + odd) >> 13;
  }
  // From 0.5 to 1 floats are 2^-24 apart, as are the subnormal halves: the addition rounds.
  precise const float shifted = uintBitsToFloat(magnitude) + 0.5;
  return sign | (floatBitsToUint(shifted) - 0x3F000000u);
}

/// Four numbers as binary16, lower halves first.
uvec2 half_bits(vec4 values) {
  return uvec2(half_bits(values.x) | half_bits(values.y) << 16,
               half_bits(values.z) | half_bits(values.w) << 16);
}

#endif
