// SPDX-License-Identifier: Apache-2.0
//
// The results of the subgroups of a group become one.
#ifndef SEGUE_ATTENTION_MERGE_GLSL
#define SEGUE_ATTENTION_MERGE_GLSL

#include "attention/cache.glsl"

/// Memory for what threads of a group give to each other: 26 KiB. Devices have at least 32.
const uint kSharedFloats = 6656;
shared vec4 shared_quads[kSharedFloats / 4];
#define SHARED_FLOAT(i) shared_quads[(i) >> 2][(i) & 3u]

shared float part_maxima[kMostSubgroups];
shared float part_sums[kMostSubgroups];

/// Distance of the sums of neighbouring parts. It is odd, so that teams which write the same column
/// of different parts meet different banks of the memory.
uint part_stride(uint columns) { return columns | 1u; }

/// How many subgroups there is room for if each leaves sums of `columns` columns.
uint most_parts(uint columns) {
  if (gl_NumSubgroups * part_stride(columns) <= kSharedFloats) return gl_NumSubgroups;
  return kSharedFloats / part_stride(columns);
}

/// Parts that are read at a time.
const uint kPartsAtOnce = 8;

/// Writes y[begin + c] for c < columns: the average of the parts' sums. Has a barrier before it
/// reads, none after. Each thread weighs all parts for itself, which takes less time than telling
/// the others.
void merge_parts(uint parts, uint columns, uint begin) {
  barrier();
  if (thread_index() >= columns) return;
  float largest = kLeast;
  for (uint first = 0; first < parts; first += kPartsAtOnce) {
    [[unroll]] for (uint k = 0; k < kPartsAtOnce; ++k)
      largest = max(largest, part_maxima[min(first + k, parts - 1u)]);
  }
  for (uint column = thread_index(); column < columns; column += local_size) {
    float sum = 0.0;
    float value = 0.0;
    for (uint first = 0; first < parts; first += kPartsAtOnce) {
      [[unroll]] for (uint k = 0; k < kPartsAtOnce; ++k) {
        const uint part = min(first + k, parts - 1u);
        const float factor = exp2(part_maxima[part] - largest);
        const float weight = first + k < parts ? factor : 0.0;
        sum += weight * part_sums[part];
        value += weight * SHARED_FLOAT(part * part_stride(columns) + column);
      }
    }
    y[begin + column] = value / sum;
  }
}

#endif
