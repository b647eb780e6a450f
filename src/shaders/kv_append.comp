// SPDX-License-Identifier: Apache-2.0
//
// kv_append_f32 and, with CACHE_F16, kv_append_f16: a group writes the row of one token.
#version 460
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
#include "common/cache_rows.glsl"
#include "common/numbers.glsl"

layout(local_size_x = 256, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 256;

layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer XQuads { vec4 x_quads[]; };
#ifdef CACHE_F16
layout(std430, binding = 1) writeonly buffer Cache { uint16_t cache[]; };
layout(std430, binding = 1) writeonly buffer CacheQuads { uvec2 cache_quads[]; };
#define STORED(value) uint16_t(half_bits(value))
#define STORED_QUAD(values) half_bits(values)
#else
layout(std430, binding = 1) writeonly buffer Cache { float cache[]; };
layout(std430, binding = 1) writeonly buffer CacheQuads { vec4 cache_quads[]; };
#define STORED(value) (value)
#define STORED_QUAD(values) (values)
#endif
layout(std140, binding = 2) uniform Size {
  uint tokens;
  uint columns;
  uint position;
} size;

void main() {
  const uint token = gl_WorkGroupID.x;
  if (token >= size.tokens) return;
  if (!has_row(cache.length(), size.columns, size.position, token)) return;
  const uint row = size.position + token;
  if (size.columns % 4 == 0) {
    const uint quads = size.columns / 4;
    for (uint i = gl_LocalInvocationID.x; i < quads; i += local_size)
      cache_quads[row * quads + i] = STORED_QUAD(x_quads[token * quads + i]);
  } else {
    for (uint i = gl_LocalInvocationID.x; i < size.columns; i += local_size)
      cache[row * size.columns + i] = STORED(x[token * size.columns + i]);
  }
}
