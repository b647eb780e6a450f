// SPDX-License-Identifier: Apache-2.0
//
// Weights of one form, FORM_F32, FORM_F16, FORM_BF16, FORM_Q8_0, FORM_Q4_0, FORM_Q8_0_PLANES or
// FORM_Q4_0_PLANES, as every product reads them: a unit of UNIT_COLUMNS neighbouring columns of a
// row at a time, loaded into registers as it lies in memory and converted where it is multiplied.
//
// WEIGHTS(argument, name) declares argument number `argument`, and these functions:
//   Unit load_<name>(uint row, uint unit, Shape shape)        The unit'th unit of a row.
//   float element_<name>(uint row, uint column, Shape shape)  Forms that have rows of any length.

#include "common/numbers.glsl"

#if defined(FORM_F32)
#define UNIT_COLUMNS 4
#elif defined(FORM_F16) || defined(FORM_BF16)
#define UNIT_COLUMNS 8
#elif defined(FORM_Q8_0_PLANES) || defined(FORM_Q4_0_PLANES)
#define UNIT_COLUMNS 16
#else
#define UNIT_COLUMNS 32
#endif
#define UNIT_VECTORS (UNIT_COLUMNS / 4)

struct Shape {
  uint rows, columns;
};

/// Four unsigned bytes less `offset`, exactly: OR puts a byte into the last bits of 2^23, which is
/// cheaper on most GPUs than to convert it.
vec4 bytes_to_floats(uint bytes, float offset) {
  const uvec4 each = uvec4(bytes, bytes >> 8, bytes >> 16, bytes >> 24) & 0xFFu;
  return uintBitsToFloat(each | 0x4B000000u) - (8388608.0 + offset);
}

#if defined(FORM_F32) || defined(FORM_F16) || defined(FORM_BF16)

// ---- Floats: 16 bytes a unit where a row is whole units, else element by element ----

struct Unit {
  uvec4 bits;
};

#if defined(FORM_F32)
#define ELEMENTS(argument, name) \
  float element_##name(uint row, uint column, Shape shape) { \
    const uint i = row * shape.columns + column; \
    return uintBitsToFloat(name.units[i / 4][i % 4]); \
  }

vec4 four_columns(Unit w, uint vector) { return uintBitsToFloat(w.bits); }

#else
// The same memory in steps of two bytes, which no vector of words reaches to the end.
#define ELEMENTS(argument, name) \
  layout(binding = argument, std430) readonly buffer name##_block_of_halves { uint16_t halves[]; } \
  name##_halves; \
  float element_##name(uint row, uint column, Shape shape) { \
    return VALUE(uint(name##_halves.halves[row * shape.columns + column])); \
  }

#if defined(FORM_F16)
#define VALUE half_value
#define FOUR_VALUES half_values
#else
#define VALUE bfloat_value
#define FOUR_VALUES bfloat_values
#endif
vec4 four_columns(Unit w, uint vector) {
  return FOUR_VALUES(vector == 0 ? w.bits.xy : w.bits.zw);
}
#endif

#define WEIGHTS(argument, name) \
  layout(binding = argument, std430) readonly buffer name##_block { uvec4 units[]; } name; \
  ELEMENTS(argument, name) \
  Unit load_##name(uint row, uint unit, Shape shape) { \
    return Unit(name.units[row * (shape.columns / UNIT_COLUMNS) + unit]); \
  }

float scale_of(Unit w) { return 1.0; }
#define HAS_ANY_COLUMNS

#elif defined(FORM_Q8_0_PLANES) || defined(FORM_Q4_0_PLANES)

// ---- Planes: all quants of the matrix, then all scales, each ending on 16 bytes ----
//
// 16 columns of Q8_0 are 16 signed bytes. 16 columns of Q4_0 are 8 bytes, the first eight columns
// in their low nibbles and the others in the high ones.

#define HAS_SCALES
#if defined(FORM_Q8_0_PLANES)
#define QUANTS uvec4
#else
#define QUANTS uvec2
#define NIBBLES
#define HIGH_NIBBLES 2
#endif

struct Unit {
  QUANTS quants;
  uint scale;
};

/// Where the plane of scales starts, in steps of two bytes.
uint scales_begin(Shape shape) {
  const uint units = shape.rows * (shape.columns / 16);
#if defined(FORM_Q8_0_PLANES)
  return units * 8;
#else
  return units * 4;
#endif
}

#define WEIGHTS(argument, name) \
  layout(binding = argument, std430) readonly buffer name##_block { QUANTS units[]; } name; \
  layout(binding = argument, std430) readonly buffer name##_block_of_halves { uint16_t halves[]; } \
  name##_halves; \
  Unit load_##name(uint row, uint unit, Shape shape) { \
    const uint i = row * (shape.columns / 16) + unit; \
    return Unit(name.units[i], uint(name##_halves.halves[scales_begin(shape) + i / 2])); \
  }

#else

// ---- Blocks of 34 and 18 bytes, which align to nothing but two bytes ----

#if defined(FORM_Q8_0)
#define QUANT_WORDS 8
#else
#define QUANT_WORDS 4
#define NIBBLES
#define HIGH_NIBBLES 4
#endif

#define HAS_SCALES
struct Unit {
  uint quants[QUANT_WORDS];
  uint scale;
};

#define WEIGHTS(argument, name) \
  layout(binding = argument, std430) readonly buffer name##_block { uint16_t halves[]; } name; \
  Unit load_##name(uint row, uint unit, Shape shape) { \
    const uint first = (row * (shape.columns / 32) + unit) * (2 * QUANT_WORDS + 1); \
    Unit w; \
    w.scale = uint(name.halves[first]); \
    [[unroll]] for (uint i = 0; i < QUANT_WORDS; ++i) { \
      const uint low = uint(name.halves[first + 1 + 2 * i]); \
      w.quants[i] = low | uint(name.halves[first + 2 + 2 * i]) << 16; \
    } \
    return w; \
  }

#endif

#if defined(HAS_SCALES)
float scale_of(Unit w) { return half_value(w.scale); }

#if defined(NIBBLES)
/// Four neighbouring columns as bytes, from 0 to 15: from vector HIGH_NIBBLES on the high nibbles.
uint four_bytes(Unit w, uint vector) {
  const uint nibbles =
      vector < HIGH_NIBBLES ? w.quants[vector] : w.quants[vector - HIGH_NIBBLES] >> 4;
  return nibbles & 0x0F0F0F0Fu;
}
/// What the bytes are above the columns.
#define BYTE_OFFSET 8
vec4 four_columns(Unit w, uint vector) { return bytes_to_floats(four_bytes(w, vector), 8.0); }
#else
/// Four neighbouring columns as signed bytes.
uint four_bytes(Unit w, uint vector) { return w.quants[vector]; }
#define BYTE_OFFSET 0
vec4 four_columns(Unit w, uint vector) {
  return bytes_to_floats(w.quants[vector] ^ 0x80808080u, 128.0);
}
#endif
#endif
