// SPDX-License-Identifier: Apache-2.0
//
// rope_interleaved, rope_neox (NEOX); with APPEND rope_kv_append_*, into a cache of floats or, with
// CACHE_F16, of halves. A group makes one head of a token, a thread one pair of values at a time.
#version 460
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
#include "common/cache_rows.glsl"
#include "common/numbers.glsl"
#include "common/rotation.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 64;

layout(std430, binding = 0) readonly buffer X { float x[]; };
#if !defined(APPEND)
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
#define RESULT y
#define STORED(value) (value)
#elif defined(CACHE_F16)
layout(std430, binding = 1) writeonly buffer Cache { uint16_t cache[]; };
#define RESULT cache
#define STORED(value) uint16_t(half_bits(value))
#else
layout(std430, binding = 1) writeonly buffer Cache { float cache[]; };
#define RESULT cache
#define STORED(value) (value)
#endif
layout(std140, binding = 2) uniform Size {
  uint tokens;
  uint heads;
  uint head_size;
  uint rotated;
  uint position;
  float base;
} size;

/// Makes step `step` of a head: a pair of values, or a value that is only copied. The head begins
/// at element `from` of x and `to` of the result.
void make_step(uint step, uint token, uint from, uint to) {
  const uint pairs = size.rotated / 2;
  if (step >= pairs) {
    const uint at = size.rotated + (step - pairs);
    RESULT[to + at] = STORED(x[from + at]);
    return;
  }
#ifdef NEOX
  const uvec2 at = uvec2(step, step + pairs);
#else
  const uvec2 at = uvec2(2 * step, 2 * step + 1);
#endif
  const vec2 values = vec2(x[from + at.x], x[from + at.y]);
  const vec2 turned =
      rotate(values, rotation(size.position, token, step, pairs, size.base));
  RESULT[to + at.x] = STORED(turned.x);
  RESULT[to + at.y] = STORED(turned.y);
}

void main() {
  const uint item = gl_WorkGroupID.x;
  if (item >= size.tokens * size.heads) return;
  // One token is the case that is in a hurry.
  const uint token = size.tokens == 1u ? 0u : item / size.heads;
  const uint from = item * size.head_size;
  uint to = from;
#ifdef APPEND
  const uint columns = size.heads * size.head_size;
  if (!has_row(RESULT.length(), columns, size.position, token)) return;
  to += size.position * columns;
#endif
  const uint steps = size.head_size - size.rotated / 2;
  for (uint step = gl_LocalInvocationID.x; step < steps; step += local_size)
    make_step(step, token, from, to);
}
