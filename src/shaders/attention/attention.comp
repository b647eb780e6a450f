// SPDX-License-Identifier: Apache-2.0
//
// attention_f32 and, with CACHE_F16, attention_f16: as many groups as (token, head) pairs. Each
// makes one of them; or, for many tokens, a few make tiles of them and the others nothing.
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 256, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 256;
/// From how many tokens on tiles are made; 0: never.
layout(constant_id = 2) const uint tile_tokens = 32;

#include "attention/one_query.glsl"
#include "attention/tiles.glsl"

void main() {
  const uint pair = gl_WorkGroupID.x;
  if (pair >= size.tokens * size.heads) return;
  if (can_make_tiles()) {
    attend_tiles(pair);
  } else {
    attend(pair);
  }
}
