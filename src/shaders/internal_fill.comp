// SPDX-License-Identifier: Apache-2.0
#version 460
#extension GL_EXT_shader_8bit_storage : require
// Sets the bytes from `begin` to `end` of a buffer. A thread makes 16 of them that are aligned.

layout(local_size_x = 256) in;

layout(binding = 0, std430) writeonly buffer Units { uvec4 units[]; };
layout(binding = 0, std430) writeonly buffer Destination { uint8_t destination[]; };
layout(binding = 1, std140) uniform Params {
  uint begin;
  uint end;    ///< At most 2^32 - 16.
  uint value;  ///< Its lowest byte.
} params;

void main() {
  const uint unit = params.begin / 16 + gl_GlobalInvocationID.x;
  const uint first = max(16 * unit, params.begin);
  const uint last = min(16 * unit + 16, params.end);
  if (unit > (params.end - 1) / 16 || params.begin >= params.end) return;
  const uint value = params.value & 0xFFu;
  if (last - first == 16) {
    units[unit] = uvec4(value * 0x01010101u);
  } else {
    for (uint i = first; i < last; ++i) destination[i] = uint8_t(value);
  }
}
