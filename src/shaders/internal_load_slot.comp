// SPDX-License-Identifier: Apache-2.0
#version 460
// Writes the value of a slot, found in memory, to every place of a parameter block that takes it.

layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Block { uint block[]; };
layout(set = 0, binding = 2, std430) readonly buffer Targets { uint targets[]; };
layout(set = 0, binding = 3, std140) uniform Params {
  uint first_word;
  uint words;
  uint target_count;
  uint maximum;
} params;

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i >= params.words * params.target_count) return;
  const uint word = i % params.words;
  uint value = source[params.first_word + word];
  if (params.maximum != 0xFFFFFFFFu) value = min(value, params.maximum);
  block[targets[i / params.words] + word] = value;
}
