// SPDX-License-Identifier: Apache-2.0
#version 460
// Keeps the group counts of an indirect dispatch within the bound that it was recorded with.

layout(local_size_x = 1) in;

layout(set = 0, binding = 0, std430) readonly buffer Counts { uint counts[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Clamped { uint clamped[]; };
layout(set = 0, binding = 2, std140) uniform Params {
  uint bound_x;
  uint bound_y;
  uint bound_z;
  uint first_word;
  uint size_x;
  uint size_y;
  uint size_z;
  uint thread_word;
} params;

void main() {
  const uint at = params.first_word;
  const uvec3 given = uvec3(counts[at], counts[at + 1], counts[at + 2]);
  const uvec3 groups = min(given, uvec3(params.bound_x, params.bound_y, params.bound_z));
  clamped[0] = groups.x;
  clamped[1] = groups.y;
  clamped[2] = groups.z;
  if (params.thread_word != 0) {
    const uvec3 threads = groups * uvec3(params.size_x, params.size_y, params.size_z);
    clamped[params.thread_word] = threads.x;
    clamped[params.thread_word + 1] = threads.y;
    clamped[params.thread_word + 2] = threads.z;
  }
}
