// SPDX-License-Identifier: Apache-2.0
//
// sample: a group draws from one row. Both cuts, the k best tokens and the nucleus (Holtzman et
// al., "The Curious Case of Neural Text Degeneration", 2019), mostly fall among the few best
// tokens, which bins of the row lead to; where they do not, a search over the row finds them.
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 1024, local_size_x_id = 0) in;
layout(constant_id = 0) const uint local_size = 1024;

layout(std430, binding = 0) readonly buffer Logits { float logits[]; };
layout(std430, binding = 0) readonly buffer LogitQuads { vec4 logit_quads[]; };
layout(std430, binding = 1) writeonly buffer Tokens { uint tokens[]; };
layout(std140, binding = 2) uniform Size {
  uint rows;
  uint vocabulary;
  uint top_k;
  float top_p;
  float temperature;
  uint seed_low;
  uint seed_high;
  uint step;
} size;

#define LOGITS logits
#define LOGIT_QUADS logit_quads
#include "common/wide.glsl"
#include "sample/bins.glsl"
#include "sample/draw.glsl"
#include "sample/search.glsl"

/// Number `step` + `row` of the seed's stream, uniform in [0, 1): the generator SplitMix64 (Steele,
/// Lea & Flood, "Fast splittable pseudorandom number generators", 2014), whose state is a counter,
/// so that any number is at hand. Its upper 24 bits.
float random_number(uint row) {
  uvec2 index = wide_add(wide_add(uvec2(size.step, 0u), uvec2(row, 0u)), uvec2(1u, 0u));
  uvec2 z = wide_add(uvec2(size.seed_low, size.seed_high),
                     wide_multiply(index, uvec2(0x7F4A7C15u, 0x9E3779B9u)));
  z = wide_multiply(z ^ wide_shift_right(z, 30u), uvec2(0x1CE4E5B9u, 0xBF58476Du));
  z = wide_multiply(z ^ wide_shift_right(z, 27u), uvec2(0x133111EBu, 0x94D049BBu));
  z ^= wide_shift_right(z, 31u);
  return float(z.y >> 8) * 5.9604644775390625e-8;
}

/// The key below which tokens of a row that weighs `total` are too light for all of them together
/// to matter to the nucleus.
uint least_key_of_nucleus(float total) {
  const float weight = 0.5 * (1.0 - size.top_p) * total / float(size.vocabulary);
  return key_of(weight_top + log2(weight) / weight_scale);
}

/// The list has all tokens from some key on up to those that `above` stands for.
struct Listed {
  uint count;
  float above;
};

/// Lists the tokens among which the cut of a search falls: tokens from key `guess` on if they will
/// do, or what is found from key `low` on. `mine` is the largest value of this thread.
Listed list_for(Row row, Search search, uint guess, uint low, float mine) {
  const uint high = key_of(weight_top) + 1u;
  Interval interval = Interval(low, high, false, 0u);
  float above = 0.0;
  bool guessing = guess > low;
  bool fresh = true;
  while (true) {
    Interval listed = Interval(guess, high, false, 0u);
    if (!guessing) {
      if (interval.high - interval.low == 1u)
        interval = Interval(0u, kBeyond, true, interval.low);
      const Bounds bounds = divide(interval, fresh);
      const Parts parts = measure_parts(row, interval, bounds, search);
      fresh = false;
      if (shrink(interval, above, bounds, parts, search) > float(kMostListed)) continue;
      listed = interval;
    }
    const uint count = list_interval(row, listed, search, mine);
    if (!guessing) return Listed(count, above);
    guessing = false;
    if (count == 0) continue;
    const float sum = sorted_sums[count - 1];
    if (!search.by_weight || sum >= search.target) return Listed(count, 0.0);
    interval.high = guess;
    above = sum;
  }
  return Listed(0u, 0.0);
}

/// Draws after both cuts, each of which may be none. As long as all that is kept is in the list,
/// the row is not read again.
uint draw_kept(Row row, float mine, float point) {
  const bool best_k = size.top_k != 0 && size.top_k < size.vocabulary;
  const bool nucleus = size.top_p < 1.0;
  const uint wanted = best_k ? size.top_k : kBins / 2u;
  uint guess = 0;
  if ((best_k || nucleus) && wanted <= kBins) guess = key_of(bin_value(wanted, mine));

  Cut cut = kKeepAll;
  bool listed = false;  // Whether all that is kept is in the list, ...
  uint kept = 0;        // ... as its first tokens.
  float total = 0.0;
  // 0: the k best; 1: the nucleus; 2: what is kept then.
  for (uint stage = best_k ? 0 : 1; true; ++stage) {
    if (stage == 1 && !nucleus) continue;
    if (listed) {
      total = sorted_sums[kept - 1];
    } else if (stage != 0) {
      total = add_segments(row, cut);
    }
    if (stage == 2) break;
    const bool by_weight = stage == 1;
    // At least one token is kept: a target is never 0.
    const float target = by_weight ? max(size.top_p * total, 1e-30) : float(size.top_k);
    Listed best = Listed(kept, 0.0);
    if (!listed) {
      const uint low = by_weight ? least_key_of_nucleus(total) : 0u;
      best = list_for(row, Search(cut, by_weight, target), guess, low, mine);
      if (best.count == 0) continue;
    }
    kept = by_weight ? count_to(best.count, best.above, target)
                     : min(uint(target - best.above), best.count);
    listed = best.above == 0.0;
    cut = Cut(sorted_keys[kept - 1], IN_QUADS(sorted_tokens, kept - 1));
    guess = 0;
  }
  return listed ? draw_from_list(kept, point) : draw_from_row(row, cut, total, point);
}

uint draw(Row row, uint row_index) {
  const Best best = best_of_thread(row);
  const float edge = edge_of_thread(row);
  const float mine = larger(edge, best.value);
  const float largest = group_max(mine);
  if (!(size.temperature > 0.0)) return lowest_best(row, best, edge, largest);
  weight_top = largest;
  weight_scale = 1.4426950408889634 / size.temperature;
  return draw_kept(row, mine, random_number(row_index));
}

void main() {
  const uint row_index = gl_WorkGroupID.x;
  if (row_index >= size.rows) return;
  const uint token = draw(row_at(row_index, size.vocabulary), row_index);
  if (thread_index() == 0) tokens[row_index] = token;
}
