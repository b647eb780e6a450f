// SPDX-License-Identifier: Apache-2.0
//
// add (ADD), mul (MUL), silu_mul (SILU_MUL) and silu (SILU). A group makes items_per_group
// neighbouring elements, a thread four neighbours at a time where all is aligned.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common/math.glsl"

layout(local_size_x = 256, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 256;
layout(constant_id = 1) const uint items_per_group = 1024;

#if defined(ADD)
#define FIRST a
#define SECOND b
#define COMBINE(a, b) ((a) + (b))
#elif defined(MUL)
#define FIRST a
#define SECOND b
#define COMBINE(a, b) ((a) * (b))
#elif defined(SILU_MUL)
#define FIRST gate
#define SECOND up
#define COMBINE(a, b) (silu(a) * (b))
#elif defined(SILU)
#define FIRST x
#define COMBINE(a) silu(a)
#endif

layout(std430, binding = 0) readonly buffer First { float FIRST[]; };
layout(std430, binding = 0) readonly buffer FirstQuads { vec4 first_quads[]; };
#ifdef SECOND
layout(std430, binding = 1) readonly buffer Second { float SECOND[]; };
layout(std430, binding = 1) readonly buffer SecondQuads { vec4 second_quads[]; };
#define Y_BINDING 2
#else
#define Y_BINDING 1
#endif
layout(std430, binding = Y_BINDING) writeonly buffer Y { float y[]; };
layout(std430, binding = Y_BINDING) writeonly buffer YQuads { vec4 y_quads[]; };
layout(std140, binding = Y_BINDING + 1) uniform Size {
  uint count;
  uint period;
} size;

/// Where element or quad `i` reads the second operand, of `period` elements or quads.
uint second_of(uint i, uint period) { return i < period ? i : i % period; }

float result(uint i) {
#ifdef SECOND
  return COMBINE(FIRST[i], SECOND[second_of(i, size.period)]);
#else
  return COMBINE(FIRST[i]);
#endif
}

vec4 quad_result(uint i) {
#ifdef SECOND
  return COMBINE(first_quads[i], second_quads[second_of(i, size.period / 4)]);
#else
  return COMBINE(first_quads[i]);
#endif
}

void main() {
  const uint begin = gl_WorkGroupID.x * items_per_group;
  if (begin >= size.count) return;
  const uint end = begin + min(items_per_group, size.count - begin);
  uint rest = begin;
  if (size.period % 4 == 0 || size.period >= size.count) {
    rest = end - end % 4;
    for (uint i = begin / 4 + gl_LocalInvocationID.x; i < rest / 4; i += local_size)
      y_quads[i] = quad_result(i);
  }
  for (uint i = rest + gl_LocalInvocationID.x; i < end; i += local_size) y[i] = result(i);
}
