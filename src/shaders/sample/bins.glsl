// SPDX-License-Identifier: Apache-2.0
//
// A lower bound for the best tokens of a row without a search: if `wanted` bins of the row have a
// value of at least T, then so have `wanted` tokens, and hardly more.
#ifndef SEGUE_SAMPLE_BINS_GLSL
#define SEGUE_SAMPLE_BINS_GLSL

#include "common/logits.glsl"

const uint kMostBins = 256;
/// Neighbouring threads whose shares of the row are one bin.
const uint kBinThreads = local_size > kMostBins ? local_size / kMostBins : 1u;
const uint kBins = local_size / kBinThreads;

shared float thread_maxima[local_size];
shared vec4 bin_maxima[kMostBins / 4];
shared uint bin_ranks[kMostBins];
shared float bin_threshold;

/// The largest value that `wanted` bins reach, from 1 to kBins. `mine` is the largest value of this
/// thread.
float bin_value(uint wanted, float mine) {
  const uint bin = thread_index() / kBinThreads;
  const uint part = thread_index() % kBinThreads;
  thread_maxima[thread_index()] = mine;
  if (part == 0) bin_ranks[bin] = 0;
  barrier();
  float value = -kInfinity;
  for (uint i = 0; i < kBinThreads; ++i) value = max(value, thread_maxima[bin * kBinThreads + i]);
  if (part == 0) bin_maxima[bin / 4][bin % 4] = value;
  barrier();
  // The threads of a bin share the comparison with others; equal ones rank in order.
  uint rank = 0;
  for (uint quad = part; quad < kBins / 4; quad += kBinThreads) {
    const vec4 others = bin_maxima[quad];
    [[unroll]] for (uint i = 0; i < 4; ++i)
      rank += uint(others[i] > value || (others[i] == value && 4 * quad + i < bin));
  }
  atomicAdd(bin_ranks[bin], rank);
  barrier();
  if (part == 0 && bin_ranks[bin] == wanted - 1) bin_threshold = value;
  barrier();
  return bin_threshold;
}

#endif
