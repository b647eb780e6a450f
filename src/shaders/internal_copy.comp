// SPDX-License-Identifier: Apache-2.0
#version 460
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// Copies `size` bytes, which begin at byte `from` of the source and `to` of the destination. A
// thread makes 16 bytes of the destination that are aligned, by loads as wide as both allow.

layout(local_size_x = 256) in;

layout(binding = 0, std430) readonly buffer SourceUnits { uvec4 source_units[]; };
layout(binding = 0, std430) readonly buffer SourceWords { uint source_words[]; };
layout(binding = 0, std430) readonly buffer Source { uint8_t source[]; };
layout(binding = 1, std430) writeonly buffer Units { uvec4 units[]; };
layout(binding = 1, std430) writeonly buffer Destination { uint8_t destination[]; };
layout(binding = 2, std140) uniform Params {
  uint from;  ///< `from` + `size` and `to` + `size` are at most 2^32 - 16.
  uint to;
  uint size;
} params;

/// 16 bytes of the source from byte `at` on.
uvec4 load(uint at) {
  if (at % 16 == 0) return source_units[at / 16];
  uvec4 loaded = uvec4(0);
  if (at % 4 == 0) {
    [[unroll]] for (uint i = 0; i < 4; ++i) loaded[i] = source_words[at / 4 + i];
  } else {
    [[unroll]] for (uint i = 0; i < 16; ++i)
      loaded[i / 4] |= uint(source[at + i]) << 8 * (i % 4);
  }
  return loaded;
}

void main() {
  const uint unit = params.to / 16 + gl_GlobalInvocationID.x;
  const uint end = params.to + params.size;
  if (params.size == 0 || unit > (end - 1) / 16) return;
  const uint first = max(16 * unit, params.to);
  const uint last = min(16 * unit + 16, end);
  const uint from = params.from + (first - params.to);
  if (last - first == 16) {
    units[unit] = load(from);
  } else {
    for (uint i = 0; i < last - first; ++i) destination[first + i] = source[from + i];
  }
}
