// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// The inline bytes of each built-in kernel: what src/ops writes and every backend's kernels read.
// Plain 32-bit fields without padding, so that C++, GLSL and CUDA agree on the layout.

namespace segue::base {

/// "mat_vec_*": y[t, r] = sum over c of weights[r, c] * x[t, c], for t < tokens, r < rows, c <
/// columns. Arguments: weights, x [tokens, columns] F32, y [tokens, rows] F32, this. A group makes
/// items_per_group rows of all tokens.
struct MatMulParams {
  std::uint32_t tokens;
  std::uint32_t rows;
  std::uint32_t columns;
};

/// "repack_*_tile16": weights [rows, columns] from the row-major layout to tiles of 16 rows.
/// Arguments: source, destination, this. A group makes items_per_group rows.
struct RepackParams {
  std::uint32_t rows;
  std::uint32_t columns;
};

/// "rms_norm": y[r, c] = x[r, c] / sqrt(mean over c of x[r, c]^2 + epsilon); "rms_norm_weighted":
/// times weight[c]. Arguments: x, [weight], y, this. A group makes items_per_group rows. x and y
/// may be the same view.
struct RmsNormParams {
  std::uint32_t rows;
  std::uint32_t columns;
  float epsilon;
};

/// "add", "mul": y[i] = a[i] op b[i mod period], for i < count; "silu", "silu_mul": period is
/// count. Arguments: a, b, y, this; silu: x, y, this. A group makes items_per_group elements. y may
/// be a or, without repetition, b.
struct ElementwiseParams {
  std::uint32_t count;
  std::uint32_t period;
};

/// "rope_interleaved", "rope_neox": rotates the first `rotated` values of each head by (position +
/// t) * base^(-2i / rotated), i < rotated / 2, and copies the others. Pairs are (2i, 2i + 1), or
/// (i, i + rotated / 2). Arguments: x [tokens, heads * head_size], y of the same shape, this. A
/// group makes items_per_group (token, head) pairs, heads fastest. x and y may be the same view.
struct RopeParams {
  std::uint32_t tokens;
  std::uint32_t heads;
  std::uint32_t head_size;
  std::uint32_t rotated;
  std::uint32_t position;
  float base;
};

/// "kv_append_f32", "kv_append_f16": cache[position + t, c] = x[t, c].
/// Arguments: x [tokens, columns] F32, cache, this. A group makes items_per_group rows.
struct KvAppendParams {
  std::uint32_t tokens;
  std::uint32_t columns;
  std::uint32_t position;
};

/// "attention_f32", "attention_f16", named after the cache's type: token t attends to rows 0 to
/// position + t; query head h reads key and value head h / (heads / kv_heads). Arguments: q
/// [tokens, heads * head_size] F32, keys and values [more rows, kv_heads * head_size], y as q,
/// this. A group makes items_per_group (token, head) pairs, heads fastest.
struct AttentionParams {
  std::uint32_t tokens;
  std::uint32_t heads;
  std::uint32_t kv_heads;
  std::uint32_t head_size;
  std::uint32_t position;
  float scale;
};

/// "softmax": y[r, c] = exp(x[r, c]) / sum over c of exp(x[r, c]).
/// Arguments: x, y, this. A group makes items_per_group rows. x and y may be the same view.
struct SoftmaxParams {
  std::uint32_t rows;
  std::uint32_t columns;
};

/// "embedding_{f32,f16,bf16,q8_0,q4_0}": y[t, c] = table[tokens[t], c]; NaN where a token is no row
/// of the table. Arguments: tokens U32, table [vocabulary, columns] row-major, y, this. A group
/// makes items_per_group rows.
struct EmbeddingParams {
  std::uint32_t tokens;
  std::uint32_t vocabulary;
  std::uint32_t columns;
};

/// "argmax": tokens[r] = the lowest c with the largest x[r, c]; NaN only counts where a row has
/// nothing else. Arguments: x, tokens U32, this. A group makes items_per_group rows.
struct ArgmaxParams {
  std::uint32_t rows;
  std::uint32_t columns;
};

/// "sample": tokens[r] drawn from row r of the logits.
/// Arguments: logits [rows, vocabulary], tokens U32, this. A group makes items_per_group rows.
struct SampleParams {
  std::uint32_t rows;
  std::uint32_t vocabulary;
  std::uint32_t top_k;  ///< 0: all.
  float top_p;          ///< From 1 on: all.
  float temperature;    ///< 0 or less: argmax.
  std::uint32_t seed_low;
  std::uint32_t seed_high;
  std::uint32_t step;  ///< Row r draws number step + r of the seed's stream.
};

}  // namespace segue::base
