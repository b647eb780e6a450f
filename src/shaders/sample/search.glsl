// SPDX-License-Identifier: Apache-2.0
//
// Which tokens a cut leaves to decide about: an interval that shrinks to an eighth of its logits,
// or of its keys, with each pass over the row, until its tokens fit into the list. If it shrinks to
// one key that more tokens have, it goes on as an interval of their numbers.
#ifndef SEGUE_SAMPLE_SEARCH_GLSL
#define SEGUE_SAMPLE_SEARCH_GLSL

#include "sample/list.glsl"

/// Tokens with a place from `low` to below `high`. The place of a better token is larger: its key
/// or, if `tied`, its number counted down, of tokens with key `tied_key` only.
struct Interval {
  uint low;
  uint high;
  bool tied;
  uint tied_key;
};

/// No token's place.
const uint kBeyond = 0xFFFFFFFFu;

uint place_of(Interval interval, uint key, uint token) {
  if (!interval.tied) return key;
  return key == interval.tied_key ? kBeyond - 1u - token : kBeyond;
}

/// What is looked for: the fewest best of the tokens that `within` keeps whose measures, weights or
/// counts, add up to `target`.
struct Search {
  Cut within;
  bool by_weight;
  float target;
};

bool is_in(Interval interval, Search search, uint key, uint token) {
  const uint place = place_of(interval, key, token);
  return place >= interval.low && place < interval.high && keeps(search.within, key, token);
}

const uint kParts = 8;

/// Where the parts of an interval begin, in order; the first at its low end.
struct Bounds {
  uint at[kParts];
};

/// Whether logits between `low` and `high` are so far apart that they can be divided.
bool divisible(float low, float high) {
  return high < 3e38 && low > -3e38 && high - low > 1e-5 * max(abs(high), abs(low));
}

/// Parts of the same width in logits where that makes sense, otherwise in places. `fresh`: nothing
/// is known about the interval, and its best token is its upper end.
Bounds divide(Interval interval, bool fresh) {
  const float low = logit_of(interval.low);
  const float high = logit_of(interval.high - 1u);
  const bool by_logit = !interval.tied && divisible(low, high);
  const bool by_distance = !interval.tied && !by_logit && fresh && abs(high) < 1e6;
  const uint width = (interval.high - interval.low - 1u) / kParts + 1u;
  Bounds bounds;
  bounds.at[0] = interval.low;
  [[unroll]] for (uint i = 1; i < kParts; ++i) {
    uint at = bounds.at[i - 1] + min(width, interval.high - bounds.at[i - 1]);
    if (by_logit) at = key_of(low + (high - low) * (float(i) / float(kParts)));
    if (by_distance) at = key_of(high - float(1u << (kParts - i)));
    bounds.at[i] = clamp(at, bounds.at[i - 1], interval.high);
  }
  return bounds;
}

/// What the tokens of an interval in part i or above it measure, and how many they are: parts 0 to
/// 3, and 4 to 7.
struct Parts {
  vec4 measures[2];
  vec4 counts[2];
};

shared vec4 part_sums[4 * kMostSubgroups];

/// Parts of all threads, added up.
Parts sum_parts(Parts mine) {
  mine.measures[0] = subgroupAdd(mine.measures[0]);
  mine.measures[1] = subgroupAdd(mine.measures[1]);
  mine.counts[0] = subgroupAdd(mine.counts[0]);
  mine.counts[1] = subgroupAdd(mine.counts[1]);
  barrier();
  if (subgroupElect()) {
    part_sums[4u * gl_SubgroupID] = mine.measures[0];
    part_sums[4u * gl_SubgroupID + 1u] = mine.measures[1];
    part_sums[4u * gl_SubgroupID + 2u] = mine.counts[0];
    part_sums[4u * gl_SubgroupID + 3u] = mine.counts[1];
  }
  barrier();
  Parts all = Parts(vec4[](vec4(0.0), vec4(0.0)), vec4[](vec4(0.0), vec4(0.0)));
  for (uint i = 0; i < gl_NumSubgroups; ++i) {
    all.measures[0] += part_sums[4u * i];
    all.measures[1] += part_sums[4u * i + 1u];
    all.counts[0] += part_sums[4u * i + 2u];
    all.counts[1] += part_sums[4u * i + 3u];
  }
  return all;
}

void measure(inout Parts parts, Interval interval, Bounds bounds, Search search, uint token,
             float logit) {
  const uint key = key_of(logit);
  if (!is_in(interval, search, key, token)) return;
  const uvec4 place = uvec4(place_of(interval, key, token));
  const uvec4 low = uvec4(bounds.at[0], bounds.at[1], bounds.at[2], bounds.at[3]);
  const uvec4 high = uvec4(bounds.at[4], bounds.at[5], bounds.at[6], bounds.at[7]);
  const vec4 in_low = vec4(greaterThanEqual(place, low));
  const vec4 in_high = vec4(greaterThanEqual(place, high));
  const float value = search.by_weight ? weight_of(logit) : 1.0;
  parts.measures[0] += value * in_low;
  parts.measures[1] += value * in_high;
  parts.counts[0] += in_low;
  parts.counts[1] += in_high;
}

Parts measure_parts(Row row, Interval interval, Bounds bounds, Search search) {
  Parts parts = Parts(vec4[](vec4(0.0), vec4(0.0)), vec4[](vec4(0.0), vec4(0.0)));
  const uint stride = 4u * local_size;
  for (uint base = row.begin + thread_index(); base < row.end; base += stride) {
    vec4 loaded = vec4(0.0);
    [[unroll]] for (uint k = 0; k < 4; ++k) {
      if (base + k * local_size < row.end) loaded[k] = LOGITS[base + k * local_size];
    }
    for (uint k = 0; k < 4; ++k) {
      const uint at = base + k * local_size;
      if (at < row.end) measure(parts, interval, bounds, search, at - row.begin, loaded[k]);
    }
  }
  return sum_parts(parts);
}

/// Shrinks an interval to the highest part from which on there is enough. `above`, what tokens
/// above the interval measure, stays below the target. Returns how many tokens are left.
float shrink(inout Interval interval, inout float above, Bounds bounds, Parts parts,
             Search search) {
  float count = parts.counts[0].x;
  float measure_above = 0.0;
  bool found = false;
  [[unroll]] for (uint i = 1; i < kParts; ++i) {
    if (found) continue;
    const float measured = parts.measures[i / 4][i % 4];
    const float counted = parts.counts[i / 4][i % 4];
    if (above + measured >= search.target) {
      interval.low = bounds.at[i];
      count = counted;
    } else {
      found = true;
      interval.high = bounds.at[i];
      count -= counted;
      measure_above = measured;
    }
  }
  above += measure_above;
  return count;
}

void list_if_in(Interval interval, Search search, uint token, float logit) {
  const uint key = key_of(logit);
  if (is_in(interval, search, key, token)) add_to_list(key, token, logit);
}

/// Lists the tokens of an interval. A thread whose share of the row has nothing better than `mine`
/// need not read it again if the interval begins above that. Returns the size of the list, 0 if it
/// is too small.
uint list_interval(Row row, Interval interval, Search search, float mine) {
  clear_list();
  const uint least_key = interval.tied ? interval.tied_key : interval.low;
  if (key_of(mine) >= least_key) {
    const float least = logit_of(least_key);
#define LIST_QUAD(quad, values)                                                        \
  if (least_key == 0u || any(greaterThanEqual(values, vec4(least)))) {                 \
    for (uint i = 0; i < 4; ++i)                                                       \
      list_if_in(interval, search, 4u * (quad) + i - row.begin, values[i]);            \
  }
    FOR_QUADS(row.first + thread_index(), row.last, local_size, LIST_QUAD)
#undef LIST_QUAD
    if (thread_index() < edge_count(row)) {
      const uint element = edge_element(row, thread_index());
      list_if_in(interval, search, element - row.begin, LOGITS[element]);
    }
  }
  return sort_list();
}

#endif
