// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/host.hpp"

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

/// One query head of one token.
template <class T>
struct Head {
  const float* query;
  const T* keys;    ///< Of the first row.
  const T* values;  ///< Of the first row.
  float* y;
  std::size_t stride;  ///< Elements from row to row of the cache.
  std::size_t size;    ///< Elements of the head.
  float scale;
};

#if HWY_MAX_BYTES >= 16
/// Within blocks of four lanes: the sums over each block of four vectors, in their order.
HWY_INLINE FloatVec sums_in_blocks(const FloatVec* v) {
  const FloatVec even =
      hn::Add(hn::InterleaveLower(v[0], v[2]), hn::InterleaveUpper(kFloats, v[0], v[2]));
  const FloatVec odd =
      hn::Add(hn::InterleaveLower(v[1], v[3]), hn::InterleaveUpper(kFloats, v[1], v[3]));
  return hn::Add(hn::InterleaveLower(even, odd), hn::InterleaveUpper(kFloats, even, odd));
}
#endif
#if HWY_MAX_BYTES >= 32
/// The sums of the lower and upper half of `a`, then those of `b`.
HWY_INLINE FloatVec sums_of_halves(FloatVec a, FloatVec b) {
  return hn::Add(hn::ConcatLowerLower(kFloats, b, a), hn::ConcatUpperUpper(kFloats, b, a));
}
#endif

/// The sums over the lanes of kLanes vectors, in their order. Each sum adds its lanes in the same
/// tree.
HWY_INLINE FloatVec sums_of_lanes(const FloatVec (&v)[kLanes]) {
#if HWY_MAX_BYTES >= 64
  const FloatVec even = sums_of_halves(sums_in_blocks(v), sums_in_blocks(v + 8));
  const FloatVec odd = sums_of_halves(sums_in_blocks(v + 4), sums_in_blocks(v + 12));
  return hn::OddEvenBlocks(hn::Add(odd, hn::SwapAdjacentBlocks(odd)),
                           hn::Add(even, hn::SwapAdjacentBlocks(even)));
#elif HWY_MAX_BYTES >= 32
  return sums_of_halves(sums_in_blocks(v), sums_in_blocks(v + 4));
#elif HWY_MAX_BYTES >= 16
  return sums_in_blocks(v);
#else
  return v[0];
#endif
}

/// scores[i] = scale * query . keys[row + i] for i < count, and -infinity up to the next whole
/// vector.
template <class T>
HWY_INLINE void score_rows(const Head<T>& head, std::size_t row, std::size_t count, float* scores) {
  const FloatVec scale = hn::Set(kFloats, head.scale);
  for (std::size_t i = 0; i < count; i += kLanes) {
    const T* keys[kLanes];
    FloatVec products[kLanes];
    HWY_UNROLL(16) for (std::size_t r = 0; r < kLanes; ++r) {
      keys[r] = head.keys + (row + std::min(i + r, count - 1)) * head.stride;
      products[r] = hn::Zero(kFloats);
    }
    std::size_t d = 0;
    for (; d + kLanes <= head.size; d += kLanes) {
      const FloatVec query = load_floats(head.query + d);
      HWY_UNROLL(16) for (std::size_t r = 0; r < kLanes; ++r) {
        products[r] = hn::MulAdd(query, load_floats(keys[r] + d), products[r]);
      }
    }
    if (d < head.size) {
      const FloatVec query = load_some(head.query + d, head.size - d);
      for (std::size_t r = 0; r < kLanes; ++r) {
        products[r] = hn::MulAdd(query, load_some(keys[r] + d, head.size - d), products[r]);
      }
    }
    hn::Store(hn::Mul(sums_of_lanes(products), scale), kFloats, scores + i);
  }
  for (std::size_t i = count; i % kLanes != 0; ++i) scores[i] = -kInfinity;
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

/// Adds weights[i] * values[row + i] to kVectors vectors of y; four sums each hide the latency of
/// additions.
template <std::size_t kVectors, class T>
HWY_INLINE void add_values(const T* values, std::size_t stride, const float* weights,
                           std::size_t count, bool first, float* y) {
  FloatVec sums[4][kVectors];
  HWY_UNROLL(4) for (auto& chain : sums) {
    HWY_UNROLL(4) for (FloatVec& sum : chain) sum = hn::Zero(kFloats);
  }
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    HWY_UNROLL(4) for (std::size_t k = 0; k < 4; ++k) {
      const FloatVec weight = hn::Set(kFloats, weights[i + k]);
      const T* const from = values + (i + k) * stride;
      HWY_UNROLL(4) for (std::size_t n = 0; n < kVectors; ++n) {
        sums[k][n] = hn::MulAdd(weight, load_floats(from + n * kLanes), sums[k][n]);
      }
    }
  }
  for (; i < count; ++i) {
    const FloatVec weight = hn::Set(kFloats, weights[i]);
    HWY_UNROLL(4) for (std::size_t n = 0; n < kVectors; ++n) {
      sums[0][n] = hn::MulAdd(weight, load_floats(values + i * stride + n * kLanes), sums[0][n]);
    }
  }
  HWY_UNROLL(4) for (std::size_t n = 0; n < kVectors; ++n) {
    FloatVec sum = hn::Add(hn::Add(sums[0][n], sums[1][n]), hn::Add(sums[2][n], sums[3][n]));
    if (!first) sum = hn::Add(sum, load_floats(y + n * kLanes));
    store_floats(sum, y + n * kLanes);
  }
}

/// The last elements of a head that are not a whole vector.
template <class T>
HWY_INLINE void add_some_values(const T* values, std::size_t stride, const float* weights,
                                std::size_t count, bool first, float* y, std::size_t elements) {
  FloatVec sum = first ? hn::Zero(kFloats) : load_some(y, elements);
  for (std::size_t i = 0; i < count; ++i) {
    sum = hn::MulAdd(hn::Set(kFloats, weights[i]), load_some(values + i * stride, elements), sum);
  }
  store_some(sum, y, elements);
}

template <class T>
HWY_INLINE void add_chunk(const Head<T>& head, std::size_t row, std::size_t count,
                          const float* weights) {
  const T* const values = head.values + row * head.stride;
  const bool first = row == 0;
  std::size_t d = 0;
  for (; d + 2 * kLanes <= head.size; d += 2 * kLanes) {
    add_values<2>(values + d, head.stride, weights, count, first, head.y + d);
  }
  if (d + kLanes <= head.size) {
    add_values<1>(values + d, head.stride, weights, count, first, head.y + d);
    d += kLanes;
  }
  if (d < head.size)
    add_some_values(values + d, head.stride, weights, count, first, head.y + d, head.size - d);
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
/// when it grows.
template <class T>
void attend(const Head<T>& head, std::size_t rows) {
  HWY_ALIGN float weights[kChunkRows];
  float largest = -kInfinity;
  float sum = 0.0F;
  for (std::size_t row = 0; row < rows; row += kChunkRows) {
    const std::size_t count = std::min(rows - row, kChunkRows);
    score_rows(head, row, count, weights);
    const float grown = std::max(largest, largest_of(weights, count));
    if (row != 0 && grown > largest) {
      const float factor = hn::GetLane(exp(hn::Set(kFloats, largest - grown)));
      sum *= factor;
      scale_by(factor, head.y, head.size);
    }
    largest = grown;
    sum += exponentiate(weights, count, largest);
    add_chunk(head, row, count, weights);
  }
  scale_by(1.0F / sum, head.y, head.size);
}

template <class T>
HWY_INLINE void attention(const KernelContext& work, const float* q, const T* keys, const T* values,
                          float* y, const base::AttentionParams& size) {
  const std::uint64_t end = std::min(work.group_end, std::uint64_t{size.tokens} * size.heads);
  const std::uint32_t heads_per_kv_head = size.heads / size.kv_heads;
  for (std::uint64_t group = work.group_begin; group < end; ++group) {
    const std::uint64_t token = group / size.heads;
    const std::size_t kv_offset = group % size.heads / heads_per_kv_head * size.head_size;
    const std::size_t offset = group * size.head_size;
    const Head<T> head{q + offset,
                       keys + kv_offset,
                       values + kv_offset,
                       y + offset,
                       std::size_t{size.kv_heads} * size.head_size,
                       size.head_size,
                       size.scale};
    attend(head, size.position + token + 1);
  }
}

void attention_f32(const KernelContext& work, In<float> q, In<float> keys, In<float> values,
                   Out<float> y, const base::AttentionParams& size) {
  attention(work, q.data(), keys.data(), values.data(), y.data(), size);
}
void attention_f16(const KernelContext& work, In<float> q, In<hwy::float16_t> keys,
                   In<hwy::float16_t> values, Out<float> y, const base::AttentionParams& size) {
  attention(work, q.data(), keys.data(), values.data(), y.data(), size);
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
