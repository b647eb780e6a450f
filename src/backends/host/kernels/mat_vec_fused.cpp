// SPDX-License-Identifier: Apache-2.0
//
// Products of one token, fused with what stands around them. All of them prepare the activations
// once, for all their matrices. What follows the product is done a block of rows at a time, while
// the block's products are in the first-level cache.
#include "backends/host/kernels/mat_vec_fused.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/host/kernels/cache_rows.hpp"
#include "base/op_params.hpp"

namespace segue::host::mat_vec {
namespace {

using Params = base::FusedMatVecParams;
using AppendParams = base::NormMatVec3RopeKvAppendParams;

/// Rows whose products wait for what follows them. Whole tiles.
constexpr std::uint32_t kBlockRows = 512;

/// A product that shares its activations with others.
struct Matrix {
  const std::byte* weights;
  float* y;
};

/// Part of a matrix.
struct Rows {
  std::uint32_t begin;
  std::uint32_t end;
};

/// The rows of a matrix whose first group is `first_group` that this call makes.
Rows rows_of(const KernelContext& work, std::uint64_t first_group, std::uint32_t rows) {
  const auto row = [&](std::uint64_t group) {
    const std::uint64_t tile = std::max(group, first_group) - first_group;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(tile * kTileRows, rows));
  };
  return {row(work.group_begin), row(work.group_end)};
}

/// Calls `make(m, rows)` for what this call makes of the first `count` matrices.
template <class Make>
void for_each_matrix(const KernelContext& work, const std::uint32_t (&rows)[3], std::size_t count,
                     Make&& make) {
  std::uint64_t first_group = 0;
  for (std::size_t m = 0; m < count; ++m) {
    const Rows part = rows_of(work, first_group, rows[m]);
    if (part.begin < part.end) make(m, part);
    first_group += (std::uint64_t{rows[m]} + kTileRows - 1) / kTileRows;
  }
}

template <std::size_t kCount>
void multiply_each(const KernelContext& work, TokenActivations& x, const Params& size,
                   const Matrix (&matrices)[kCount]) {
  for_each_matrix(work, size.rows, kCount, [&](std::size_t m, Rows rows) {
    x.multiply(matrices[m].weights, rows.begin, rows.end, matrices[m].y + rows.begin);
  });
}

/// Calls `make(begin, end)` for blocks of rows.
template <class Make>
void for_each_block(Rows rows, Make&& make) {
  for (std::uint32_t begin = rows.begin; begin < rows.end;) {
    const std::uint32_t end = begin + std::min(rows.end - begin, kBlockRows);
    make(begin, end);
    begin = end;
  }
}

void multiply_add(const KernelContext& work, const Steps& steps, TokenActivations& x,
                  const Params& size, const std::byte* weights, const float* residual, float* y) {
  for_each_block(rows_of(work, 0, size.rows[0]), [&](std::uint32_t begin, std::uint32_t end) {
    float products[kBlockRows];
    x.multiply(weights, begin, end, products);
    steps.add(residual + begin, products, y + begin, end - begin);
  });
}

void multiply_silu_mul(const KernelContext& work, const Steps& steps, TokenActivations& x,
                       const Params& size, const std::byte* gate, const std::byte* up, float* y) {
  for_each_block(rows_of(work, 0, size.rows[0]), [&](std::uint32_t begin, std::uint32_t end) {
    float gates[kBlockRows];
    float ups[kBlockRows];
    x.multiply(gate, begin, end, gates);
    x.multiply(up, begin, end, ups);
    steps.silu_mul(gates, ups, y + begin, end - begin);
  });
}

using Weights = In<std::byte>;
using Floats = In<float>;
using Result = Out<float>;

void rotate(const Steps& steps, const Rotation& by, HeadValues values, const float* x, float* y) {
  steps.rotate(by, values, x, y);
}
void rotate(const Steps& steps, const Rotation& by, HeadValues values, const float* x,
            std::uint16_t* y) {
  steps.rotate_and_round(by, values, x, y);
}
void append(const Steps&, const float* x, float* y, std::size_t count) { std::copy_n(x, count, y); }
void append(const Steps& steps, const float* x, std::uint16_t* y, std::size_t count) {
  steps.round(x, y, count);
}

/// The queries, keys and values of one token; these go to caches of floats or of the bits of
/// halves.
template <class Cached>
struct AttentionInputs {
  const std::byte* weights[3];
  float* q;
  Out<Cached> keys;
  Out<Cached> values;
};

/// The row of a cache that a token gets, or null if there is none.
template <class Cached>
Cached* row_of(Out<Cached> cache, std::uint32_t columns, std::uint32_t position) {
  if (rows_in_cache(cache.size(), columns, position, 1) == 0) return nullptr;
  return cache.data() + std::size_t{position} * columns;
}

template <class Cached>
void multiply_append(const KernelContext& work, const Steps& steps, TokenActivations& x,
                     const AppendParams& size, const AttentionInputs<Cached>& made) {
  const Rotation by{size.head_size, size.rotated, size.position, size.base};
  Cached* const key = row_of(made.keys, size.rows[1], size.position);
  Cached* const value = row_of(made.values, size.rows[2], size.position);
  for_each_matrix(work, size.rows, 3, [&](std::size_t m, Rows rows) {
    if ((m == 1 && key == nullptr) || (m == 2 && value == nullptr)) return;
    for_each_block(rows, [&](std::uint32_t begin, std::uint32_t end) {
      float products[kBlockRows];
      x.multiply(made.weights[m], begin, end, products);
      switch (m) {
        case 0: return rotate(steps, by, {begin, end}, products, made.q + begin);
        case 1: return rotate(steps, by, {begin, end}, products, key + begin);
        default: return append(steps, products, value + begin, end - begin);
      }
    });
  });
}

}  // namespace

void append_fused_kernels(std::vector<KernelSource>& kernels, std::string_view name,
                          const Form& form, const Steps& steps, const KernelOptions& options) {
  const auto add = [&](std::string_view prefix, std::initializer_list<std::string_view> names,
                       auto call) {
    kernels.push_back(kernel(std::string(prefix).append(name), names, call, options));
  };

  add("mat_vec_add_", {"weights", "x", "residual", "y", "size"},
      [form, steps](const KernelContext& work, Weights weights, Floats x, Floats residual, Result y,
                    const Params& size) {
        TokenActivations token(form, x.data(), size.columns);
        multiply_add(work, steps, token, size, weights.data(), residual.data(), y.data());
      });
  add("mat_vec_silu_mul_", {"gate", "up", "x", "y", "size"},
      [form, steps](const KernelContext& work, Weights gate, Weights up, Floats x, Result y,
                    const Params& size) {
        TokenActivations token(form, x.data(), size.columns);
        multiply_silu_mul(work, steps, token, size, gate.data(), up.data(), y.data());
      });
  add("mat_vec2_", {"w0", "w1", "x", "y0", "y1", "size"},
      [form](const KernelContext& work, Weights w0, Weights w1, Floats x, Result y0, Result y1,
             const Params& size) {
        TokenActivations token(form, x.data(), size.columns);
        multiply_each<2>(work, token, size, {{w0.data(), y0.data()}, {w1.data(), y1.data()}});
      });
  add("mat_vec3_", {"w0", "w1", "w2", "x", "y0", "y1", "y2", "size"},
      [form](const KernelContext& work, Weights w0, Weights w1, Weights w2, Floats x, Result y0,
             Result y1, Result y2, const Params& size) {
        TokenActivations token(form, x.data(), size.columns);
        multiply_each<3>(work, token, size,
                         {{w0.data(), y0.data()}, {w1.data(), y1.data()}, {w2.data(), y2.data()}});
      });

  const auto normalised = [form, steps](Floats x, Floats norm_weight, const Params& size) {
    return TokenActivations(form, steps, x.data(), norm_weight.data(), size.columns, size.epsilon);
  };
  add("norm_mat_vec_", {"weights", "x", "norm_weight", "y", "size"},
      [normalised](const KernelContext& work, Weights weights, Floats x, Floats norm_weight,
                   Result y, const Params& size) {
        TokenActivations token = normalised(x, norm_weight, size);
        multiply_each<1>(work, token, size, {{weights.data(), y.data()}});
      });
  add("norm_mat_vec_silu_mul_", {"gate", "up", "x", "norm_weight", "y", "size"},
      [normalised, steps](const KernelContext& work, Weights gate, Weights up, Floats x,
                          Floats norm_weight, Result y, const Params& size) {
        TokenActivations token = normalised(x, norm_weight, size);
        multiply_silu_mul(work, steps, token, size, gate.data(), up.data(), y.data());
      });
  add("norm_mat_vec2_", {"w0", "w1", "x", "norm_weight", "y0", "y1", "size"},
      [normalised](const KernelContext& work, Weights w0, Weights w1, Floats x, Floats norm_weight,
                   Result y0, Result y1, const Params& size) {
        TokenActivations token = normalised(x, norm_weight, size);
        multiply_each<2>(work, token, size, {{w0.data(), y0.data()}, {w1.data(), y1.data()}});
      });
  add("norm_mat_vec3_", {"w0", "w1", "w2", "x", "norm_weight", "y0", "y1", "y2", "size"},
      [normalised](const KernelContext& work, Weights w0, Weights w1, Weights w2, Floats x,
                   Floats norm_weight, Result y0, Result y1, Result y2, const Params& size) {
        TokenActivations token = normalised(x, norm_weight, size);
        multiply_each<3>(work, token, size,
                         {{w0.data(), y0.data()}, {w1.data(), y1.data()}, {w2.data(), y2.data()}});
      });

  const auto add_append = [&]<class Cached>(std::string_view prefix, Cached) {
    add(prefix, {"w0", "w1", "w2", "x", "norm_weight", "q", "keys", "values", "size"},
        [form, steps](const KernelContext& work, Weights w0, Weights w1, Weights w2, Floats x,
                      Floats norm_weight, Result q, Out<Cached> keys, Out<Cached> values,
                      const AppendParams& size) {
          TokenActivations token(form, steps, x.data(), norm_weight.data(), size.columns,
                                 size.epsilon);
          multiply_append<Cached>(work, steps, token, size,
                                  {{w0.data(), w1.data(), w2.data()}, q.data(), keys, values});
        });
  };
  add_append("norm_mat_vec3_rope_kv_append_interleaved_f32_", float{});
  add_append("norm_mat_vec3_rope_kv_append_interleaved_f16_", std::uint16_t{});
}

}  // namespace segue::host::mat_vec
