// SPDX-License-Identifier: Apache-2.0
//
// argmax: a group finds the best token of one row.
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 1024, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 1024;

layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer XQuads { vec4 x_quads[]; };
layout(std430, binding = 1) writeonly buffer Tokens { uint tokens[]; };
layout(std140, binding = 2) uniform Size {
  uint rows;
  uint columns;
} size;

#define LOGITS x
#define LOGIT_QUADS x_quads
#include "common/logits.glsl"

void main() {
  if (gl_WorkGroupID.x >= size.rows) return;
  const Row row = row_at(gl_WorkGroupID.x, size.columns);
  const Best best = best_of_thread(row);
  const float edge = edge_of_thread(row);
  const float largest = group_max(larger(edge, best.value));
  const uint token = lowest_best(row, best, edge, largest);
  if (thread_index() == 0) tokens[gl_WorkGroupID.x] = token;
}
