// SPDX-License-Identifier: Apache-2.0
//
// The arguments of attention_*, and how rows of the cache are read.
#ifndef SEGUE_ATTENTION_CACHE_GLSL
#define SEGUE_ATTENTION_CACHE_GLSL

#include "common/cache_rows.glsl"
#include "common/numbers.glsl"
#include "common/reduce.glsl"

layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 0) readonly buffer QQuads { vec4 q_quads[]; };
#ifdef CACHE_F16
layout(std430, binding = 1) readonly buffer Keys { uint16_t keys[]; };
layout(std430, binding = 1) readonly buffer KeyQuads { uvec2 key_quads[]; };
layout(std430, binding = 2) readonly buffer Values { uint16_t values[]; };
layout(std430, binding = 2) readonly buffer ValueQuads { uvec2 value_quads[]; };
#define CACHED(stored) half_value(uint(stored))
#define CACHED_QUAD(stored) half_values(stored)
#else
layout(std430, binding = 1) readonly buffer Keys { float keys[]; };
layout(std430, binding = 1) readonly buffer KeyQuads { vec4 key_quads[]; };
layout(std430, binding = 2) readonly buffer Values { float values[]; };
layout(std430, binding = 2) readonly buffer ValueQuads { vec4 value_quads[]; };
#define CACHED(stored) (stored)
#define CACHED_QUAD(stored) (stored)
#endif
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) writeonly buffer YQuads { vec4 y_quads[]; };
layout(std140, binding = 4) uniform Size {
  uint tokens;
  uint heads;
  uint kv_heads;
  uint head_size;
  uint position;
  float scale;
} size;

/// Elements from row to row of the cache.
uint cache_stride() { return size.kv_heads * size.head_size; }

/// The key and value head of a query head.
uint kv_head_of(uint head) { return head * size.kv_heads / size.heads; }

/// Rows of the cache that a token sees, 0 if there are none.
uint rows_of(uint token) {
  return rows_up_to(min(keys.length(), values.length()), cache_stride(), size.position, token);
}

/// Scores are powers of two: times log2 e.
float score_scale() { return size.scale * 1.4426950408889634; }

/// Less than any score, and not infinite: differences of two are numbers.
const float kLeast = -3.4e38;

/// A part of a softmax: the largest score, and the sum of 2^(score - largest).
struct Softmax {
  float largest;
  float sum;
};

#endif
