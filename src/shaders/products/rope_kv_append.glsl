// SPDX-License-Identifier: Apache-2.0
//
// What attention reads of one token, for the product of three matrices: the rows of the first are
// rotated, those of the second are rotated into the cache of keys, those of the third go to the
// cache of values, which are of floats or, with CACHE_F16, of halves. The arithmetic is that of
// "rope_interleaved" and "kv_append_*".
//
// Rows 2i and 2i + 1 turn together. Both are among the ROWS of a set of threads, so that one octet
// of threads finishes both.

#include "common/cache_rows.glsl"
#include "common/rotation.glsl"

#if ROWS < 2
#error "Both rows of a pair belong to one set of threads."
#endif

#if defined(CACHE_F16)
#define CACHED uint16_t
#define STORED(value) uint16_t(half_bits(value))
#else
#define CACHED float
#define STORED(value) (value)
#endif

layout(binding = Y, std430) writeonly buffer q_block { float data[]; } q;
layout(binding = Y + 1, std430) writeonly buffer keys_block { CACHED data[]; } keys;
layout(binding = Y + 2, std430) writeonly buffer values_block { CACHED data[]; } values;
layout(binding = Y + 3) uniform size_block {
  uint rows0, rows1, rows2, columns;
  float epsilon;
  uint head_size, rotated, position;
  float base;
} size;

/// Whether a row is one of a pair that turns.
bool turns(uint matrix, uint row) { return matrix != 2 && row % size.head_size < size.rotated; }

/// The rotation of rows `row` and `row` + 1.
vec2 turn_of(uint matrix, uint row) {
  if (!turns(matrix, row)) return vec2(1.0, 0.0);
  const uint pair = row % size.head_size / 2;
  return rotation(size.position, 0, pair, size.rotated / 2, size.base);
}

/// Stores rows `row` and `row` + 1, if there are as many. Called by the eight threads of an octet
/// alike.
///
/// @param rows  Of the matrix.
/// @param sums  Of both rows.
void store_pair(uint matrix, uint row, uint rows, vec2 sums, vec2 turn) {
  if (turns(matrix, row)) sums = rotate(sums, turn);
  const uint side = gl_SubgroupInvocationID % 8;
  if (side > 1 || row + side >= rows) return;
  const float result = side == 0 ? sums.x : sums.y;
  const uint at = row + side;
  if (matrix == 0) {
    q.data[at] = result;
  } else if (matrix == 1) {
    if (has_row(keys.data.length(), rows, size.position, 0))
      keys.data[size.position * rows + at] = STORED(result);
  } else {
    if (has_row(values.data.length(), rows, size.position, 0))
      values.data[size.position * rows + at] = STORED(result);
  }
}
