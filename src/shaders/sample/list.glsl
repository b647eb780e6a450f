// SPDX-License-Identifier: Apache-2.0
//
// A few tokens in shared memory, best first: what is left to decide once most of a row is out of
// the question. Loops go over four tokens at a time, since each step waits for the memory.
#ifndef SEGUE_SAMPLE_LIST_GLSL
#define SEGUE_SAMPLE_LIST_GLSL

#include "sample/tokens.glsl"

const uint kMostListed = 512;

/// How many were added, more than kMostListed if some found no place. An array, since SPIRV-Cross
/// (1.3.239) forgets to hand a single number on to a function that has only atomics for it.
shared uint list_size[1];
shared uvec4 list_keys[kMostListed / 4];
shared uvec4 list_tokens[kMostListed / 4];
shared float list_weights[kMostListed];

// The same, sorted, with the sums of the weights up to and including each.
shared uint sorted_keys[kMostListed];
shared uvec4 sorted_tokens[kMostListed / 4];
shared vec4 sorted_weights[kMostListed / 4];
shared float sorted_sums[kMostListed];

#define IN_QUADS(array, i) array[(i) / 4u][(i) % 4u]

void clear_list() {
  barrier();
  if (thread_index() == 0) list_size[0] = 0;
  barrier();
}

/// Called by single threads.
void add_to_list(uint key, uint token, float logit) {
  const uint at = atomicAdd(list_size[0], 1u);
  if (at >= kMostListed) return;
  IN_QUADS(list_keys, at) = key;
  IN_QUADS(list_tokens, at) = token;
  list_weights[at] = weight_of(logit);
}

/// How many of the first `count` tokens added are better than a token.
uint count_better(uint count, uint key, uint token) {
  uint better = 0;
  for (uint first = 0; first < count; first += 4) {
    const uvec4 keys = list_keys[first / 4];
    const uvec4 tokens = list_tokens[first / 4];
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const bool is_better = keys[i] > key || (keys[i] == key && tokens[i] < token);
      better += uint(first + i < count && is_better);
    }
  }
  return better;
}

/// The sum of the weights of the sorted tokens before number `end`.
float sum_before(uint end) {
  float sum = 0.0;
  for (uint first = 0; first < end; first += 4) {
    const vec4 weights = sorted_weights[first / 4];
    [[unroll]] for (uint i = 0; i < 4; ++i) sum += first + i < end ? weights[i] : 0.0;
  }
  return sum;
}

/// Sorts the list and adds up; the size of the list, or 0 if more tokens were added than it takes.
/// Nothing in the result depends on the order in which tokens were added.
uint sort_list() {
  barrier();
  const uint count = list_size[0];
  if (count > kMostListed) return 0;
  for (uint i = thread_index(); i < count; i += local_size) {
    const uint key = IN_QUADS(list_keys, i);
    const uint token = IN_QUADS(list_tokens, i);
    const uint rank = count_better(count, key, token);
    sorted_keys[rank] = key;
    IN_QUADS(sorted_tokens, rank) = token;
    IN_QUADS(sorted_weights, rank) = list_weights[i];
  }
  barrier();
  for (uint i = thread_index(); i < count; i += local_size) sorted_sums[i] = sum_before(i + 1);
  barrier();
  return count;
}

/// How many of the first `count` tokens of the list it takes until weights add up to `target`,
/// `above` included: at least one, at most `count`.
uint count_to(uint count, float above, float target) {
  uint first_unneeded = count;
  for (uint i = thread_index(); i < count; i += local_size) {
    if (i != 0 && above + sorted_sums[i - 1] >= target) first_unneeded = min(first_unneeded, i);
  }
  return group_min(first_unneeded);
}

/// The sum of the weights of those of the first `count` sorted tokens that have lower numbers.
float sum_of_lower(uint count, uint token) {
  float sum = 0.0;
  for (uint first = 0; first < count; first += 4) {
    const uvec4 tokens = sorted_tokens[first / 4];
    const vec4 weights = sorted_weights[first / 4];
    [[unroll]] for (uint i = 0; i < 4; ++i)
      sum += first + i < count && tokens[i] < token ? weights[i] : 0.0;
  }
  return sum;
}

/// The token at `point`, from 0 to below 1, of the line on which the first `count` tokens of the
/// list lie in the order of their numbers, as long as their weights.
uint draw_from_list(uint count, float point) {
  const float wanted = point * sorted_sums[count - 1];
  uint drawn = 0;
  for (uint i = thread_index(); i < count; i += local_size) {
    const uint token = IN_QUADS(sorted_tokens, i);
    if (IN_QUADS(sorted_weights, i) > 0.0 && sum_of_lower(count, token) <= wanted)
      drawn = max(drawn, token);
  }
  return group_max(drawn);
}

#endif
