// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/embedding.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

/// Rows of F32, F16 or BF16.
template <class T>
struct DenseRow {
  static constexpr std::size_t kBlockColumns = 1;
  static constexpr std::size_t kBlockBytes = sizeof(T);

  static HWY_INLINE void read(const std::byte* row, float* y, std::size_t columns) {
    const T* const values = reinterpret_cast<const T*>(row);
    std::size_t i = 0;
    for (; i + kLanes <= columns; i += kLanes) store_floats(load_floats(values + i), y + i);
    if (i < columns) store_some(load_some(values + i, columns - i), y + i, columns - i);
  }
};

/// The scale in front of a quantised block, at any address.
HWY_INLINE FloatVec block_scale(const std::byte* block) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, block, sizeof(bits));
  return hn::PromoteTo(kFloats,
                       hn::BitCast(Halves(), hn::Set(hn::Rebind<std::uint16_t, Floats>(), bits)));
}

struct Q8Row {
  static constexpr std::size_t kBlockColumns = 32;
  static constexpr std::size_t kBlockBytes = 34;

  static HWY_INLINE void read(const std::byte* row, float* y, std::size_t columns) {
    const hn::Rebind<std::int8_t, Floats> bytes;
    for (std::size_t c = 0; c < columns; c += kBlockColumns, row += kBlockBytes) {
      const FloatVec scale = block_scale(row);
      const auto* const values = reinterpret_cast<const std::int8_t*>(row + 2);
      for (std::size_t i = 0; i < kBlockColumns; i += kLanes) {
        const auto q = hn::PromoteTo(kInts, hn::LoadU(bytes, values + i));
        store_floats(hn::Mul(hn::ConvertTo(kFloats, q), scale), y + c + i);
      }
    }
  }
};

struct Q4Row {
  static constexpr std::size_t kBlockColumns = 32;
  static constexpr std::size_t kBlockBytes = 18;

  static HWY_INLINE void read(const std::byte* row, float* y, std::size_t columns) {
    const hn::Rebind<std::uint8_t, Floats> bytes;
    const auto eight = hn::Set(kInts, 8);
    for (std::size_t c = 0; c < columns; c += kBlockColumns, row += kBlockBytes) {
      const FloatVec scale = block_scale(row);
      const auto* const values = reinterpret_cast<const std::uint8_t*>(row + 2);
      for (std::size_t i = 0; i < 16; i += kLanes) {
        const auto pair = hn::PromoteTo(kInts, hn::LoadU(bytes, values + i));
        const auto low = hn::Sub(hn::And(pair, hn::Set(kInts, 15)), eight);
        const auto high = hn::Sub(hn::ShiftRight<4>(pair), eight);
        store_floats(hn::Mul(hn::ConvertTo(kFloats, low), scale), y + c + i);
        store_floats(hn::Mul(hn::ConvertTo(kFloats, high), scale), y + c + 16 + i);
      }
    }
  }
};

template <class Row>
HWY_INLINE void gather_row(In<std::byte> table, std::uint32_t token, std::uint32_t vocabulary,
                           std::uint32_t columns, float* y) {
  const std::uint64_t row_bytes = columns / Row::kBlockColumns * Row::kBlockBytes;
  if (token < vocabulary) {
    Row::read(table.data() + token * row_bytes, y, columns);
  } else {
    std::fill_n(y, columns, std::numeric_limits<float>::quiet_NaN());
  }
}

template <class Row>
HWY_INLINE void embedding(const KernelContext& work, In<std::uint32_t> tokens, In<std::byte> table,
                          Out<float> y, const base::EmbeddingParams& size) {
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.tokens);
  for (std::uint64_t t = work.group_begin; t < end; ++t) {
    gather_row<Row>(table, tokens[t], size.vocabulary, size.columns, y.data() + t * size.columns);
  }
}

template <class Row>
HWY_INLINE void embedding_token(const KernelContext&, In<std::byte> table, Out<float> y,
                                const base::EmbeddingTokenParams& size) {
  gather_row<Row>(table, size.token, size.vocabulary, size.columns, y.data());
}

// Highway dispatches by name.

void embedding_f32(const KernelContext& work, In<std::uint32_t> tokens, In<std::byte> table,
                   Out<float> y, const base::EmbeddingParams& size) {
  embedding<DenseRow<float>>(work, tokens, table, y, size);
}
void embedding_f16(const KernelContext& work, In<std::uint32_t> tokens, In<std::byte> table,
                   Out<float> y, const base::EmbeddingParams& size) {
  embedding<DenseRow<hwy::float16_t>>(work, tokens, table, y, size);
}
void embedding_bf16(const KernelContext& work, In<std::uint32_t> tokens, In<std::byte> table,
                    Out<float> y, const base::EmbeddingParams& size) {
  embedding<DenseRow<hwy::bfloat16_t>>(work, tokens, table, y, size);
}
void embedding_q8_0(const KernelContext& work, In<std::uint32_t> tokens, In<std::byte> table,
                    Out<float> y, const base::EmbeddingParams& size) {
  embedding<Q8Row>(work, tokens, table, y, size);
}
void embedding_q4_0(const KernelContext& work, In<std::uint32_t> tokens, In<std::byte> table,
                    Out<float> y, const base::EmbeddingParams& size) {
  embedding<Q4Row>(work, tokens, table, y, size);
}
void embedding_token_f32(const KernelContext& work, In<std::byte> table, Out<float> y,
                         const base::EmbeddingTokenParams& size) {
  embedding_token<DenseRow<float>>(work, table, y, size);
}
void embedding_token_f16(const KernelContext& work, In<std::byte> table, Out<float> y,
                         const base::EmbeddingTokenParams& size) {
  embedding_token<DenseRow<hwy::float16_t>>(work, table, y, size);
}
void embedding_token_bf16(const KernelContext& work, In<std::byte> table, Out<float> y,
                          const base::EmbeddingTokenParams& size) {
  embedding_token<DenseRow<hwy::bfloat16_t>>(work, table, y, size);
}
void embedding_token_q8_0(const KernelContext& work, In<std::byte> table, Out<float> y,
                          const base::EmbeddingTokenParams& size) {
  embedding_token<Q8Row>(work, table, y, size);
}
void embedding_token_q4_0(const KernelContext& work, In<std::byte> table, Out<float> y,
                          const base::EmbeddingTokenParams& size) {
  embedding_token<Q4Row>(work, table, y, size);
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(embedding_f32);
HWY_EXPORT(embedding_token_f32);
HWY_EXPORT(embedding_f16);
HWY_EXPORT(embedding_token_f16);
HWY_EXPORT(embedding_bf16);
HWY_EXPORT(embedding_token_bf16);
HWY_EXPORT(embedding_q8_0);
HWY_EXPORT(embedding_token_q8_0);
HWY_EXPORT(embedding_q4_0);
HWY_EXPORT(embedding_token_q4_0);

void append_embedding_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  const auto add = [&](const char* name, auto* function) {
    kernels.push_back(kernel(name, {"tokens", "table", "y", "size"}, function, options));
  };
  add("embedding_f32", &HWY_DYNAMIC_DISPATCH(embedding_f32));
  add("embedding_f16", &HWY_DYNAMIC_DISPATCH(embedding_f16));
  add("embedding_bf16", &HWY_DYNAMIC_DISPATCH(embedding_bf16));
  add("embedding_q8_0", &HWY_DYNAMIC_DISPATCH(embedding_q8_0));
  add("embedding_q4_0", &HWY_DYNAMIC_DISPATCH(embedding_q4_0));
  const auto add_token = [&](const char* name, auto* function) {
    kernels.push_back(kernel(name, {"table", "y", "size"}, function, options));
  };
  add_token("embedding_token_f32", &HWY_DYNAMIC_DISPATCH(embedding_token_f32));
  add_token("embedding_token_f16", &HWY_DYNAMIC_DISPATCH(embedding_token_f16));
  add_token("embedding_token_bf16", &HWY_DYNAMIC_DISPATCH(embedding_token_bf16));
  add_token("embedding_token_q8_0", &HWY_DYNAMIC_DISPATCH(embedding_token_q8_0));
  add_token("embedding_token_q4_0", &HWY_DYNAMIC_DISPATCH(embedding_token_q4_0));
}

}  // namespace segue::host
#endif  // HWY_ONCE
