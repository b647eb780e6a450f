// SPDX-License-Identifier: Apache-2.0
//
// The angles of rotary embeddings (Su et al., "RoFormer", 2021). At position 100,000 an angle in
// single precision is off by 0.004, and pow(), sin() and cos() of GPUs are worse. Here angles are
// turns in 64-bit fixed point, which integer multiplication reduces to one turn for nothing: below
// position 2^20 they are exact to 2^-25 turns. The same bits on every device.
#ifndef SEGUE_COMMON_ROTATION_GLSL
#define SEGUE_COMMON_ROTATION_GLSL

#include "common/wide.glsl"

/// 2^(j / 16) times 2^63.
const uvec2 kSixteenthPowers[16] = uvec2[](
    uvec2(0x00000000u, 0x80000000u), uvec2(0xCC487B15u, 0x85AAC367u),
    uvec2(0xEA8BD6E7u, 0x8B95C1E3u), uvec2(0xAB11C336u, 0x91C3D373u),
    uvec2(0x8DB8A96Fu, 0x9837F051u), uvec2(0x91A111AEu, 0x9EF53260u),
    uvec2(0xB15138EAu, 0xA5FED6A9u), uvec2(0x42A14AC6u, 0xAD583EEAu),
    uvec2(0xF9DE6484u, 0xB504F333u), uvec2(0x580C36BFu, 0xBD08A39Fu),
    uvec2(0x5506DADDu, 0xC5672A11u), uvec2(0x1F8480E4u, 0xCE248C15u),
    uvec2(0xD69D6AF4u, 0xD744FCCAu), uvec2(0x2A94E111u, 0xE0CCDEECu),
    uvec2(0xDD24392Fu, 0xEAC0C6E7u), uvec2(0x2486CC2Cu, 0xF5257D15u));

const uvec2 kLn2 = uvec2(0xD1CF79ACu, 0xB17217F7u);         // ln 2 * 2^64
const uvec2 kLog2E = uvec2(0x5C17F0BCu, 0xB8AA3B29u);       // log2 e * 2^63
const uvec2 kLog2TwoPi = uvec2(0x498DDF76u, 0x02A6C873u);   // log2(2 pi) * 2^56

uint multiply_high(uint a, uint b) {
  uint high;
  uint low;
  umulExtended(a, b, high, low);
  return high;
}

/// 2^(x / 2^64) times 2^63, with a relative error below 2^-44: a sixteenth power from the table and
/// the Taylor series of e^z for z < ln 2 / 16. Terms from z^3 on need 32 bits only.
uvec2 power_of_two(uvec2 x) {
  const uvec2 z = wide_multiply_high(uvec2(x.x, x.y & 0x0FFFFFFFu), kLn2);
  const uvec2 square = wide_multiply_high(z, z);
  // 1/3! + z/4! + ... + z^4/7! as a multiple of 2^-34, by Horner's rule with 16 z.
  const uint z16 = z.y << 4 | z.x >> 28;
  uint series = 0x16C1u + multiply_high(0x34u, z16);
  series = 0x88889u + multiply_high(series, z16);
  series = 0x2AAAAABu + multiply_high(series, z16);
  series = 0xAAAAAAABu + multiply_high(series, z16);
  // z^3 as a multiple of 2^-45, from z^2 and z as multiples of 2^-41 and 2^-36.
  const uint cube = multiply_high(square.y << 9 | square.x >> 23, z16);
  const uint rest = multiply_high(cube, series);  // of 2^-47
  const uvec2 sum = wide_add(wide_add(uvec2(rest << 17, rest >> 15), z),
                             uvec2(square.x >> 1 | square.y << 31, square.y >> 1));
  const uvec2 power = kSixteenthPowers[x.y >> 28];
  return wide_add(power, wide_multiply_high(power, sum));
}

/// log2(x) times 2^56, two's complement, for a positive normal x: the estimate of the hardware,
/// which may be off by 2^-11, and for what remains the series log(1 + d) = d - d^2 / 2 + d^3 / 3.
uvec2 logarithm(float x) {
  // What most models are made with.
  if (x == 10000.0) return uvec2(0xBCD1B8B0u, 0x0D49A784u);
  if (x == 500000.0) return uvec2(0x1B3A9508u, 0x12EE7B47u);
  if (x == 1000000.0) return uvec2(0x1B3A9508u, 0x13EE7B47u);
  const uint bits = floatBitsToUint(x);
  const uint mantissa = bits & 0x007FFFFFu;
  const float estimate = log2(uintBitsToFloat(mantissa | 0x3F800000u));
  const uint fraction = uint(clamp(estimate, 1e-7, 0.9999999) * 4294967296.0);
  // (1 + d) * 2^63, where 1 + d is the mantissa over two to the estimate.
  const uvec2 ratio = wide_multiply_high(uvec2(0u, (mantissa | 0x00800000u) << 8),
                                         power_of_two(uvec2(0u, -fraction)));
  const bool below = ratio.y < 0x80000000u;
  uvec2 d = wide_subtract(ratio, uvec2(0u, 0x80000000u));
  if (below) d = wide_negate(d);
  uvec2 linear = wide_shift_right(wide_multiply_high(wide_shift_left(d, 11u), kLog2E), 17u);
  if (below) linear = wide_negate(linear);
  const float magnitude = float(d.y) * 4.656612873e-10 + float(d.x) * 1.084202172e-19;
  const float factor = below ? 0.5 + magnitude * (1.0 / 3.0) : 0.5 - magnitude * (1.0 / 3.0);
  const uint higher = uint(magnitude * magnitude * factor * 1.0395713e17);  // log2(e) * 2^56
  const uint exponent = (bits >> 23) - 127u;
  const uvec2 whole = uvec2(fraction << 24, exponent << 24 | fraction >> 8);
  return wide_subtract(wide_add(whole, linear), uvec2(higher, 0u));
}

/// part / whole * 2^64 for part < whole.
uvec2 ratio_of(uint part, uint whole) {
  if (part == 0u) return uvec2(0u);
  if ((whole & (whole - 1u)) == 0u) return uvec2(0u, part << (32 - findMSB(whole)));
  uint quotient = 0u;
  for (uint bit = 0u; bit < 32u; ++bit) {
    part <<= 1;
    quotient <<= 1;
    if (part >= whole) {
      part -= whole;
      quotient |= 1u;
    }
  }
  const float rest = min(float(part) / float(whole), 0.9999999);
  return uvec2(uint(rest * 4294967296.0), quotient);
}

/// base^(-pair / pairs) radians, in turns times 2^64.
uvec2 turns_per_position(uint pair, uint pairs, float base) {
  uvec2 exponent = logarithm(base);
  const bool negative = exponent.y >= 0x80000000u;
  if (negative) exponent = wide_negate(exponent);
  exponent = wide_multiply_high(exponent, ratio_of(pair, pairs));
  if (!negative) exponent = wide_negate(exponent);
  exponent = wide_subtract(exponent, kLog2TwoPi);
  const uvec2 power = power_of_two(wide_shift_left(exponent, 8u));
  const int shift = (int(exponent.y) >> 24) + 1;
  return shift < 0 ? wide_shift_right(power, uint(-shift)) : wide_shift_left(power, uint(shift));
}

/// Cosine and sine of `turn` / 2^32 turns, with an error below 1.2e-7: the Taylor series on an
/// eighth of a turn to both sides.
vec2 cosine_and_sine(uint turn) {
  const uint quadrant = turn + 0x20000000u >> 30;
  precise const float x = float(int(turn - (quadrant << 30))) * 1.4629180792671596e-9;
  precise const float square = x * x;
  precise float s = fma(square, 1.0 / 362880.0, -1.0 / 5040.0);
  s = fma(s, square, 1.0 / 120.0);
  s = fma(s, square, -1.0 / 6.0);
  s = fma(s * square, x, x);
  precise float c = fma(square, -1.0 / 3628800.0, 1.0 / 40320.0);
  c = fma(c, square, -1.0 / 720.0);
  c = fma(c, square, 1.0 / 24.0);
  c = fma(c, square, -0.5);
  c = fma(c, square, 1.0);
  const bool odd = (quadrant & 1u) != 0u;
  const float cosine = odd ? s : c;
  const float sine = odd ? c : s;
  return vec2((quadrant + 1u & 2u) != 0u ? -cosine : cosine,
              (quadrant & 2u) != 0u ? -sine : sine);
}

/// Cosine and sine of the angle of pair `pair` of `pairs` at position + token.
vec2 rotation(uint position, uint token, uint pair, uint pairs, float base) {
  const uvec2 step = turns_per_position(pair, pairs, base);
  uint carry;
  const uint at = uaddCarry(position, token, carry);
  return cosine_and_sine(step.y * at + multiply_high(step.x, at) + carry * step.x);
}

/// Two values turned together.
vec2 rotate(vec2 pair, vec2 by) {
  precise const vec2 turned = vec2(pair.x * by.x - pair.y * by.y, pair.y * by.x + pair.x * by.y);
  return turned;
}

#endif
