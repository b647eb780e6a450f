// SPDX-License-Identifier: Apache-2.0
//
// A row of logits, read by one group: whole quads of the buffer, wherever the row begins, and at
// most six edge elements before and behind them. The includer declares the buffer twice, as
// LOGITS (float[]) and LOGIT_QUADS (vec4[]).
#ifndef SEGUE_COMMON_LOGITS_GLSL
#define SEGUE_COMMON_LOGITS_GLSL

#include "common/numbers.glsl"
#include "common/reduce.glsl"

const uint kNoToken = 0xFFFFFFFFu;

struct Row {
  uint begin;  ///< Elements of the buffer.
  uint end;
  uint first;  ///< Quads of the buffer.
  uint last;   ///< One behind.
};

Row row_at(uint row, uint columns) {
  const uint begin = row * columns;
  const uint end = begin + columns;
  const uint first = (begin + 3u) / 4u;
  return Row(begin, end, first, max(end / 4u, first));
}

/// The end of the elements before the first whole quad.
uint head_end(Row row) { return min(4u * row.first, row.end); }
/// The first element behind the last whole quad.
uint tail_begin(Row row) { return min(4u * row.last, row.end); }

uint edge_count(Row row) { return head_end(row) - row.begin + row.end - tail_begin(row); }

/// The element of the buffer that is edge `i`.
uint edge_element(Row row, uint i) {
  const uint head = head_end(row) - row.begin;
  return i < head ? row.begin + i : tail_begin(row) + (i - head);
}

/// Calls VISIT(quad, values) for quads FIRST, FIRST + STRIDE, ... before LAST. Loads are four at a
/// time: one group reads a row as fast as its threads have loads on their way.
#define FOR_QUADS(FIRST, LAST, STRIDE, VISIT)                                \
  for (uint base_ = (FIRST); base_ < (LAST); base_ += 4u * (STRIDE)) {       \
    vec4 loaded_[4];                                                         \
    [[unroll]] for (uint k_ = 0u; k_ < 4u; ++k_) {                           \
      loaded_[k_] = vec4(0.0);                                               \
      if (base_ + k_ * (STRIDE) < (LAST))                                    \
        loaded_[k_] = LOGIT_QUADS[base_ + k_ * (STRIDE)];                    \
    }                                                                        \
    [[unroll]] for (uint k_ = 0u; k_ < 4u; ++k_) {                           \
      if (base_ + k_ * (STRIDE) < (LAST)) {                                  \
        VISIT(base_ + k_ * (STRIDE), loaded_[k_]);                           \
      }                                                                      \
    }                                                                        \
  }

/// The larger of two values, `b` where `a` is NaN.
float larger(float a, float b) {
  precise const float value = a > b ? a : b;
  return value;
}

/// What a thread has seen of a row: the largest value, -infinity if there was none but NaN, and the
/// first quad that has it.
struct Best {
  float value;
  uint quad;
};

void see_quad(inout Best best, uint quad, vec4 v) {
  const float value = larger(v.w, larger(v.z, larger(v.y, larger(v.x, best.value))));
  if (value > best.value) best.quad = quad;
  best.value = value;
}

/// The best of each thread's share of whole quads: every thread_index() th.
Best best_of_thread(Row row) {
  Best best = Best(-kInfinity, kNoToken);
#define SEE_QUAD(quad, values) see_quad(best, quad, values)
  FOR_QUADS(row.first + thread_index(), row.last, local_size, SEE_QUAD)
#undef SEE_QUAD
  return best;
}

/// The value of this thread's edge, -infinity if it has none.
float edge_of_thread(Row row) {
  if (thread_index() >= edge_count(row)) return -kInfinity;
  return larger(LOGITS[edge_element(row, thread_index())], -kInfinity);
}

/// The first element of the row with value -infinity, element 0 if there is none. Slow, for rows
/// that have nothing better.
uint first_infinite(Row row) {
  uint found = kNoToken;
  for (uint i = row.begin + thread_index(); i < row.end; i += local_size) {
    if (floatBitsToUint(LOGITS[i]) == 0xFF800000u) found = min(found, i - row.begin);
  }
  found = group_min(found);
  return found == kNoToken ? 0u : found;
}

/// The lowest token with value `largest`, the largest of the row; 0 if all are NaN. `best` and
/// `edge` are what the threads have found.
uint lowest_best(Row row, Best best, float edge, float largest) {
  if (largest == -kInfinity) return first_infinite(row);
  uint token = kNoToken;
  if (edge == largest) token = edge_element(row, thread_index()) - row.begin;
  if (best.value == largest) {
    const vec4 v = LOGIT_QUADS[best.quad];
    const uint at = v.x == largest ? 0u : v.y == largest ? 1u : v.z == largest ? 2u : 3u;
    token = min(token, 4u * best.quad + at - row.begin);
  }
  return group_min(token);
}

#endif
