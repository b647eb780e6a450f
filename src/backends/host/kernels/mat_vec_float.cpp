// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/mat_vec_panel.hpp"
#include "backends/host/kernels/simd_targets.hpp"

// Panels with float activations: weights are converted to float in registers.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/mat_vec_float.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace segue::host::mat_vec::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;
using Halves = hn::Rebind<hwy::float16_t, Floats>;
using Ints = hn::Rebind<std::int32_t, Floats>;
constexpr Floats kFloats;
constexpr std::size_t kLanes = HWY_LANES(float);

/// Vectors of sums that a row has while its columns pass by; more hide the latency of additions.
constexpr std::size_t kChains = 2;
/// Tokens whose sums fit into registers beside those of two rows.
constexpr std::uint32_t kTokens = kLanes >= 16 ? 4 : 2;

HWY_INLINE FloatVec load_floats(const float* data) { return hn::LoadU(kFloats, data); }
HWY_INLINE FloatVec load_floats(const hwy::float16_t* data) {
  return hn::PromoteTo(kFloats, hn::LoadU(Halves(), data));
}
HWY_INLINE FloatVec load_floats(const hwy::bfloat16_t* data) {
  return hn::PromoteTo(kFloats, hn::LoadU(hn::Rebind<hwy::bfloat16_t, Floats>(), data));
}

/// The scale of a block in every lane.
HWY_INLINE FloatVec load_scale(const std::byte* data) {
  const auto bits = hn::Set(hn::Rebind<std::uint16_t, Floats>(), load_half_bits(data));
  return hn::PromoteTo(kFloats, hn::BitCast(Halves(), bits));
}

HWY_INLINE void store_sum(const Panel& panel, std::uint32_t row, std::uint32_t token,
                          FloatVec sum) {
  float* y = panel.y_row(token) + row;
  const float total = hn::GetLane(hn::SumOfLanes(kFloats, sum));
  *y = panel.adds() ? *y + total : total;
}

// ---- F32, F16, BF16, row-major ----

/// The last columns of rows that are not whole vectors, filled up with zeros.
template <class T>
HWY_INLINE FloatVec load_some(const std::byte* data, std::size_t count) {
  HWY_ALIGN std::byte padded[kLanes * sizeof(T)] = {};
  std::memcpy(padded, data, count * sizeof(T));
  return load_floats(lanes_at<T>(padded));
}
HWY_INLINE FloatVec load_some_x(const float* data, std::size_t count) {
  HWY_ALIGN float padded[kLanes] = {};
  std::memcpy(padded, data, count * sizeof(float));
  return hn::Load(kFloats, padded);
}

template <class T, std::size_t kRows, std::size_t kCount>
HWY_INLINE void dense_rows(const Panel& panel, std::uint32_t row, std::uint32_t token) {
  const std::byte* weights[kRows];
  const float* x[kCount];
  FloatVec sums[kChains][kRows][kCount];
  HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
    weights[r] = panel.row(row + static_cast<std::uint32_t>(r), sizeof(T), 1);
  }
  HWY_UNROLL(4)
  for (std::size_t t = 0; t < kCount; ++t)
    x[t] = panel.x_row(token + static_cast<std::uint32_t>(t));
  HWY_UNROLL(2) for (auto& chain : sums) {
    HWY_UNROLL(4) for (auto& sums_of_row : chain) {
      HWY_UNROLL(4) for (FloatVec& sum : sums_of_row) sum = hn::Zero(kFloats);
    }
  }

  const std::size_t columns = panel.chunk_columns();
  std::size_t column = 0;
  for (; column + kChains * kLanes <= columns; column += kChains * kLanes) {
    HWY_UNROLL(2) for (std::size_t chain = 0; chain < kChains; ++chain) {
      const std::size_t c = column + chain * kLanes;
      HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
        const FloatVec w = load_floats(lanes_at<T>(weights[r] + c * sizeof(T)));
        HWY_UNROLL(4) for (std::size_t t = 0; t < kCount; ++t) {
          sums[chain][r][t] = hn::MulAdd(w, load_floats(x[t] + c), sums[chain][r][t]);
        }
      }
    }
  }
  for (; column < columns; column += kLanes) {
    const std::size_t count = HWY_MIN(columns - column, kLanes);
    HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
      const FloatVec w = load_some<T>(weights[r] + column * sizeof(T), count);
      HWY_UNROLL(4) for (std::size_t t = 0; t < kCount; ++t) {
        sums[0][r][t] = hn::MulAdd(w, load_some_x(x[t] + column, count), sums[0][r][t]);
      }
    }
  }
  HWY_UNROLL(4) for (std::size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(4) for (std::size_t t = 0; t < kCount; ++t) {
      store_sum(panel, row + static_cast<std::uint32_t>(r), token + static_cast<std::uint32_t>(t),
                hn::Add(sums[0][r][t], sums[1][r][t]));
    }
  }
}

/// Two rows at a time for several tokens, so that each value of x serves twice.
template <class T>
void dense_panel(const Panel& panel) {
  const bool side_by_side = reads_rows_side_by_side(panel.columns * sizeof(T));
  std::uint32_t token = 0;
  for (; token + kTokens <= panel.tokens; token += kTokens) {
    std::uint32_t row = panel.row_begin;
    for (; row + 2 <= panel.row_end; row += 2) dense_rows<T, 2, kTokens>(panel, row, token);
    for (; row < panel.row_end; ++row) dense_rows<T, 1, kTokens>(panel, row, token);
  }
  for (; token < panel.tokens; ++token) {
    std::uint32_t row = panel.row_begin;
    if (side_by_side) {
      for (; row + 4 <= panel.row_end; row += 4) dense_rows<T, 4, 1>(panel, row, token);
    }
    for (; row < panel.row_end; ++row) dense_rows<T, 1, 1>(panel, row, token);
  }
}

void f32_panel(const Panel& panel, const Activations&) { dense_panel<float>(panel); }
void f16_panel(const Panel& panel, const Activations&) { dense_panel<hwy::float16_t>(panel); }
void bf16_panel(const Panel& panel, const Activations&) { dense_panel<hwy::bfloat16_t>(panel); }

// ---- Q8_0 and Q4_0, row-major ----

/// Lanes of int32 as float, from as many bytes.
HWY_INLINE FloatVec signed_bytes(const std::byte* data) {
  const auto bytes = hn::LoadU(hn::Rebind<std::int8_t, Floats>(), lanes_at<std::int8_t>(data));
  return hn::ConvertTo(kFloats, hn::PromoteTo(Ints(), bytes));
}

struct Q8Rows {
  static constexpr std::uint32_t kBytes = kQ8Bytes;
  /// Sum over a block of q * x.
  static HWY_INLINE FloatVec dot(const std::byte* block, const float* x) {
    FloatVec sum = hn::Zero(kFloats);
    HWY_UNROLL(8) for (std::size_t i = 0; i < kBlockColumns; i += kLanes) {
      sum = hn::MulAdd(signed_bytes(block + 2 + i), load_floats(x + i), sum);
    }
    return sum;
  }
};

struct Q4Rows {
  static constexpr std::uint32_t kBytes = kQ4Bytes;
  static HWY_INLINE FloatVec dot(const std::byte* block, const float* x) {
    const Ints ints;
    const auto eight = hn::Set(ints, 8);
    FloatVec sum = hn::Zero(kFloats);
    HWY_UNROLL(4) for (std::size_t i = 0; i < kBlockColumns / 2; i += kLanes) {
      const auto bytes =
          hn::LoadU(hn::Rebind<std::uint8_t, Floats>(), lanes_at<std::uint8_t>(block + 2 + i));
      const auto both = hn::PromoteTo(ints, bytes);
      const auto low = hn::Sub(hn::And(both, hn::Set(ints, 15)), eight);
      const auto high = hn::Sub(hn::ShiftRight<4>(both), eight);
      sum = hn::MulAdd(hn::ConvertTo(kFloats, low), load_floats(x + i), sum);
      sum = hn::MulAdd(hn::ConvertTo(kFloats, high), load_floats(x + kBlockColumns / 2 + i), sum);
    }
    return sum;
  }
};

template <class Format>
void quantised_rows_panel(const Panel& panel) {
  for (std::uint32_t row = panel.row_begin; row < panel.row_end; ++row) {
    const std::byte* const weights = panel.row(row, Format::kBytes, kBlockColumns);
    for (std::uint32_t token = 0; token < panel.tokens; ++token) {
      const float* const x = panel.x_row(token);
      FloatVec sum = hn::Zero(kFloats);
      for (std::uint32_t b = 0; b < panel.chunk_blocks(); ++b) {
        const std::byte* const block = weights + std::size_t{b} * Format::kBytes;
        sum = hn::MulAdd(Format::dot(block, x + std::size_t{b} * kBlockColumns), load_scale(block),
                         sum);
      }
      store_sum(panel, row, token, sum);
    }
  }
}

void q8_panel(const Panel& panel, const Activations&) { quantised_rows_panel<Q8Rows>(panel); }
void q4_panel(const Panel& panel, const Activations&) { quantised_rows_panel<Q4Rows>(panel); }

// ---- Q8_0 and Q4_0, tiles of 16 rows: one row a lane ----

/// Byte `kByte` of each lane, less `offset`, as float.
template <int kByte>
HWY_INLINE FloatVec byte_of_lanes(hn::Vec<Ints> lanes, hn::Vec<Ints> offset) {
  const auto byte = hn::And(hn::ShiftRight<8 * kByte>(lanes), hn::Set(Ints(), 255));
  return hn::ConvertTo(kFloats, hn::Sub(byte, offset));
}

/// Adds four columns: q[row, c] * x[c] with q + offset in the bytes of each lane.
HWY_INLINE FloatVec add_four_columns(hn::Vec<Ints> lanes, hn::Vec<Ints> offset, const float* x,
                                     FloatVec sum) {
  sum = hn::MulAdd(byte_of_lanes<0>(lanes, offset), hn::Set(kFloats, x[0]), sum);
  sum = hn::MulAdd(byte_of_lanes<1>(lanes, offset), hn::Set(kFloats, x[1]), sum);
  sum = hn::MulAdd(byte_of_lanes<2>(lanes, offset), hn::Set(kFloats, x[2]), sum);
  return hn::MulAdd(byte_of_lanes<3>(lanes, offset), hn::Set(kFloats, x[3]), sum);
}

struct Q8Tile {
  static constexpr std::uint32_t kBytes = kQ8Bytes;
  /// `block` points to the first of this vector's rows.
  static HWY_INLINE FloatVec dot(const std::byte* block, const float* x) {
    const auto offset = hn::Set(Ints(), 128);
    FloatVec sum = hn::Zero(kFloats);
    for (std::size_t i = 0; i < 8; ++i) {
      const auto lanes = hn::LoadU(Ints(), lanes_at<std::int32_t>(block + 64 * i));
      sum = add_four_columns(lanes, offset, x + 4 * i, sum);
    }
    return sum;
  }
};

struct Q4Tile {
  static constexpr std::uint32_t kBytes = kQ4Bytes;
  static HWY_INLINE FloatVec dot(const std::byte* block, const float* x) {
    const auto offset = hn::Set(Ints(), 8);
    const auto low_nibbles = hn::Set(Ints(), 0x0F0F0F0F);
    FloatVec sum = hn::Zero(kFloats);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto lanes = hn::LoadU(Ints(), lanes_at<std::int32_t>(block + 64 * i));
      const auto high_nibbles = hn::And(hn::ShiftRight<4>(lanes), low_nibbles);
      sum = add_four_columns(hn::And(lanes, low_nibbles), offset, x + 4 * i, sum);
      sum = add_four_columns(high_nibbles, offset, x + 16 + 4 * i, sum);
    }
    return sum;
  }
};

template <class Format>
void tile_panel(const Panel& panel) {
  HWY_ALIGN float sums[kTileRows];
  for (std::uint32_t row = panel.row_begin; row < panel.row_end; row += kTileRows) {
    const std::byte* const tile = panel.tile(row, Format::kBytes);
    const std::uint32_t rows = HWY_MIN(panel.row_end - row, kTileRows);
    for (std::uint32_t token = 0; token < panel.tokens; ++token) {
      const float* const x = panel.x_row(token);
      for (std::size_t lane = 0; lane < rows; lane += kLanes) {
        FloatVec sum = hn::Zero(kFloats);
        for (std::uint32_t b = 0; b < panel.chunk_blocks(); ++b) {
          const std::byte* const block = tile + std::size_t{b} * Format::kBytes * kTileRows;
          const auto scales = hn::LoadU(Halves(), lanes_at<hwy::float16_t>(block + 2 * lane));
          const FloatVec dot =
              Format::dot(block + 32 + 4 * lane, x + std::size_t{b} * kBlockColumns);
          sum = hn::MulAdd(dot, hn::PromoteTo(kFloats, scales), sum);
        }
        hn::Store(sum, kFloats, sums + lane);
      }
      float* const y = panel.y_row(token) + row;
      for (std::uint32_t r = 0; r < rows; ++r) y[r] = panel.adds() ? y[r] + sums[r] : sums[r];
    }
  }
}

void q8_tile_panel(const Panel& panel, const Activations&) { tile_panel<Q8Tile>(panel); }
void q4_tile_panel(const Panel& panel, const Activations&) { tile_panel<Q4Tile>(panel); }

}  // namespace
}  // namespace segue::host::mat_vec::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host::mat_vec {

HWY_EXPORT(f32_panel);
HWY_EXPORT(f16_panel);
HWY_EXPORT(bf16_panel);
HWY_EXPORT(q8_panel);
HWY_EXPORT(q4_panel);
HWY_EXPORT(q8_tile_panel);
HWY_EXPORT(q4_tile_panel);

void choose_float_methods(Methods& methods) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  methods.f32 = {HWY_DYNAMIC_DISPATCH(f32_panel), nullptr};
  methods.f16 = {HWY_DYNAMIC_DISPATCH(f16_panel), nullptr};
  methods.bf16 = {HWY_DYNAMIC_DISPATCH(bf16_panel), nullptr};
  methods.q8_0 = {HWY_DYNAMIC_DISPATCH(q8_panel), nullptr};
  methods.q4_0 = {HWY_DYNAMIC_DISPATCH(q4_panel), nullptr};
  methods.q8_0_tile16 = {HWY_DYNAMIC_DISPATCH(q8_tile_panel), nullptr};
  methods.q4_0_tile16 = {HWY_DYNAMIC_DISPATCH(q4_tile_panel), nullptr};
}

}  // namespace segue::host::mat_vec
#endif  // HWY_ONCE
