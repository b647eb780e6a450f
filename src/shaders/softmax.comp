// SPDX-License-Identifier: Apache-2.0
//
// softmax: a group makes one row, in two passes. The first keeps, for each thread, the largest
// value so far and the sum of the powers relative to it (Milakov & Gimelshein, "Online normalizer
// calculation for softmax", 2018).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common/math.glsl"
#include "common/reduce.glsl"

layout(local_size_x = 512, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 512;

layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer XQuads { vec4 x_quads[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, binding = 1) writeonly buffer YQuads { vec4 y_quads[]; };
layout(std140, binding = 2) uniform Size {
  uint rows;
  uint columns;
} size;

/// Less than any logit, and not infinite: differences of two are numbers.
const float kLeast = -3.4e38;

vec4 exponentials(vec4 v) {
  return vec4(exponential(v.x), exponential(v.y), exponential(v.z), exponential(v.w));
}

/// The largest value so far, and the sum of e^(value - largest).
struct Powers {
  float largest;
  float sum;
};

void add_quad(inout Powers powers, vec4 v) {
  const float largest = max(max(max(v.x, v.y), max(v.z, v.w)), powers.largest);
  const vec4 e = exponentials(v - largest);
  powers.sum = powers.sum * exponential(powers.largest - largest) + ((e.x + e.y) + (e.z + e.w));
  powers.largest = largest;
}

void add_one(inout Powers powers, float v) {
  const float largest = max(v, powers.largest);
  powers.sum = powers.sum * exponential(powers.largest - largest) + exponential(v - largest);
  powers.largest = largest;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  if (row >= size.rows) return;
  const uint begin = row * size.columns;
  const bool whole = size.columns % 4 == 0;
  const uint quads = whole ? size.columns / 4 : 0;
  const uint rest = whole ? size.columns : 0;  // columns from here on go one by one

  Powers mine = Powers(kLeast, 0.0);
  for (uint i = thread_index(); i < quads; i += local_size)
    add_quad(mine, x_quads[begin / 4 + i]);
  for (uint i = rest + thread_index(); i < size.columns; i += local_size)
    add_one(mine, x[begin + i]);

  const float largest = group_max(mine.largest);
  const float sum = group_sum(mine.sum * exponential(mine.largest - largest));
  const float inverse = 1.0 / sum;
  for (uint i = thread_index(); i < quads; i += local_size)
    y_quads[begin / 4 + i] = exponentials(x_quads[begin / 4 + i] - largest) * inverse;
  for (uint i = rest + thread_index(); i < size.columns; i += local_size)
    y[begin + i] = exponential(x[begin + i] - largest) * inverse;
}
