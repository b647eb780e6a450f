// SPDX-License-Identifier: Apache-2.0
//
// Drawing from a whole row: sums of weights by segments of the row, one for each subgroup; then the
// segment in question once more, a piece for each thread; then a piece.
#ifndef SEGUE_SAMPLE_DRAW_GLSL
#define SEGUE_SAMPLE_DRAW_GLSL

#include "sample/tokens.glsl"

shared float segment_sums[kMostSubgroups];

/// The first quad of a segment; the end of the segment before.
uint segment_quad(Row row, uint segment) {
  const uint quads = row.last - row.first;
  const uint length = (quads + gl_NumSubgroups - 1) / gl_NumSubgroups;
  return row.first + min(segment * length, quads);
}

/// The weight of an element of the buffer.
float element_weight(Row row, Cut cut, uint element) {
  return kept_weight(cut, element - row.begin, LOGITS[element]);
}

float quad_weight(vec4 v) {
  return (weight_of(v.x) + weight_of(v.y)) + (weight_of(v.z) + weight_of(v.w));
}

float kept_quad_weight(Row row, Cut cut, uint quad, vec4 v) {
  const uint token = 4u * quad - row.begin;
  return (kept_weight(cut, token, v.x) + kept_weight(cut, token + 1u, v.y)) +
         (kept_weight(cut, token + 2u, v.z) + kept_weight(cut, token + 3u, v.w));
}

/// Adds up the kept weights of each segment; the first and the last one have the row's edges.
/// Returns the sum of all.
float add_segments(Row row, Cut cut) {
  const uint lane = gl_SubgroupInvocationID;
  const uint begin = segment_quad(row, gl_SubgroupID);
  const uint end = segment_quad(row, gl_SubgroupID + 1);
  float sum = 0.0;
#define ADD_QUAD(quad, values) sum += quad_weight(values)
#define ADD_KEPT(quad, values) sum += kept_quad_weight(row, cut, quad, values)
  if (cut == kKeepAll) {
    FOR_QUADS(begin + lane, end, gl_SubgroupSize, ADD_QUAD)
  } else {
    FOR_QUADS(begin + lane, end, gl_SubgroupSize, ADD_KEPT)
  }
#undef ADD_KEPT
#undef ADD_QUAD
  const uint head = row.begin + lane;
  if (gl_SubgroupID == 0 && head < head_end(row)) sum += element_weight(row, cut, head);
  const uint tail = tail_begin(row) + lane;
  if (gl_SubgroupID == gl_NumSubgroups - 1 && tail < row.end)
    sum += element_weight(row, cut, tail);
  sum = subgroupAdd(sum);
  barrier();
  if (subgroupElect()) segment_sums[gl_SubgroupID] = sum;
  barrier();
  float total = 0.0;
  for (uint i = 0; i < gl_NumSubgroups; ++i) total += segment_sums[i];
  return total;
}

/// The token at `wanted` of the line on which the kept tokens of elements `begin` to `end` lie, as
/// long as their weights.
uint draw_between(Row row, Cut cut, uint begin, uint end, float wanted) {
  const uint length = (end - begin + local_size - 1) / local_size;
  const uint mine = min(begin + thread_index() * length, end);
  const uint mine_end = min(mine + length, end);
  float sum = 0.0;
  for (uint first = mine; first < mine_end; first += 4u) {
    vec4 weights = vec4(0.0);
    [[unroll]] for (uint k = 0; k < 4; ++k)
      if (first + k < mine_end) weights[k] = element_weight(row, cut, first + k);
    sum += (weights.x + weights.y) + (weights.z + weights.w);
  }
  const float before = group_sum_before(sum);
  const uint candidate = sum > 0.0 && before <= wanted ? thread_index() : 0u;
  const uint chosen = group_max(candidate);
  uint drawn = 0;
  if (thread_index() == chosen) {
    float reached = before;
    for (uint i = mine; i < mine_end; ++i) {
      const float weight = element_weight(row, cut, i);
      if (weight > 0.0) drawn = i - row.begin;
      reached += weight;
      if (reached > wanted) break;
    }
  }
  return group_max(drawn);
}

/// The token at `point`, from 0 to below 1, of the line on which the kept tokens lie in order, as
/// long as their weights. After add_segments() with this cut, which returned `total`.
uint draw_from_row(Row row, Cut cut, float total, float point) {
  const float wanted = point * total;
  float reached = 0.0;
  float before = 0.0;
  uint chosen = 0;
  for (uint i = 0; i < gl_NumSubgroups; ++i) {
    const float sum = segment_sums[i];
    if (sum > 0.0 && reached <= wanted) {
      chosen = i;
      before = reached;
    }
    reached += sum;
  }
  const uint begin = chosen == 0 ? row.begin : 4u * segment_quad(row, chosen);
  const bool is_last = chosen == gl_NumSubgroups - 1;
  const uint end = is_last ? row.end : min(4u * segment_quad(row, chosen + 1), row.end);
  return draw_between(row, cut, begin, end, wanted - before);
}

#endif
