// SPDX-License-Identifier: Apache-2.0
//
// embedding_{f32,f16,bf16,q8_0,q4_0}, by TABLE_F32 and so on: a group makes the row of one token.
// With ONE_TOKEN embedding_token_*, whose token comes with the inline bytes.
#version 460
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
#include "common/numbers.glsl"

layout(local_size_x = 512, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 512;

#ifdef ONE_TOKEN
#define TABLE_BINDING 0
#else
#define TABLE_BINDING 1
layout(std430, binding = 0) readonly buffer Tokens { uint tokens[]; };
#endif
#ifdef TABLE_F32
layout(std430, binding = TABLE_BINDING) readonly buffer Table { float table[]; };
layout(std430, binding = TABLE_BINDING) readonly buffer TableQuads { vec4 table_quads[]; };
#else
layout(std430, binding = TABLE_BINDING) readonly buffer Table { uint16_t table[]; };
layout(std430, binding = TABLE_BINDING) readonly buffer TableQuads { uvec2 table_quads[]; };
#endif
layout(std430, binding = TABLE_BINDING + 1) writeonly buffer Y { float y[]; };
layout(std430, binding = TABLE_BINDING + 1) writeonly buffer YQuads { vec4 y_quads[]; };
layout(std140, binding = TABLE_BINDING + 2) uniform Size {
#ifdef ONE_TOKEN
  uint token;
#else
  uint tokens;
#endif
  uint vocabulary;
  uint columns;
} size;

#if defined(TABLE_Q8_0) || defined(TABLE_Q4_0)

/// Blocks of 32 columns: a scale, then bytes, in words of 16 bits.
#ifdef TABLE_Q8_0
const uint kBlockWords = 17;
#else
const uint kBlockWords = 9;
#endif

/// Words of quants in a row.
uint row_steps(uint columns) { return columns / 32 * (kBlockWords - 1); }

/// Writes what word `step` of row `row` of the table holds to the row of y that begins at `to`.
void write_step(uint row, uint step, uint to) {
  const uint block = step / (kBlockWords - 1);
  const uint at = step % (kBlockWords - 1);
  const uint first = (row * (size.columns / 32) + block) * kBlockWords;
  const float scale = half_value(uint(table[first]));
  const uint quants = uint(table[first + 1 + at]);
  const uint column = to + 32 * block + 2 * at;
#ifdef TABLE_Q8_0
  y[column] = float(int(quants << 24) >> 24) * scale;
  y[column + 1] = float(int(quants << 16) >> 24) * scale;
#else
  y[column] = (float(quants & 15u) - 8.0) * scale;
  y[column + 1] = (float(quants >> 8 & 15u) - 8.0) * scale;
  y[column + 16] = (float(quants >> 4 & 15u) - 8.0) * scale;
  y[column + 17] = (float(quants >> 12) - 8.0) * scale;
#endif
}

#else

#if defined(TABLE_F32)
#define VALUE(stored) (stored)
#define VALUES(stored) (stored)
#elif defined(TABLE_F16)
#define VALUE(stored) half_value(uint(stored))
#define VALUES(stored) half_values(stored)
#elif defined(TABLE_BF16)
#define VALUE(stored) bfloat_value(uint(stored))
#define VALUES(stored) bfloat_values(stored)
#endif

/// Quads of a row, or columns if a row is no whole quads.
uint row_steps(uint columns) { return columns % 4 == 0 ? columns / 4 : columns; }

void write_step(uint row, uint step, uint to) {
  if (size.columns % 4 == 0) {
    y_quads[to / 4 + step] = VALUES(table_quads[row * (size.columns / 4) + step]);
  } else {
    y[to + step] = VALUE(table[row * size.columns + step]);
  }
}

#endif

/// Writes row `row` of the table, or NaN if there is none, to the row of y that begins at `to`.
void write_row(uint row, uint to) {
  if (row >= size.vocabulary) {
    for (uint i = gl_LocalInvocationID.x; i < size.columns; i += local_size)
      y[to + i] = kNan;
    return;
  }
  const uint steps = row_steps(size.columns);
  for (uint i = gl_LocalInvocationID.x; i < steps; i += local_size) write_step(row, i, to);
}

void main() {
#ifdef ONE_TOKEN
  if (gl_WorkGroupID.x == 0) write_row(size.token, 0);
#else
  const uint at = gl_WorkGroupID.x;
  if (at < size.tokens) write_row(tokens[at], at * size.columns);
#endif
}
