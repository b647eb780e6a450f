// SPDX-License-Identifier: Apache-2.0
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require

// "repack_q8_0_planes" (FORM_Q8_0) and "repack_q4_0_planes" (FORM_Q4_0): blocks that lie one after
// the other, into a plane of quants and one of scales; products/weights.glsl reads both.

layout(local_size_x = 256) in;
layout(constant_id = 1) const uint items_per_group = 16;

#include "products/weights.glsl"

WEIGHTS(0, source)
layout(binding = 1, std430) writeonly buffer destination_block { uvec4 units[]; } destination;
layout(binding = 1, std430) writeonly buffer destination_block_of_halves {
  uint16_t halves[];
} destination_halves;
layout(binding = 2) uniform size_block { uint rows, columns; } size;

void main() {
  const uint row_blocks = size.columns / 32;
  const uint blocks = size.rows * row_blocks;
  const uint begin = gl_WorkGroupID.x * items_per_group * row_blocks;
  const uint end = min(begin + items_per_group * row_blocks, blocks);
  const uint scales = 2 * QUANT_WORDS * blocks;
  const Shape shape = Shape(size.rows, size.columns);
  for (uint block = begin + gl_LocalInvocationIndex; block < end; block += gl_WorkGroupSize.x) {
    const Unit from = load_source(0, block, shape);
#if defined(FORM_Q8_0)
    destination.units[2 * block] =
        uvec4(from.quants[0], from.quants[1], from.quants[2], from.quants[3]);
    destination.units[2 * block + 1] =
        uvec4(from.quants[4], from.quants[5], from.quants[6], from.quants[7]);
#else
    // Columns 0 to 15 are the low nibbles, 16 to 31 the high ones.
    const uvec4 quants =
        uvec4(from.quants[0], from.quants[1], from.quants[2], from.quants[3]);
    const uvec4 low = quants & 0x0F0F0F0Fu;
    const uvec4 high = quants >> 4 & 0x0F0F0F0Fu;
    destination.units[block] = uvec4(low.xy | low.zw << 4, high.xy | high.zw << 4);
#endif
    destination_halves.halves[scales + block] = uint16_t(from.scale);
  }
  // The plane of scales ends on 16 bytes too.
  const uint behind = blocks + gl_LocalInvocationIndex;
  if (end == blocks && behind < (blocks + 7) / 8 * 8)
    destination_halves.halves[scales + behind] = uint16_t(0);
}
