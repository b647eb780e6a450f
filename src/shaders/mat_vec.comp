// SPDX-License-Identifier: Apache-2.0
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

// Products of a matrix with few tokens, "mat_vec_*", and what base::FusedMatVecParams lists for one
// token. Compiled with the form of the weights (products/weights.glsl) and
//
//   FUSED       the arguments of a fused product; else those of "mat_vec_*", any number of tokens
//   MATRICES=n  1, 2 or 3 matrices that share their activations, each with a result
//   SILU_MUL    one result of two matrices of one shape, gate and up
//   ADD         a residual is added
//   NORM        the activations are normalised first
//   APPEND      the results are what attention reads (products/rope_kv_append.glsl)
//
//   ROWS        rows whose sums a thread makes at once, a power of two
//
// lanes_per_row threads share ROWS rows, each thread a unit of every lanes_per_row: all threads of
// a group together ask for much memory at once, without which no GPU reads at full speed. Weights
// are on their way before the group normalises the activations, which would delay them.

#if !defined(ROWS)
#define ROWS 4
#endif
#if !defined(LOCAL_SIZE)
#define LOCAL_SIZE 256
#endif

layout(local_size_x = LOCAL_SIZE, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = LOCAL_SIZE;
/// A power of two from 8 to local_size. The order of additions depends on it alone: all kernels of
/// a form need the same to give the same bits.
layout(constant_id = 1) const uint lanes_per_row = 128;
const uint items_per_group = ROWS * (local_size / lanes_per_row);

#if defined(SILU_MUL)
#define MATRICES 1
#define SUMS (2 * ROWS)
#else
#define SUMS ROWS
#endif

#include "products/weights.glsl"
#include "products/activations.glsl"
#include "products/sums.glsl"

#if defined(SILU_MUL)
WEIGHTS(0, gate)
WEIGHTS(1, up)
#define X 2
#elif MATRICES == 1
WEIGHTS(0, weights)
#define X 1
#else
WEIGHTS(0, w0)
WEIGHTS(1, w1)
#if MATRICES == 3
WEIGHTS(2, w2)
#endif
#define X MATRICES
#endif

layout(binding = X, std430) readonly buffer x_block { vec4 vectors[]; } x;
#if defined(NORM)
layout(binding = X + 1, std430) readonly buffer norm_weight_block { vec4 vectors[]; } norm_weight;
#define Y (X + 2)
#elif defined(ADD)
layout(binding = X + 1, std430) readonly buffer residual_block { float data[]; } residual;
#define Y (X + 2)
#else
#define Y (X + 1)
#endif

#if defined(APPEND)
#include "products/rope_kv_append.glsl"
#elif MATRICES == 1
layout(binding = Y, std430) writeonly buffer y_block { float data[]; } y;
#define SIZE (Y + 1)
#else
layout(binding = Y, std430) writeonly buffer y0_block { float data[]; } y0;
layout(binding = Y + 1, std430) writeonly buffer y1_block { float data[]; } y1;
#if MATRICES == 3
layout(binding = Y + 2, std430) writeonly buffer y2_block { float data[]; } y2;
#endif
#define SIZE (Y + MATRICES)
#endif

#if defined(APPEND)
// Declared with the results.
#elif defined(FUSED)
layout(binding = SIZE) uniform size_block {
  uint rows0, rows1, rows2, columns;
  float epsilon;
} size;
#else
layout(binding = SIZE) uniform size_block { uint tokens, rows, columns; } size;
#endif

#if defined(SILU_MUL)
#include "common/math.glsl"
#endif
#if defined(NORM)
#include "common/rms_norm.glsl"

float norm_scale;

/// Adds up the squares in the order of "rms_norm_weighted".
void find_norm_scale(uint thread) {
  const uint quads = size.columns / 4;
  for (uint lane = thread; lane < kNormLanes; lane += local_size) {
    float squares = 0.0;
    for (uint quad = lane; quad < quads; quad += kNormLanes)
      squares = add_squares(squares, x.vectors[quad]);
    if (lane == quads % kNormLanes) {
      for (uint i = 0; i < size.columns % 4; ++i)
        squares = add_square(squares, x.vectors[quads][i]);
    }
    keep_squares(lane, squares);
  }
  norm_scale = rms_norm_scale(size.columns, size.epsilon);
}

#endif

/// What becomes the activations of a unit.
struct Inputs {
  vec4 x[UNIT_VECTORS];
#if defined(NORM)
  vec4 weight[UNIT_VECTORS];
#endif
};

/// @param begin  First vector of the unit in x.
Inputs load_inputs(uint begin) {
  Inputs inputs;
#if defined(NORM)
  [[unroll]] for (uint i = 0; i < UNIT_VECTORS; ++i)
    inputs.weight[i] = norm_weight.vectors[begin + i];
#endif
  [[unroll]] for (uint i = 0; i < UNIT_VECTORS; ++i) inputs.x[i] = x.vectors[begin + i];
  return inputs;
}

Activations activations_of(Inputs inputs) {
#if defined(NORM)
  [[unroll]] for (uint i = 0; i < UNIT_VECTORS; ++i) {
    precise const vec4 normalised = inputs.x[i] * norm_scale * inputs.weight[i];
    inputs.x[i] = normalised;
  }
#endif
  return prepare(inputs.x);
}

/// A single activation, for rows that are no whole units.
float activation(uint i) {
  const float value = x.vectors[i / 4][i % 4];
#if defined(NORM)
  precise const float normalised = value * norm_scale * norm_weight.vectors[i / 4][i % 4];
  return normalised;
#else
  return value;
#endif
}

/// Rows that a set of threads makes: ROWS of `matrix` from `first` on; of both where two are gated.
struct Rows {
  uint matrix, first;
  Shape shape;
};

#if defined(APPEND)
/// What turns the pair that this thread finishes first: worked out while weights are on their way.
vec2 first_turn;

void find_turn(Rows rows, uint thread) {
  const uint first = rows.first - thread / lanes_per_row * ROWS;
  const uint place = thread / 8 * 2;
  if (place < items_per_group) first_turn = turn_of(rows.matrix, first + place);
}
#endif

/// Rows behind the last are read as the last.
#define LOAD_ROWS(name, from)                                                       \
  [[unroll]] for (uint r = 0; r < ROWS; ++r)                                        \
    w[from + r] = load_##name(min(rows.first + r, rows.shape.rows - 1), unit, rows.shape);

void load_rows(Rows rows, uint unit, out Unit w[SUMS]) {
#if defined(SILU_MUL)
  LOAD_ROWS(gate, 0)
  LOAD_ROWS(up, ROWS)
#elif MATRICES == 1
  LOAD_ROWS(weights, 0)
#else
  if (rows.matrix == 0) {
    LOAD_ROWS(w0, 0)
  } else if (rows.matrix == 1) {
    LOAD_ROWS(w1, 0)
  }
#if MATRICES == 3
  else {
    LOAD_ROWS(w2, 0)
  }
#endif
#endif
}

#if defined(HAS_ANY_COLUMNS)
float element_of(Rows rows, uint sum, uint column) {
  const uint row = min(rows.first + sum % ROWS, rows.shape.rows - 1);
#if defined(SILU_MUL)
  return sum < ROWS ? element_gate(row, column, rows.shape) : element_up(row, column, rows.shape);
#elif MATRICES == 1
  return element_weights(row, column, rows.shape);
#else
  if (rows.matrix == 0) return element_w0(row, column, rows.shape);
#if MATRICES == 3
  if (rows.matrix == 2) return element_w2(row, column, rows.shape);
#endif
  return element_w1(row, column, rows.shape);
#endif
}
#endif

/// Units of a row; 0 where rows are no whole units, and columns are multiplied one by one.
uint units_of(Shape shape) {
  return shape.columns % UNIT_COLUMNS == 0 ? shape.columns / UNIT_COLUMNS : 0;
}

/// Whether activations are loaded together with the weights, or after the norm: those of many
/// columns would take the registers of other groups.
#if !defined(NORM) || UNIT_VECTORS <= 2
#define EARLY_INPUTS
#endif

/// This thread's part of the sums of `rows` for one token.
void multiply_token(Rows rows, uint lane, out float sums[SUMS]) {
  [[unroll]] for (uint i = 0; i < SUMS; ++i) sums[i] = 0.0;
  const uint units = units_of(rows.shape);
  Unit w[SUMS];
  Inputs inputs;
  uint unit = lane;
  if (unit < units) {
    load_rows(rows, unit, w);
#if defined(EARLY_INPUTS)
    inputs = load_inputs(unit * UNIT_VECTORS);
#endif
  }
#if defined(APPEND)
  find_turn(rows, thread_index());
#endif
#if defined(NORM)
  find_norm_scale(thread_index());
#endif
  while (unit < units) {
#if !defined(EARLY_INPUTS)
    inputs = load_inputs(unit * UNIT_VECTORS);
#endif
    const Activations values = activations_of(inputs);
    [[unroll]] for (uint i = 0; i < SUMS; ++i) sums[i] = multiply(w[i], values, sums[i]);
    unit += lanes_per_row;
    if (unit < units) {
      load_rows(rows, unit, w);
#if defined(EARLY_INPUTS)
      inputs = load_inputs(unit * UNIT_VECTORS);
#endif
    }
  }
#if defined(HAS_ANY_COLUMNS)
  if (units != 0) return;
  [[dont_unroll]] for (uint c = lane; c < rows.shape.columns; c += lanes_per_row) {
    const float value = activation(c);
    [[unroll]] for (uint i = 0; i < SUMS; ++i)
      sums[i] = fma(element_of(rows, i, c), value, sums[i]);
  }
#endif
}

#if !defined(FUSED)
/// Tokens that share the weights in registers.
#define TOKENS 4

/// The same for TOKENS tokens from `token` on; those behind the last count as the last.
void multiply_batch(Rows rows, uint token, uint lane, out float sums[TOKENS][SUMS]) {
  [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
    [[unroll]] for (uint i = 0; i < SUMS; ++i) sums[t][i] = 0.0;
  }
  const uint last = size.tokens - 1;
  const uint units = units_of(rows.shape);
  [[dont_unroll]] for (uint unit = lane; unit < units; unit += lanes_per_row) {
    Unit w[SUMS];
    load_rows(rows, unit, w);
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      const uint begin = (min(token + t, last) * units + unit) * UNIT_VECTORS;
      const Activations values = activations_of(load_inputs(begin));
      [[unroll]] for (uint i = 0; i < SUMS; ++i) sums[t][i] = multiply(w[i], values, sums[t][i]);
    }
  }
#if defined(HAS_ANY_COLUMNS)
  if (units != 0) return;
  [[dont_unroll]] for (uint c = lane; c < rows.shape.columns; c += lanes_per_row) {
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      const float value = activation(min(token + t, last) * rows.shape.columns + c);
      [[unroll]] for (uint i = 0; i < SUMS; ++i)
        sums[t][i] = fma(element_of(rows, i, c), value, sums[t][i]);
    }
  }
#endif
}

/// The group's rows, TOKENS tokens at a time.
///
/// @param first  First row of the group.
void multiply_tokens(Rows rows, uint first, uint set, uint lane) {
  [[dont_unroll]] for (uint token = 0; token < size.tokens; token += TOKENS) {
    float sums[TOKENS][SUMS];
    multiply_batch(rows, token, lane, sums);
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      share_sums(sums[t], set, lane);
      barrier();
      for (uint place = thread_index() / 8; place < items_per_group; place += local_size / 8) {
        if (first + place >= size.rows || token + t >= size.tokens) break;
        const float sum = whole_sum(place / ROWS, place % ROWS);
        if (gl_SubgroupInvocationID % 8 == 0)
          y.data[(token + t) * size.rows + first + place] = sum;
      }
      barrier();
    }
  }
}
#endif

#if defined(APPEND)
/// Whether an octet has several pairs to finish. Where not, a compiler sees that it needs to work
/// out rotations in one place only.
const bool several_pairs = local_size / 4 < items_per_group;

/// Finishes the rows of the group, two at a time by the threads of an octet.
///
/// @param first  First row of the group.
void finish_pairs(Rows rows, uint first, uint thread) {
  vec2 turn = first_turn;
  for (uint place = thread / 8 * 2; place < items_per_group; place += local_size / 4) {
    if (first + place >= rows.shape.rows) break;
    if (several_pairs && place != thread / 8 * 2) turn = turn_of(rows.matrix, first + place);
    const uint set = place / ROWS;
    const vec2 sums = vec2(whole_sum(set, place % ROWS), whole_sum(set, place % ROWS + 1));
    store_pair(rows.matrix, first + place, rows.shape.rows, sums, turn);
  }
}
#else

/// What becomes of the sums of a row, which the threads of an octet finish.
///
/// @param place   Which row of the group it is.
/// @param addend  Its residual.
void finish_row(uint matrix, uint row, uint place, float addend) {
  precise float sum = whole_sum(place / ROWS, place % ROWS);
#if defined(SILU_MUL)
  sum = silu(sum) * whole_sum(place / ROWS, ROWS + place % ROWS);
#elif defined(ADD)
  sum = addend + sum;
#endif
  if (gl_SubgroupInvocationID % 8 != 0) return;  // All eight have the sum.
#if MATRICES == 1
  y.data[row] = sum;
#else
  if (matrix == 0) y0.data[row] = sum;
  if (matrix == 1) y1.data[row] = sum;
#if MATRICES == 3
  if (matrix == 2) y2.data[row] = sum;
#endif
#endif
}

float residual_of(uint row) {
#if defined(ADD)
  return residual.data[row];
#else
  return 0.0;
#endif
}

#endif

uint groups_of(uint rows) { return (rows + items_per_group - 1) / items_per_group; }

void main() {
  const uint thread = thread_index();
  const uint set = thread / lanes_per_row;
  const uint lane = thread % lanes_per_row;
  uint group = gl_WorkGroupID.x;
  Rows rows;
  rows.matrix = 0;
#if defined(FUSED)
  rows.shape = Shape(size.rows0, size.columns);
#else
  rows.shape = Shape(size.rows, size.columns);
#endif
#if MATRICES > 1
  if (group >= groups_of(size.rows0)) {
    group -= groups_of(size.rows0);
    rows.matrix = 1;
    rows.shape.rows = size.rows1;
  }
#endif
#if MATRICES == 3
  if (rows.matrix == 1 && group >= groups_of(size.rows1)) {
    group -= groups_of(size.rows1);
    rows.matrix = 2;
    rows.shape.rows = size.rows2;
  }
#endif
  rows.first = group * items_per_group + set * ROWS;

  const uint first = group * items_per_group;
#if !defined(FUSED)
  if (size.tokens != 1) {
    multiply_tokens(rows, first, set, lane);
    return;
  }
#endif
#if defined(APPEND)
  float sums[SUMS];
  multiply_token(rows, lane, sums);
  share_sums(sums, set, lane);
  barrier();
  finish_pairs(rows, first, thread);
#else
  // An octet finishes a row, or several where there are few threads.
  const uint mine = thread / 8;
  float addend = 0.0;
  if (mine < items_per_group && first + mine < rows.shape.rows) addend = residual_of(first + mine);
  float sums[SUMS];
  multiply_token(rows, lane, sums);
  share_sums(sums, set, lane);
  barrier();
  for (uint place = mine; place < items_per_group; place += local_size / 8) {
    if (first + place >= rows.shape.rows) break;
    if (place != mine) addend = residual_of(first + place);
    finish_row(rows.matrix, first + place, place, addend);
  }
#endif
}
