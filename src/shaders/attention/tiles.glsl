// SPDX-License-Identifier: Apache-2.0
//
// Many queries, as in a prompt: a group makes a tile of neighbouring tokens of one head, and reads
// rows of the cache once for all of them, a tile of rows at a time (Dao et al., "FlashAttention",
// 2022). Threads make four scores by four, and four queries by a quad of columns of the result.
//
// Shared memory: a tile of keys, then of values; after it the scores, which become weights.
#ifndef SEGUE_ATTENTION_TILES_GLSL
#define SEGUE_ATTENTION_TILES_GLSL

#include "attention/merge.glsl"

const uint kMostTileTokens = 128;

shared float tile_maxima[kMostTileTokens];
shared float tile_sums[kMostTileTokens];
shared float tile_factors[kMostTileTokens];

/// How a group's work is cut.
struct Tiles {
  uint tokens;  ///< Of a tile, a multiple of 4: each thread has at most one block of results.
  uint rows;    ///< Of a tile, a multiple of 4.
  uint quads;   ///< Of a head.
};

Tiles choose_tiles() {
  const uint quads = size.head_size / 4u;
  return Tiles(min(local_size / quads * 4u, kMostTileTokens), size.head_size <= 128u ? 32u : 16u,
               quads);
}

/// Quads from row to row of keys and values: one more than there are, so that lanes which read a
/// quad of neighbouring rows meet different banks.
uint row_stride(Tiles tiles) { return tiles.quads + 1u; }
/// The first quad of the scores of query `i`.
uint scores_of(Tiles tiles, uint i) {
  return tiles.rows * row_stride(tiles) + i * (tiles.rows / 4u);
}

/// Whether this kernel should make tiles, and has the memory for it.
bool can_make_tiles() {
  if (tile_tokens == 0u || size.tokens < tile_tokens) return false;
  if (size.head_size % 4u != 0u || size.head_size > 256u) return false;
  const Tiles tiles = choose_tiles();
  return tiles.tokens != 0u && scores_of(tiles, tiles.tokens) <= kSharedFloats / 4u &&
         rows_of(0) != 0u;
}

/// The tile of this group.
struct Tile {
  uint first;     ///< Token.
  uint tokens;    ///< How many there are.
  uint q_begin;   ///< The first quad of the first query.
  uint q_stride;  ///< Quads from query to query.
  uint kv_begin;  ///< The first quad of the head in row 0 of the cache.
  uint rows;      ///< That the last token sees.
};

/// The first quad of query `i`; of the last one where there is none.
uint query_quad(Tile tile, uint i) {
  return tile.q_begin + min(i, tile.tokens - 1u) * tile.q_stride;
}

#define LOAD_TILE(SOURCE, tiles, tile, row)                                            \
  for (uint i = thread_index(); i < tiles.rows * tiles.quads; i += local_size) {       \
    const uint at = i / tiles.quads;                                                   \
    const uint quad = i - at * tiles.quads;                                            \
    const uint from = min(row + at, tile.rows - 1u) * (cache_stride() / 4u);           \
    shared_quads[at * row_stride(tiles) + quad] =                                      \
        CACHED_QUAD(SOURCE[tile.kv_begin + from + quad]);                              \
  }

/// Scores of all queries with the rows of the tile from `row` on.
void make_scores(Tiles tiles, Tile tile, uint row) {
  const uint row_blocks = tiles.rows / 4u;
  const uint blocks = tiles.tokens / 4u * row_blocks;
  for (uint block = thread_index(); block < blocks; block += local_size) {
    const uint query = block / row_blocks * 4u;
    const uint lane = block % row_blocks;  // Rows lane, lane + row_blocks, ...
    uint q_at[4];
    [[unroll]] for (uint i = 0; i < 4; ++i) q_at[i] = query_quad(tile, query + i);
    vec4 scores[4];
    [[unroll]] for (uint i = 0; i < 4; ++i) scores[i] = vec4(0.0);
    for (uint quad = 0; quad < tiles.quads; ++quad) {
      vec4 key[4];
      [[unroll]] for (uint r = 0; r < 4; ++r)
        key[r] = shared_quads[(lane + r * row_blocks) * row_stride(tiles) + quad];
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        const vec4 q = q_quads[q_at[i] + quad];
        scores[i] += vec4(dot(q, key[0]), dot(q, key[1]), dot(q, key[2]), dot(q, key[3]));
      }
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const uint seen = rows_of(tile.first + query + i);
      [[unroll]] for (uint r = 0; r < 4; ++r) {
        const uint column = lane + r * row_blocks;
        SHARED_FLOAT(4u * scores_of(tiles, query + i) + column) =
            row + column < seen ? scores[i][r] * score_scale() : -kInfinity;
      }
    }
  }
}

/// Scores become weights; sums and largest scores of the queries move on.
void make_weights(Tiles tiles) {
  // Four lanes to a query.
  const uint lane = thread_index() & 3u;
  for (uint query = thread_index() / 4u; query < tiles.tokens; query += local_size / 4u) {
    const uint begin = scores_of(tiles, query);
    const float before = tile_maxima[query];
    float largest = before;
    for (uint i = lane; i < tiles.rows / 4u; i += 4u) {
      const vec4 v = shared_quads[begin + i];
      largest = max(largest, max(max(v.x, v.y), max(v.z, v.w)));
    }
    largest = max(largest, subgroupShuffleXor(largest, 1u));
    largest = max(largest, subgroupShuffleXor(largest, 2u));
    float sum = 0.0;
    for (uint i = lane; i < tiles.rows / 4u; i += 4u) {
      const vec4 weight = exp2(shared_quads[begin + i] - largest);
      shared_quads[begin + i] = weight;
      sum += (weight.x + weight.y) + (weight.z + weight.w);
    }
    sum += subgroupShuffleXor(sum, 1u);
    sum += subgroupShuffleXor(sum, 2u);
    if (lane == 0u) {
      const float factor = exp2(before - largest);
      tile_maxima[query] = largest;
      tile_sums[query] = tile_sums[query] * factor + sum;
      tile_factors[query] = factor;
    }
  }
}

/// Adds weights times values to the sums of queries `query` to `query` + 3, columns of quad `quad`.
void add_values(Tiles tiles, uint query, uint quad, inout vec4 sums[4]) {
  [[unroll]] for (uint i = 0; i < 4; ++i) sums[i] *= tile_factors[query + i];
  for (uint r = 0; r < tiles.rows / 4u; ++r) {
    vec4 value[4];
    [[unroll]] for (uint k = 0; k < 4; ++k)
      value[k] = shared_quads[(4u * r + k) * row_stride(tiles) + quad];
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const vec4 weight = shared_quads[scores_of(tiles, query + i) + r];
      sums[i] += weight.x * value[0];
      sums[i] += weight.y * value[1];
      sums[i] += weight.z * value[2];
      sums[i] += weight.w * value[3];
    }
  }
}

void attend_tile(Tiles tiles, Tile tile) {
  const uint query = thread_index() / tiles.quads * 4u;
  const uint quad = thread_index() % tiles.quads;
  vec4 sums[4];
  [[unroll]] for (uint i = 0; i < 4; ++i) sums[i] = vec4(0.0);
  for (uint i = thread_index(); i < tiles.tokens; i += local_size) {
    tile_maxima[i] = kLeast;
    tile_sums[i] = 0.0;
  }
  for (uint row = 0; row < tile.rows; row += tiles.rows) {
    barrier();
    LOAD_TILE(key_quads, tiles, tile, row)
    barrier();
    make_scores(tiles, tile, row);
    barrier();
    LOAD_TILE(value_quads, tiles, tile, row)
    make_weights(tiles);
    barrier();
    if (query < tiles.tokens) add_values(tiles, query, quad, sums);
  }
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    if (query + i < min(tile.tokens, tiles.tokens))
      y_quads[query_quad(tile, query + i) + quad] = sums[i] / tile_sums[query + i];
  }
}

/// Makes tile `index`, if there are so many; the tiles with most rows come first.
void attend_tiles(uint index) {
  const Tiles tiles = choose_tiles();
  const uint count = (size.tokens + tiles.tokens - 1u) / tiles.tokens;
  const uint ordinal = index / size.heads;
  if (ordinal >= count) return;
  const uint head = index - ordinal * size.heads;
  const uint first = (count - 1u - ordinal) * tiles.tokens;
  const uint tokens = min(size.tokens - first, tiles.tokens);
  attend_tile(tiles, Tile(first, tokens, (first * size.heads + head) * tiles.quads,
                          size.heads * tiles.quads, kv_head_of(head) * tiles.quads,
                          rows_of(first + tokens - 1u)));
}

#endif
