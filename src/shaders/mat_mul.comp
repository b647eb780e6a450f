// SPDX-License-Identifier: Apache-2.0
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_shader_subgroup_basic : require

// "mat_mul_*": "mat_vec_*" for many tokens. A group makes a tile of items_per_group rows and
// batch_per_group tokens; a thread eight rows of it by four tokens, with sums in registers. Both
// operands pass through shared memory, kDepth columns at a time, while the next ones are on their
// way. Each sum adds column after column, wherever the tile lies.

layout(local_size_x = 128) in;
layout(constant_id = 1) const uint items_per_group = 64;
layout(constant_id = 2) const uint batch_per_group = 64;
const uint kThreads = 128;
const uint kDepth = 32;

#include "products/weights.glsl"

WEIGHTS(0, weights)
layout(binding = 1, std430) readonly buffer x_block { vec4 vectors[]; } x;
layout(binding = 2, std430) writeonly buffer y_block { float data[]; } y;
layout(binding = 3) uniform size_block { uint tokens, rows, columns; } size;

/// By column, four rows or tokens a vector; place_of() tells which.
shared vec4 weight_tile[kDepth][16];
shared vec4 x_tile[kDepth][16];

/// Where the four rows or tokens from 4 * `four` on are in a column: such that neither the threads
/// that write different columns nor those that read one column meet in a bank.
uint place_of(uint column, uint four) { return four ^ column / 4 % 8; }

const uint kRowUnits = kDepth / UNIT_COLUMNS;
const uint kTileUnits = 64 * kRowUnits;
const uint kUnitsEach = (kTileUnits + kThreads - 1) / kThreads;
const uint kVectorsEach = 64 * (kDepth / 4) / kThreads;

/// What a thread moves into the tiles.
struct Batch {
  Unit w[kUnitsEach];
  vec4 x[kVectorsEach];
};

uint first_row() { return gl_WorkGroupID.x * items_per_group; }
uint first_token() { return gl_WorkGroupID.y * batch_per_group; }

void load(uint column, uint thread, out Batch batch) {
  const Shape shape = Shape(size.rows, size.columns);
  const uint units = size.columns / UNIT_COLUMNS;
  [[unroll]] for (uint i = 0; i < kUnitsEach; ++i) {
    const uint n = i * kThreads + thread;
    if (n >= kTileUnits) break;
    const uint row = min(first_row() + n / kRowUnits, size.rows - 1);
    const uint unit = min(column / UNIT_COLUMNS + n % kRowUnits, units - 1);
    batch.w[i] = load_weights(row, unit, shape);
  }
  const uint vectors = size.columns / 4;
  [[unroll]] for (uint i = 0; i < kVectorsEach; ++i) {
    const uint n = i * kThreads + thread;
    const uint token = min(first_token() + n / (kDepth / 4), size.tokens - 1);
    const uint c = column / 4 + n % (kDepth / 4);
    batch.x[i] = c < vectors ? x.vectors[token * vectors + c] : vec4(0.0);
  }
}

/// Columns behind the last one meet activations that are zero; weights are only read again.
void store_tiles(uint thread, Batch batch) {
  [[unroll]] for (uint i = 0; i < kUnitsEach; ++i) {
    const uint n = i * kThreads + thread;
    if (n >= kTileUnits) break;
    const uint row = n / kRowUnits;
    const float scale = scale_of(batch.w[i]);
    [[unroll]] for (uint v = 0; v < UNIT_VECTORS; ++v) {
      const vec4 four = four_columns(batch.w[i], v) * scale;
      const uint column = n % kRowUnits * UNIT_COLUMNS + v * 4;
      [[unroll]] for (uint j = 0; j < 4; ++j)
        weight_tile[column + j][place_of(column, row / 4)][row % 4] = four[j];
    }
  }
  [[unroll]] for (uint i = 0; i < kVectorsEach; ++i) {
    const uint n = i * kThreads + thread;
    const uint token = n / (kDepth / 4);
    const uint column = n % (kDepth / 4) * 4;
    [[unroll]] for (uint j = 0; j < 4; ++j)
      x_tile[column + j][place_of(column, token / 4)][token % 4] = batch.x[i][j];
  }
}

#if defined(HAS_ANY_COLUMNS)
/// Both of the above for rows that are no whole units.
void store_elements(uint first, uint thread) {
  const Shape shape = Shape(size.rows, size.columns);
  [[dont_unroll]] for (uint n = thread; n < 64 * kDepth; n += kThreads) {
    const uint line = n / kDepth;
    const uint column = n % kDepth;
    const uint c = min(first + column, size.columns - 1);
    const uint row = min(first_row() + line, size.rows - 1);
    const uint i = min(first_token() + line, size.tokens - 1) * size.columns + c;
    const float value = first + column < size.columns ? x.vectors[i / 4][i % 4] : 0.0;
    weight_tile[column][place_of(column, line / 4)][line % 4] = element_weights(row, c, shape);
    x_tile[column][place_of(column, line / 4)][line % 4] = value;
  }
}
#endif

/// Adds what the tiles hold: rows 4 * `row_four` on and 32 further, tokens 4 * `token_four` on.
void multiply_tiles(uint row_four, uint token_four, inout vec4 sums[8]) {
  [[dont_unroll]] for (uint column = 0; column < kDepth; column += 4) {
    const uint row_place = place_of(column, row_four);
    const uint token_place = place_of(column, token_four);
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      const vec4 low = weight_tile[column + j][row_place];
      const vec4 high = weight_tile[column + j][row_place ^ 8];
      const vec4 tokens = x_tile[column + j][token_place];
      [[unroll]] for (uint r = 0; r < 4; ++r) {
        sums[r] = fma(vec4(low[r]), tokens, sums[r]);
        sums[r + 4] = fma(vec4(high[r]), tokens, sums[r + 4]);
      }
    }
  }
}

void main() {
  const uint thread = gl_LocalInvocationIndex;
  const uint row_four = thread % 8;
  const uint token_four = thread / 8;
  vec4 sums[8];
  [[unroll]] for (uint i = 0; i < 8; ++i) sums[i] = vec4(0.0);

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
    multiply_tiles(row_four, token_four, sums);
    barrier();
  }

  [[unroll]] for (uint t = 0; t < 4; ++t) {
    const uint token = first_token() + token_four * 4 + t;
    if (token >= size.tokens) break;
    [[unroll]] for (uint r = 0; r < 8; ++r) {
      const uint row = first_row() + row_four * 4 + (r < 4 ? r : r + 28);
      if (row < size.rows) y.data[token * size.rows + row] = sums[r][t];
    }
  }
}
