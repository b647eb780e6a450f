// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// The inline bytes of each built-in kernel: what src/ops writes and every backend's kernels read.
// Plain 32-bit fields without padding, so that C++, GLSL and CUDA agree on the layout.

namespace segue::base {

/// "mat_vec_*": y[t, r] = sum over c of weights[r, c] * x[t, c], for t < tokens, r < rows, c <
/// columns. Arguments: weights, x [tokens, columns] F32, y [tokens, rows] F32, this. A group makes
/// items_per_group rows of all tokens.
///
/// "mat_mul_*": the same for many tokens. A group makes items_per_group rows of batch_per_group
/// tokens, batches along y. "mat_mul_*_half" rounds weights and, twice, activations to F16.
struct MatMulParams {
  std::uint32_t tokens;
  std::uint32_t rows;
  std::uint32_t columns;
};

/// Products of one token, fused with what is around them; the same bits as the kernels that they
/// replace. S is the form of the weights, as in "mat_vec_S"; matrix m has rows[m] rows, 0 if
/// unused.
///
/// | kernel                | arguments before this           | result                            |
/// |-----------------------|---------------------------------|-----------------------------------|
/// | mat_vec_add_S         | weights, x, residual, y         | y = residual + weights x          |
/// | mat_vec_silu_mul_S    | gate, up, x, y                  | y = silu(gate x) * (up x)         |
/// | mat_vec2_S            | w0, w1, x, y0, y1               | ym = wm x                         |
/// | mat_vec3_S            | w0, w1, w2, x, y0, y1, y2       | ym = wm x                         |
/// | norm_mat_vec_S        | weights, x, norm_weight, y      | y = weights x'                    |
/// | norm_mat_vec_silu_mul_S, norm_mat_vec2_S, norm_mat_vec3_S: the same with x' for x, and
/// norm_weight [columns] after x; x' = rms_norm(x, epsilon) * norm_weight. epsilon is 0 elsewhere.
///
/// gate and up have rows[0] rows each. y may be the same view as residual. A group makes
/// items_per_group rows of one matrix: first those of w0, then those of w1, then those of w2.
struct FusedMatVecParams {
  std::uint32_t rows[3];
  std::uint32_t columns;
  float epsilon;
};

/// "repack_*_tile16", "repack_*_planes": weights [rows, columns] from the row-major layout to tiles
/// of 16 rows, or to planes.
/// Arguments: source, destination, this. A group makes items_per_group rows.
struct RepackParams {
  std::uint32_t rows;
  std::uint32_t columns;
};

/// "rms_norm": y[r, c] = x[r, c] / sqrt(mean over c of x[r, c]^2 + epsilon); "rms_norm_weighted":
/// times weight[c]. Arguments: x, [weight], y, this. A group makes items_per_group rows. x and y
/// may be the same view.
///
/// "add_rms_norm", "add_rms_norm_weighted": sum = a + b, y = rms_norm(sum), the same bits as the
/// two kernels. Arguments: a, b, [weight], sum, y, this. sum may be the same view as a or b.
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

/// "kv_append_f32", "kv_append_f16": cache[position + t, c] = x[t, c]; nothing where the cache has
/// no such row. Arguments: x [tokens, columns] F32, cache, this. A group makes items_per_group
/// rows.
struct KvAppendParams {
  std::uint32_t tokens;
  std::uint32_t columns;
  std::uint32_t position;
};

/// "rope_kv_append_{interleaved,neox}_{f32,f16}": cache[position + t] = rope(x[t]), the same bits
/// as the two kernels. Arguments: x [tokens, heads * head_size] F32, cache of such rows, this. A
/// group makes items_per_group (token, head) pairs, heads fastest.
struct RopeKvAppendParams {
  std::uint32_t tokens;
  std::uint32_t heads;
  std::uint32_t head_size;
  std::uint32_t rotated;
  std::uint32_t position;
  float base;
};

/// "norm_mat_vec3_rope_kv_append_interleaved_{f32,f16}_S": what attention reads of one token, from
/// norm_mat_vec3_S, the two rotations and both appends, with the same bits: q = rope(w0 x'), row
/// `position` of keys = rope(w1 x') and of values = w2 x', where x' = rms_norm(x, epsilon) *
/// norm_weight. keys and values have rows of rows[1] and rows[2]; where one has no such row,
/// nothing is written to it. head_size and rotated are even. Arguments: w0, w1, w2, x, norm_weight,
/// q [rows[0]] F32, keys, values, this. Groups as in FusedMatVecParams.
///
/// Pairs half a head apart ("neox") are made by different groups, so there is no such kernel for
/// them.
struct NormMatVec3RopeKvAppendParams {
  std::uint32_t rows[3];
  std::uint32_t columns;
  float epsilon;
  std::uint32_t head_size;
  std::uint32_t rotated;
  std::uint32_t position;
  float base;
};

/// "attention_f32", "attention_f16", named after the cache's type: token t attends to rows 0 to
/// position + t, or to as many as the cache has (NaN if none); query head h reads key and value
/// head h / (heads / kv_heads). Arguments: q [tokens, heads * head_size] F32, keys and values [more
/// rows, kv_heads * head_size], y as q, this. A group makes items_per_group (token, head) pairs,
/// heads fastest.
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

/// "embedding_token_{f32,f16,bf16,q8_0,q4_0}": y[c] = table[token, c]; NaN if it is no row of the
/// table. Arguments: table [vocabulary, columns] row-major, y, this. One group.
struct EmbeddingTokenParams {
  std::uint32_t token;
  std::uint32_t vocabulary;
  std::uint32_t columns;
};

/// "advance": ring[position mod ring_size] = token; state = {position + 1, token}. Arguments: token
/// [1] U32, state {position, token} U32, ring [ring_size] U32, this. One group.
struct AdvanceParams {
  std::uint32_t ring_size;
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
