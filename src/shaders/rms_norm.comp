// SPDX-License-Identifier: Apache-2.0
//
// rms_norm, rms_norm_weighted (WEIGHTED), add_rms_norm (ADD), add_rms_norm_weighted (both): a group
// makes one row. Threads hold what they add up, so that rows of up to 4,096 columns are read once;
// weights are on their way while the group waits for its sum.
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#include "common/rms_norm.glsl"
#include "common/reduce.glsl"

layout(local_size_x = 256) in;

#ifdef ADD
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 0) readonly buffer AQuads { vec4 a_quads[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 1) readonly buffer BQuads { vec4 b_quads[]; };
#define X_COUNT 2
#define INPUT(i) (a[i] + b[i])
#define INPUT_QUAD(i) (a_quads[i] + b_quads[i])
#else
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer XQuads { vec4 x_quads[]; };
#define X_COUNT 1
#define INPUT(i) x[i]
#define INPUT_QUAD(i) x_quads[i]
#endif

#ifdef WEIGHTED
layout(std430, binding = X_COUNT) readonly buffer Weight { float weight[]; };
layout(std430, binding = X_COUNT) readonly buffer WeightQuads { vec4 weight_quads[]; };
#define READ_COUNT (X_COUNT + 1)
#define WEIGHT(i) weight[i]
#define WEIGHT_QUAD(i) weight_quads[i]
#else
#define READ_COUNT X_COUNT
#define WEIGHT(i) 1.0
#define WEIGHT_QUAD(i) vec4(1.0)
#endif

#ifdef ADD
layout(std430, binding = READ_COUNT) writeonly buffer Sum { float sum[]; };
layout(std430, binding = READ_COUNT) writeonly buffer SumQuads { vec4 sum_quads[]; };
#define Y_BINDING (READ_COUNT + 1)
#else
#define Y_BINDING READ_COUNT
#endif
layout(std430, binding = Y_BINDING) writeonly buffer Y { float y[]; };
layout(std430, binding = Y_BINDING) writeonly buffer YQuads { vec4 y_quads[]; };
layout(std140, binding = Y_BINDING + 1) uniform Size {
  uint rows;
  uint columns;
  float epsilon;
} size;

/// Quads that a lane holds from one pass to the next.
const uint kHeld = 4;

void write_quad(uint at, vec4 x, vec4 weight, float scale) {
#ifdef ADD
  sum_quads[at] = x;
#endif
  precise const vec4 scaled = x * scale;
  y_quads[at] = scaled * weight;
}

/// Rows of whole quads; the first has number `begin`.
void norm_quads(uint begin) {
  const uint lane = thread_index();
  const uint quads = size.columns / 4;
  vec4 held[kHeld];
  [[unroll]] for (uint k = 0; k < kHeld; ++k) {
    const uint quad = lane + k * kNormLanes;
    held[k] = vec4(0.0);
    if (quad < quads) held[k] = INPUT_QUAD(begin + quad);
  }
  vec4 weights[kHeld];
  [[unroll]] for (uint k = 0; k < kHeld; ++k) {
    const uint quad = lane + k * kNormLanes;
    weights[k] = vec4(0.0);
    if (quad < quads) weights[k] = WEIGHT_QUAD(quad);
  }

  float squares = 0.0;
  [[unroll]] for (uint k = 0; k < kHeld; ++k) squares = add_squares(squares, held[k]);
  for (uint quad = lane + kHeld * kNormLanes; quad < quads; quad += kNormLanes)
    squares = add_squares(squares, INPUT_QUAD(begin + quad));
  keep_squares(lane, squares);
  const float scale = rms_norm_scale(size.columns, size.epsilon);

  [[unroll]] for (uint k = 0; k < kHeld; ++k) {
    const uint quad = lane + k * kNormLanes;
    if (quad < quads) write_quad(begin + quad, held[k], weights[k], scale);
  }
  for (uint quad = lane + kHeld * kNormLanes; quad < quads; quad += kNormLanes)
    write_quad(begin + quad, INPUT_QUAD(begin + quad), WEIGHT_QUAD(quad), scale);
}

/// Rows of any length; the first column has number `begin`.
void norm_columns(uint begin) {
  const uint lane = thread_index();
  float squares = 0.0;
  for (uint column = 4 * lane; column < size.columns; column += 4 * kNormLanes) {
    const uint end = min(column + 4, size.columns);
    for (uint c = column; c < end; ++c) squares = add_square(squares, INPUT(begin + c));
  }
  keep_squares(lane, squares);
  const float scale = rms_norm_scale(size.columns, size.epsilon);

  for (uint c = lane; c < size.columns; c += kNormLanes) {
    const float x = INPUT(begin + c);
#ifdef ADD
    sum[begin + c] = x;
#endif
    precise const float scaled = x * scale;
    y[begin + c] = scaled * WEIGHT(c);
  }
}

void main() {
  const uint row = gl_WorkGroupID.x;
  if (row >= size.rows) return;
  if (size.columns % 4 == 0) {
    norm_quads(row * (size.columns / 4));
  } else {
    norm_columns(row * size.columns);
  }
}
