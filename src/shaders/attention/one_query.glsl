// SPDX-License-Identifier: Apache-2.0
//
// One query by a whole group, for the least latency: rows of the cache are dealt out to teams,
// neighbouring lanes of a subgroup that share a row by quads of columns. Each team goes through its
// rows alone, rescaling its sums when a score exceeds all before it (Dao et al., "FlashAttention",
// 2022); in the end the teams' sums are merged.
#ifndef SEGUE_ATTENTION_ONE_QUERY_GLSL
#define SEGUE_ATTENTION_ONE_QUERY_GLSL

#extension GL_KHR_shader_subgroup_shuffle : require

#include "attention/merge.glsl"

/// Rows of a team that are on their way at a time.
const uint kRowsAtOnce = 8;

/// Lanes that share a row of `quads` quads, as a power of two: at most a subgroup.
uint team_shift(uint quads) {
  return min(uint(findMSB(quads - 1u) + 1), uint(findMSB(gl_SubgroupSize)));
}

/// Rescales for a new largest score; returns by what sums are to be multiplied.
float raise_largest(inout Softmax state, float score) {
  const float largest = max(state.largest, score);
  const float factor = exp2(state.largest - largest);
  state = Softmax(largest, state.sum * factor);
  return factor;
}

/// Sums of the teams of a subgroup become one, for all its lanes.
void merge_teams(inout Softmax state, inout vec4 sums, uint team) {
  for (uint mask = team; mask < gl_SubgroupSize; mask *= 2) {
    sums *= raise_largest(state, subgroupShuffleXor(state.largest, mask));
    state.sum += subgroupShuffleXor(state.sum, mask);
    sums += subgroupShuffleXor(sums, mask);
  }
}

/// One query: the work of a group.
struct Query {
  uint begin;     ///< Its first element, of q and of y.
  uint kv_begin;  ///< The first element of its head in row 0 of the cache.
  uint rows;      ///< Rows that it sees.
};

/// Heads of whole quads, at most one for each lane.
void attend_by_quads(Query query) {
  const uint quads = size.head_size / 4;
  const uint shift = team_shift(quads);
  const uint team = 1u << shift;
  const uint parts = most_parts(size.head_size);
  const uint teams = parts * (gl_SubgroupSize >> shift);
  const uint first = thread_index() >> shift;
  const uint lane = gl_SubgroupInvocationID & (team - 1u);
  const uint column = query.kv_begin / 4 + min(lane, quads - 1);
  const uint stride = cache_stride() / 4;
  const vec4 q = lane < quads ? q_quads[query.begin / 4 + lane] * score_scale() : vec4(0.0);

  Softmax state = Softmax(kLeast, 0.0);
  vec4 sums = vec4(0.0);
  const uint end = gl_SubgroupID < parts ? query.rows : 0;
  for (uint base = 0; base < end; base += kRowsAtOnce * teams) {
    vec4 key[kRowsAtOnce];
    vec4 value[kRowsAtOnce];
    [[unroll]] for (uint i = 0; i < kRowsAtOnce; ++i) {
      const uint row = min(base + first + i * teams, query.rows - 1);
      key[i] = CACHED_QUAD(key_quads[column + row * stride]);
    }
    [[unroll]] for (uint i = 0; i < kRowsAtOnce; ++i) {
      const uint row = min(base + first + i * teams, query.rows - 1);
      value[i] = CACHED_QUAD(value_quads[column + row * stride]);
    }
    float scores[kRowsAtOnce];
    [[unroll]] for (uint i = 0; i < kRowsAtOnce; ++i) scores[i] = dot(q, key[i]);
    for (uint mask = team / 2; mask != 0; mask /= 2) {
      [[unroll]] for (uint i = 0; i < kRowsAtOnce; ++i)
        scores[i] += subgroupShuffleXor(scores[i], mask);
    }
    float largest = -kInfinity;
    [[unroll]] for (uint i = 0; i < kRowsAtOnce; ++i) {
      if (base + first + i * teams >= query.rows) scores[i] = -kInfinity;
      largest = max(largest, scores[i]);
    }
    sums *= raise_largest(state, largest);
    [[unroll]] for (uint i = 0; i < kRowsAtOnce; ++i) {
      const float weight = exp2(scores[i] - state.largest);
      state.sum += weight;
      sums += weight * value[i];
    }
  }

  merge_teams(state, sums, team);
  if (gl_SubgroupID < parts && gl_SubgroupInvocationID < quads) {
    const uint at = gl_SubgroupID * part_stride(size.head_size) + 4 * lane;
    [[unroll]] for (uint c = 0; c < 4; ++c) SHARED_FLOAT(at + c) = sums[c];
    part_maxima[gl_SubgroupID] = state.largest;
    part_sums[gl_SubgroupID] = state.sum;
  }
  merge_parts(parts, size.head_size, query.begin);
}

// --- Heads of any size -------------------------------------------------------------------------

/// Columns that a lane adds up in one pass over the rows.
const uint kHeld = 8;

/// Heads of any size: a team is a subgroup, which shares a row by single columns. Heads of more
/// than kHeld columns a lane are made in several passes.
void attend_by_columns(Query query) {
  const uint lane = gl_SubgroupInvocationID;
  const uint most = kHeld * gl_SubgroupSize;
  for (uint begin = 0; begin < size.head_size; begin += most) {
    const uint columns = min(size.head_size - begin, most);
    const uint parts = most_parts(columns);
    Softmax state = Softmax(kLeast, 0.0);
    float sums[kHeld];
    [[unroll]] for (uint k = 0; k < kHeld; ++k) sums[k] = 0.0;
    const uint end = gl_SubgroupID < parts ? query.rows : 0;
    for (uint row = gl_SubgroupID; row < end; row += parts) {
      const uint at = query.kv_begin + row * cache_stride();
      float score = 0.0;
      for (uint c = lane; c < size.head_size; c += gl_SubgroupSize)
        score = fma(q[query.begin + c], CACHED(keys[at + c]), score);
      score = subgroupAdd(score) * score_scale();
      const float factor = raise_largest(state, score);
      const float weight = exp2(score - state.largest);
      state.sum += weight;
      [[unroll]] for (uint k = 0; k < kHeld; ++k) {
        const uint c = lane + k * gl_SubgroupSize;
        if (c < columns) sums[k] = sums[k] * factor + weight * CACHED(values[at + begin + c]);
      }
    }
    barrier();  // The merge of the pass before has read the parts.
    if (gl_SubgroupID < parts) {
      [[unroll]] for (uint k = 0; k < kHeld; ++k) {
        const uint c = lane + k * gl_SubgroupSize;
        if (c < columns) SHARED_FLOAT(gl_SubgroupID * part_stride(columns) + c) = sums[k];
      }
      part_maxima[gl_SubgroupID] = state.largest;
      part_sums[gl_SubgroupID] = state.sum;
    }
    merge_parts(parts, columns, query.begin + begin);
  }
}

/// Writes NaN: there is nothing to attend to.
void attend_to_nothing(Query query) {
  for (uint c = thread_index(); c < size.head_size; c += local_size) y[query.begin + c] = kNan;
}

/// Makes one (token, head) pair.
void attend(uint pair) {
  // One token is the case that is in a hurry.
  const uint token = size.tokens == 1u ? 0u : pair / size.heads;
  const uint kv_head = kv_head_of(pair - token * size.heads);
  const Query query =
      Query(pair * size.head_size, kv_head * size.head_size, rows_of(token));
  if (query.rows == 0) {
    attend_to_nothing(query);
  } else if (size.head_size % 4 == 0 && size.head_size / 4 <= gl_SubgroupSize) {
    attend_by_quads(query);
  } else {
    attend_by_columns(query);
  }
}

#endif
