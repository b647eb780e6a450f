// SPDX-License-Identifier: Apache-2.0
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_NV_cooperative_matrix : require

// "mat_mul_*_half": "mat_mul_*" on matrix units, which multiply F16 and add in F32. An activation
// is the sum of two F16 numbers, so that nothing is lost of it; weights are rounded to F16, which
// all of FORM_F16 are. Activations beyond 131,000 become infinite.
//
// A group of eight subgroups makes a tile of items_per_group rows and batch_per_group tokens, a
// subgroup 64 rows of it by 32 tokens. Both operands pass through shared memory, kDepth columns at
// a time, while the next ones are on their way.

layout(local_size_x = 256) in;
layout(constant_id = 1) const uint items_per_group = 128;
layout(constant_id = 2) const uint batch_per_group = 128;
const uint kThreads = 256;
const uint kTile = 128;
const uint kDepth = 32;

#include "products/weights.glsl"

WEIGHTS(0, weights)
layout(binding = 1, std430) readonly buffer x_block { vec4 vectors[]; } x;
layout(binding = 2, std430) writeonly buffer y_block { float data[]; } y;
layout(binding = 3) uniform size_block { uint tokens, rows, columns; } size;

#define MATRIX_SIZE 16
#define HALVES fcoopmatNV<16, gl_ScopeSubgroup, MATRIX_SIZE, MATRIX_SIZE>
#define FLOATS fcoopmatNV<32, gl_ScopeSubgroup, MATRIX_SIZE, MATRIX_SIZE>

/// Eight halves a vector; a line is kDepth columns of a row or token, and padding, with which the
/// lines of a matrix start in different banks.
const uint kLine = kDepth / 8 + 1;
shared uvec4 weight_tile[kTile * kLine];
shared uvec4 x_tile[kTile * kLine];
shared uvec4 x_rest_tile[kTile * kLine];
/// Sums of a subgroup on their way to rows or tokens of which the matrix has not all.
shared float ragged[kThreads / 32 * MATRIX_SIZE * MATRIX_SIZE];

const uint kRowUnits = kDepth / UNIT_COLUMNS;
const uint kTileUnits = kTile * kRowUnits;
const uint kUnitsEach = (kTileUnits + kThreads - 1) / kThreads;
const uint kEights = kDepth / 8;
const uint kEightsEach = kTile * kEights / kThreads;

/// What a thread moves into the tiles.
struct Batch {
  Unit w[kUnitsEach];
  vec4 x[2 * kEightsEach];
};

uint first_row() { return gl_WorkGroupID.x * items_per_group; }
uint first_token() { return gl_WorkGroupID.y * batch_per_group; }

void load(uint column, uint thread, out Batch batch) {
  const Shape shape = Shape(size.rows, size.columns);
  const uint units = size.columns / UNIT_COLUMNS;
  [[unroll]] for (uint i = 0; i < kUnitsEach; ++i) {
    const uint n = i * kThreads + thread;
    const uint row = min(first_row() + n / kRowUnits, size.rows - 1);
    const uint unit = min(column / UNIT_COLUMNS + n % kRowUnits, units - 1);
    batch.w[i] = load_weights(row, unit, shape);
  }
  const uint eights = size.columns / 8;
  [[unroll]] for (uint i = 0; i < kEightsEach; ++i) {
    const uint n = i * kThreads + thread;
    const uint token = min(first_token() + n / kEights, size.tokens - 1);
    const uint c = column / 8 + n % kEights;
    const bool inside = c < eights;
    batch.x[2 * i] = inside ? x.vectors[(token * eights + c) * 2] : vec4(0.0);
    batch.x[2 * i + 1] = inside ? x.vectors[(token * eights + c) * 2 + 1] : vec4(0.0);
  }
}

uvec2 to_halves(vec4 values) {
  return uvec2(packHalf2x16(values.xy), packHalf2x16(values.zw));
}
/// The bits of `values` that a half has too. (Their conversion to halves and back would do, but
/// for a driver that takes this for the identity.)
vec4 leading_bits(vec4 values) {
  return uintBitsToFloat(floatBitsToUint(clamp(values, -65504.0, 65504.0)) & 0xFFFFE000u);
}
/// Eight activations as halves, and what these lack.
void split(vec4 a, vec4 b, out uvec4 whole, out uvec4 rest) {
  const vec4 leading_a = leading_bits(a);
  const vec4 leading_b = leading_bits(b);
  whole = uvec4(to_halves(leading_a), to_halves(leading_b));
  rest = uvec4(to_halves(a - leading_a), to_halves(b - leading_b));
}

/// Columns behind the last one meet activations that are zero; weights are only read again.
void store_tiles(uint thread, Batch batch) {
  [[unroll]] for (uint i = 0; i < kUnitsEach; ++i) {
    const uint n = i * kThreads + thread;
    if (n >= kTileUnits) break;
    const uint place = n / kRowUnits * kLine + n % kRowUnits * (UNIT_COLUMNS / 8);
#if defined(FORM_F16)
    weight_tile[place] = batch.w[i].bits;
#else
    const float scale = scale_of(batch.w[i]);
    [[unroll]] for (uint v = 0; v < UNIT_VECTORS; v += 2) {
      weight_tile[place + v / 2] = uvec4(to_halves(four_columns(batch.w[i], v) * scale),
                                         to_halves(four_columns(batch.w[i], v + 1) * scale));
    }
#endif
  }
  [[unroll]] for (uint i = 0; i < kEightsEach; ++i) {
    const uint n = i * kThreads + thread;
    const uint place = n / kEights * kLine + n % kEights;
    split(batch.x[2 * i], batch.x[2 * i + 1], x_tile[place], x_rest_tile[place]);
  }
}

#if defined(HAS_ANY_COLUMNS)
/// Both of the above for rows that are no whole units.
void store_elements(uint first, uint thread) {
  const Shape shape = Shape(size.rows, size.columns);
  [[dont_unroll]] for (uint n = thread; n < kTile * kEights; n += kThreads) {
    const uint row = min(first_row() + n / kEights, size.rows - 1);
    const uint token = min(first_token() + n / kEights, size.tokens - 1);
    vec4 w[2];
    vec4 values[2];
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      const uint column = first + n % kEights * 8 + i;
      const uint c = min(column, size.columns - 1);
      const uint at = token * size.columns + c;
      w[i / 4][i % 4] = element_weights(row, c, shape);
      values[i / 4][i % 4] = column < size.columns ? x.vectors[at / 4][at % 4] : 0.0;
    }
    const uint place = n / kEights * kLine + n % kEights;
    weight_tile[place] = uvec4(to_halves(w[0]), to_halves(w[1]));
    split(values[0], values[1], x_tile[place], x_rest_tile[place]);
  }
}
#endif

/// Adds what the tiles hold, a row of `sums` for 16 tokens, a column for 16 rows.
void multiply_tiles(uint row, uint token, inout FLOATS sums[2][4]) {
  [[unroll]] for (uint eight = 0; eight < kEights; eight += MATRIX_SIZE / 8) {
    HALVES w[4];
    [[unroll]] for (uint r = 0; r < 4; ++r)
      coopMatLoadNV(w[r], weight_tile, (row + MATRIX_SIZE * r) * kLine + eight, kLine, true);
    [[unroll]] for (uint t = 0; t < 2; ++t) {
      const uint place = (token + MATRIX_SIZE * t) * kLine + eight;
      HALVES values, rest;
      coopMatLoadNV(values, x_tile, place, kLine, false);
      coopMatLoadNV(rest, x_rest_tile, place, kLine, false);
      [[unroll]] for (uint r = 0; r < 4; ++r) {
        sums[t][r] = coopMatMulAddNV(values, w[r], sums[t][r]);
        sums[t][r] = coopMatMulAddNV(rest, w[r], sums[t][r]);
      }
    }
  }
}

/// Writes 16 tokens by 16 rows, or those that the matrices have.
void store(FLOATS sums, uint row, uint token) {
  if (token + MATRIX_SIZE <= size.tokens && row + MATRIX_SIZE <= size.rows && size.rows % 4 == 0) {
    coopMatStoreNV(sums, y.data, token * size.rows + row, size.rows, false);
    return;
  }
  const uint begin = gl_SubgroupID * (MATRIX_SIZE * MATRIX_SIZE);
  subgroupBarrier();
  coopMatStoreNV(sums, ragged, begin, MATRIX_SIZE, false);
  subgroupBarrier();
  for (uint i = gl_SubgroupInvocationID; i < MATRIX_SIZE * MATRIX_SIZE; i += gl_SubgroupSize) {
    const uint t = token + i / MATRIX_SIZE;
    const uint r = row + i % MATRIX_SIZE;
    if (t < size.tokens && r < size.rows) y.data[t * size.rows + r] = ragged[begin + i];
  }
}

void main() {
  const uint thread = gl_LocalInvocationIndex;
  const uint row = gl_SubgroupID % 2 * 64;
  const uint token = gl_SubgroupID / 2 * 32;
  FLOATS sums[2][4];
  [[unroll]] for (uint t = 0; t < 2; ++t) {
    [[unroll]] for (uint r = 0; r < 4; ++r) sums[t][r] = FLOATS(0.0);
  }

  const bool whole = size.columns % UNIT_COLUMNS == 0;
  Batch batch;
  if (whole && size.columns != 0) load(0, thread, batch);
  [[dont_unroll]] for (uint column = 0; column < size.columns; column += kDepth) {
#if defined(HAS_ANY_COLUMNS)
    if (!whole) store_elements(column, thread);
#endif
    if (whole) store_tiles(thread, batch);
    barrier();
    if (whole && column + kDepth < size.columns) load(column + kDepth, thread, batch);
    multiply_tiles(row, token, sums);
    barrier();
  }

  [[unroll]] for (uint t = 0; t < 2; ++t) {
    [[unroll]] for (uint r = 0; r < 4; ++r) {
      store(sums[t][r], first_row() + row + MATRIX_SIZE * r,
            first_token() + token + MATRIX_SIZE * t);
    }
  }
}
