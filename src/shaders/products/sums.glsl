// SPDX-License-Identifier: Apache-2.0
//
// Sums over the lanes of a row, in an order that depends on their number alone, not on the size of
// subgroups (8 or more) or on how many sums are made at once: kernels that replace each other give
// the same bits.
//
// Each thread brings SUMS numbers, sums over its own columns. Octets of lanes add theirs by a tree,
// in which each step halves how many of the SUMS a lane goes on with; what they get meets in shared
// memory, where an octet for each sum adds it up.

/// Of each octet for each sum; sets of rows one after the other. The padding spreads octets over
/// banks of memory.
shared float octet_sums[SUMS * (local_size / 8) + 4 * SUMS * (items_per_group / ROWS)];

/// Which thread this is, so that neighbours are in one subgroup.
uint thread_index() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }

/// Where the numbers of sum `i` of the row set `set` begin.
uint octets_of(uint set, uint i) { return (set * SUMS + i) * (lanes_per_row / 8 + 4); }

/// Puts the sums of each octet of lanes into octet_sums.
void share_sums(float sums[SUMS], uint set, uint lane) {
  const uint place = gl_SubgroupInvocationID % 8;
  uint count = SUMS;
  uint first = 0;
  [[unroll]] for (uint step = 4; step > 0; step /= 2) {
    if (count > 1) {
      count /= 2;
      const bool upper = (place & step) != 0;
      first = 2 * first + (upper ? 1 : 0);
      [[unroll]] for (uint i = 0; i < count; ++i) {
        const float kept = upper ? sums[i + count] : sums[i];
        const float given = upper ? sums[i] : sums[i + count];
        precise const float both = kept + subgroupShuffleXor(given, step);
        sums[i] = both;
      }
    } else {
      precise const float both = sums[0] + subgroupShuffleXor(sums[0], step);
      sums[0] = both;
    }
  }
  [[unroll]] for (uint i = 0; i < count; ++i)
    octet_sums[octets_of(set, first * count + i) + lane / 8] = sums[i];
}

/// The whole of sum `i`; called by the eight threads of an octet alike, after a barrier.
float whole_sum(uint set, uint i) {
  const uint place = gl_SubgroupInvocationID % 8;
  const uint begin = octets_of(set, i);
  precise float sum = 0.0;
  const uint each = max(lanes_per_row / 64, 1);
  [[unroll]] for (uint k = 0; k < each; ++k) {
    if (place * each + k < lanes_per_row / 8) sum += octet_sums[begin + place * each + k];
  }
  [[unroll]] for (uint step = 4; step > 0; step /= 2) sum += subgroupShuffleXor(sum, step);
  return sum;
}
