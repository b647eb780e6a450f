// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/cache_rows.hpp"
#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/attention.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

/// Rows of the cache whose weights are on the stack at a time; whole vectors.
constexpr std::size_t kChunkRows = 256;
/// Most query heads that read a row of the cache together: their sums fit into registers.
constexpr std::size_t kMostHeads = kLanes >= 16 ? 4 : 2;
/// Rows that are multiplied together.
constexpr std::size_t kRows = kLanes >= 4 ? 4 : 1;

/// Neighbouring query heads of one token that read the same key and value head.
template <class T>
struct Heads {
  const float* query;
  const T* keys;    ///< Of the first row.
  const T* values;  ///< Of the first row.
  float* y;
  std::size_t stride;  ///< Elements from row to row of the cache.
  std::size_t size;    ///< Elements of a head.
  float scale;
};

#if HWY_MAX_BYTES >= 32
/// The sums of the lower and upper half of `a`, then those of `b`.
HWY_INLINE FloatVec sums_of_halves(FloatVec a, FloatVec b) {
  return hn::Add(hn::ConcatLowerLower(kFloats, b, a), hn::ConcatUpperUpper(kFloats, b, a));
}
#endif

/// Within blocks of four lanes: the sums over each block of four vectors, in their order.
HWY_INLINE FloatVec sums_in_blocks(const FloatVec (&v)[kRows]) {
#if HWY_MAX_BYTES >= 16
  const FloatVec even =
      hn::Add(hn::InterleaveLower(v[0], v[2]), hn::InterleaveUpper(kFloats, v[0], v[2]));
  const FloatVec odd =
      hn::Add(hn::InterleaveLower(v[1], v[3]), hn::InterleaveUpper(kFloats, v[1], v[3]));
  return hn::Add(hn::InterleaveLower(even, odd), hn::InterleaveUpper(kFloats, even, odd));
#else
  return v[0];
#endif
}

/// Across blocks: from the results of sums_in_blocks() for kLanes vectors to their sums, in order.
HWY_INLINE FloatVec sums_of_blocks(const FloatVec (&quads)[kLanes / kRows]) {
#if HWY_MAX_BYTES >= 64
  const FloatVec even = sums_of_halves(quads[0], quads[2]);
  const FloatVec odd = sums_of_halves(quads[1], quads[3]);
  return hn::OddEvenBlocks(hn::Add(odd, hn::SwapAdjacentBlocks(odd)),
                           hn::Add(even, hn::SwapAdjacentBlocks(even)));
#elif HWY_MAX_BYTES >= 32
  return sums_of_halves(quads[0], quads[1]);
#else
  return quads[0];
#endif
}

/// The products of kRows keys with each query, not yet added up over the lanes. Heads of kVectors
/// whole vectors, or of any size if kVectors is 0.
template <std::size_t kHeads, std::size_t kVectors, class T>
HWY_INLINE void multiply_keys(const Heads<T>& heads, const T* const (&keys)[kRows],
                              FloatVec (&products)[kHeads][kRows]) {
  HWY_UNROLL(4) for (auto& row : products) {
    HWY_UNROLL(4) for (FloatVec& product : row) product = hn::Zero(kFloats);
  }
  // Every index into an array of vectors is a constant once loops are unrolled: they stay in
  // registers.
  FloatVec key[kRows];
  const auto multiply = [&](std::size_t d) HWY_ATTR {
    HWY_UNROLL(4)
    for (std::size_t r = 0; r < kRows; ++r) key[r] = in_register(load_floats(keys[r] + d));
    HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) {
      const FloatVec query = load_floats(heads.query + h * heads.size + d);
      HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
        products[h][r] = hn::MulAdd(query, key[r], products[h][r]);
      }
    }
  };
  if constexpr (kVectors != 0) {
    HWY_UNROLL(4) for (std::size_t v = 0; v < kVectors; ++v) multiply(v * kLanes);
    return;
  }
  std::size_t d = 0;
  for (; d + kLanes <= heads.size; d += kLanes) multiply(d);
  if (d == heads.size) return;
  const std::size_t rest = heads.size - d;
  HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) key[r] = load_some(keys[r] + d, rest);
  HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) {
    const FloatVec query = load_some(heads.query + h * heads.size + d, rest);
    HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
      products[h][r] = hn::MulAdd(query, key[r], products[h][r]);
    }
  }
}

/// scores[h][i] = scale * query h . key of row + i for i < count, and -infinity up to the next
/// whole vector; largest[h] becomes the largest of them and of itself.
template <std::size_t kHeads, std::size_t kVectors, class T>
HWY_INLINE void score_rows(const Heads<T>& heads, std::size_t row, std::size_t count,
                           float (&scores)[kHeads][kChunkRows], float (&largest)[kHeads]) {
  const FloatVec scale = hn::Set(kFloats, heads.scale);
  const T* const first = heads.keys + row * heads.stride;
  FloatVec maxima[kHeads];
  HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) maxima[h] = hn::Set(kFloats, largest[h]);
  for (std::size_t i = 0; i < count; i += kLanes) {
    FloatVec quads[kHeads][kLanes / kRows];
    HWY_UNROLL(4) for (std::size_t quad = 0; quad < kLanes / kRows; ++quad) {
      const T* keys[kRows];
      HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
        keys[r] = first + std::min(i + quad * kRows + r, count - 1) * heads.stride;
      }
      FloatVec products[kHeads][kRows];
      multiply_keys<kHeads, kVectors>(heads, keys, products);
      HWY_UNROLL(4)
      for (std::size_t h = 0; h < kHeads; ++h) quads[h][quad] = sums_in_blocks(products[h]);
    }
    HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) {
      const FloatVec score = hn::Mul(sums_of_blocks(quads[h]), scale);
      maxima[h] = larger(score, maxima[h]);  // Lanes from `count` on repeat the last row.
      hn::Store(score, kFloats, scores[h] + i);
    }
  }
  const std::size_t last = count % kLanes;
  HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) {
    largest[h] = hn::GetLane(hn::MaxOfLanes(kFloats, maxima[h]));
    if (last == 0) continue;
    float* const rest = scores[h] + count - last;
    const FloatVec score = hn::Load(kFloats, rest);
    const auto valid = hn::FirstN(kFloats, last);
    hn::Store(hn::IfThenElse(valid, score, hn::Set(kFloats, -kInfinity)), kFloats, rest);
  }
}

/// scores[i] = exp(scores[i] - largest); returns their sum.
HWY_INLINE float exponentiate(float* scores, std::size_t count, float largest) {
  FloatVec sum = hn::Zero(kFloats);
  for (std::size_t i = 0; i < count; i += kLanes) {
    const FloatVec power = exp(hn::Sub(hn::Load(kFloats, scores + i), hn::Set(kFloats, largest)));
    sum = hn::Add(sum, power);
    hn::Store(power, kFloats, scores + i);
  }
  return sum_of_lanes(sum);
}

/// Adds weights[h][i] * value of row + i, elements d to d + kVectors * kLanes, to each y. Even and
/// odd rows have sums of their own, to hide the latency of additions.
template <std::size_t kVectors, std::size_t kHeads, class T>
HWY_INLINE void add_values(const Heads<T>& heads, std::size_t row, std::size_t count, std::size_t d,
                           const float (&weights)[kHeads][kChunkRows]) {
  FloatVec sums[2][kHeads][kVectors];
  HWY_UNROLL(2) for (auto& chain : sums) {
    HWY_UNROLL(4) for (auto& of_head : chain) {
      HWY_UNROLL(2) for (FloatVec& sum : of_head) sum = hn::Zero(kFloats);
    }
  }
  const T* values = heads.values + row * heads.stride + d;
  const auto add_row = [&](FloatVec(&chain)[kHeads][kVectors], std::size_t i) HWY_ATTR {
    FloatVec value[kVectors];
    HWY_UNROLL(2)
    for (std::size_t n = 0; n < kVectors; ++n)
      value[n] = in_register(load_floats(values + n * kLanes));
    HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) {
      const FloatVec weight = hn::Set(kFloats, weights[h][i]);
      HWY_UNROLL(2) for (std::size_t n = 0; n < kVectors; ++n) {
        chain[h][n] = hn::MulAdd(weight, value[n], chain[h][n]);
      }
    }
    values += heads.stride;
  };
  std::size_t i = 0;
  for (; i + 2 <= count; i += 2) {
    add_row(sums[0], i);
    add_row(sums[1], i + 1);
  }
  if (i < count) add_row(sums[0], i);
  HWY_UNROLL(4) for (std::size_t h = 0; h < kHeads; ++h) {
    float* const y = heads.y + h * heads.size + d;
    HWY_UNROLL(2) for (std::size_t n = 0; n < kVectors; ++n) {
      FloatVec sum = hn::Add(sums[0][h][n], sums[1][h][n]);
      if (row != 0) sum = hn::Add(sum, load_floats(y + n * kLanes));
      store_floats(sum, y + n * kLanes);
    }
  }
}

/// The same for the last elements of a head that are not a whole vector.
template <std::size_t kHeads, class T>
HWY_INLINE void add_last_values(const Heads<T>& heads, std::size_t row, std::size_t count,
                                std::size_t d, const float (&weights)[kHeads][kChunkRows]) {
  const std::size_t rest = heads.size - d;
  for (std::size_t h = 0; h < kHeads; ++h) {
    float* const y = heads.y + h * heads.size + d;
    FloatVec sum = row == 0 ? hn::Zero(kFloats) : load_some(y, rest);
    for (std::size_t i = 0; i < count; ++i) {
      const FloatVec value = load_some(heads.values + (row + i) * heads.stride + d, rest);
      sum = hn::MulAdd(hn::Set(kFloats, weights[h][i]), value, sum);
    }
    store_some(sum, y, rest);
  }
}

template <std::size_t kHeads, class T>
HWY_INLINE void add_chunk(const Heads<T>& heads, std::size_t row, std::size_t count,
                          const float (&weights)[kHeads][kChunkRows]) {
  std::size_t d = 0;
  for (; d + 2 * kLanes <= heads.size; d += 2 * kLanes)
    add_values<2>(heads, row, count, d, weights);
  if (d + kLanes <= heads.size) {
    add_values<1>(heads, row, count, d, weights);
    d += kLanes;
  }
  if (d < heads.size) add_last_values(heads, row, count, d, weights);
}

HWY_INLINE void scale_by(float factor, float* y, std::size_t count) {
  const FloatVec factors = hn::Set(kFloats, factor);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store_floats(hn::Mul(load_floats(y + i), factors), y + i);
  if (i < count) store_some(hn::Mul(load_some(y + i, count - i), factors), y + i, count - i);
}

/// Softmax as the rows pass by (Milakov & Gimelshein, "Online normalizer calculation for softmax",
/// 2018), chunk by chunk: sums so far are relative to the largest score so far, and are rescaled
/// when it grows. Each head's operations and their order are the same, however many heads there
/// are.
template <std::size_t kHeads, std::size_t kVectors, class T>
void attend(const Heads<T>& heads, std::size_t rows) {
  if (rows == 0) {  // An average of nothing.
    std::fill_n(heads.y, kHeads * heads.size, NAN);
    return;
  }
  HWY_ALIGN float weights[kHeads][kChunkRows];
  float largest[kHeads];
  float sum[kHeads] = {};
  std::fill_n(largest, kHeads, -kInfinity);
  for (std::size_t row = 0; row < rows; row += kChunkRows) {
    const std::size_t count = std::min(rows - row, kChunkRows);
    float before[kHeads];
    std::copy_n(largest, kHeads, before);
    score_rows<kHeads, kVectors>(heads, row, count, weights, largest);
    for (std::size_t h = 0; h < kHeads; ++h) {
      if (row != 0 && largest[h] > before[h]) {
        const float factor = hn::GetLane(exp(hn::Set(kFloats, before[h] - largest[h])));
        sum[h] *= factor;
        scale_by(factor, heads.y + h * heads.size, heads.size);
      }
      sum[h] += exponentiate(weights[h], count, largest[h]);
    }
    add_chunk(heads, row, count, weights);
  }
  for (std::size_t h = 0; h < kHeads; ++h)
    scale_by(1.0F / sum[h], heads.y + h * heads.size, heads.size);
}

/// Heads of 2 and 4 vectors, 32 and 64 elements on the widest machines, are worth code of their
/// own.
template <std::size_t kHeads, class T>
HWY_INLINE void attend_by_size(const Heads<T>& heads, std::size_t rows) {
  switch (heads.size) {
    case 2 * kLanes: return attend<kHeads, 2>(heads, rows);
    case 4 * kLanes: return attend<kHeads, 4>(heads, rows);
    default: return attend<kHeads, 0>(heads, rows);
  }
}

template <class T>
HWY_INLINE void attend_heads(const Heads<T>& heads, std::size_t count, std::size_t rows) {
  switch (count) {
    case 1: return attend_by_size<1>(heads, rows);
    case 2: return attend_by_size<2>(heads, rows);
#if HWY_MAX_BYTES >= 64
    case 3: return attend_by_size<3>(heads, rows);
    case 4: return attend_by_size<4>(heads, rows);
#endif
  }
}

template <class T>
HWY_INLINE void attention(const KernelContext& work, const float* q, In<T> keys, In<T> values,
                          float* y, const base::AttentionParams& size) {
  const std::size_t stride = std::size_t{size.kv_heads} * size.head_size;
  const std::uint64_t cache_rows = rows_held(std::min(keys.size(), values.size()), stride,
                                             std::uint64_t{size.position} + size.tokens);
  const std::uint64_t end = std::min(work.group_end, std::uint64_t{size.tokens} * size.heads);
  const std::uint64_t heads_per_kv_head = size.heads / size.kv_heads;
  for (std::uint64_t group = work.group_begin; group < end;) {
    const std::uint64_t token = group / size.heads;
    const std::uint64_t kv_head = group % size.heads / heads_per_kv_head;
    const std::uint64_t shared_end = token * size.heads + (kv_head + 1) * heads_per_kv_head;
    const std::size_t count =
        std::min({shared_end - group, end - group, std::uint64_t{kMostHeads}});
    const std::size_t kv_offset = kv_head * size.head_size;
    const std::size_t offset = group * size.head_size;
    const Heads<T> heads{q + offset,
                         keys.data() + kv_offset,
                         values.data() + kv_offset,
                         y + offset,
                         stride,
                         size.head_size,
                         size.scale};
    attend_heads(heads, count, std::min(size.position + token + 1, cache_rows));
    group += count;
  }
}

void attention_f32(const KernelContext& work, In<float> q, In<float> keys, In<float> values,
                   Out<float> y, const base::AttentionParams& size) {
  attention(work, q.data(), keys, values, y.data(), size);
}
void attention_f16(const KernelContext& work, In<float> q, In<hwy::float16_t> keys,
                   In<hwy::float16_t> values, Out<float> y, const base::AttentionParams& size) {
  attention(work, q.data(), keys, values, y.data(), size);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(attention_f32);
HWY_EXPORT(attention_f16);

void append_attention_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(kernel("attention_f32", {"q", "keys", "values", "y", "size"},
                           HWY_DYNAMIC_DISPATCH(attention_f32), options));
  kernels.push_back(kernel("attention_f16", {"q", "keys", "values", "y", "size"},
                           HWY_DYNAMIC_DISPATCH(attention_f16), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
