// SPDX-License-Identifier: Apache-2.0
//
// What ends a token of a decoding loop that feeds itself: the token joins a ring that the host
// reads later, and the state moves on to the next position.
#version 460

layout(local_size_x = 1) in;

layout(std430, binding = 0) readonly buffer Token { uint token[]; };
layout(std430, binding = 1) buffer State { uint state[]; };
layout(std430, binding = 2) writeonly buffer Ring { uint ring[]; };
layout(std140, binding = 3) uniform Size { uint ring_size; } size;

void main() {
  const uint position = state[0];
  const uint drawn = token[0];
  if (size.ring_size != 0) {
    const uint slot = position % size.ring_size;
    if (slot < ring.length()) ring[slot] = drawn;
  }
  state[0] = position + 1;
  state[1] = drawn;
}
