// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/mat_vec_panel.hpp"
#include "backends/host/kernels/simd_targets.hpp"

// Panels with activations quantised to int8. Products of bytes are widened to int16 first: the x86
// instruction that multiplies bytes and adds pairs saturates at 32767, which two products of 255 *
// 127 exceed.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/mat_vec_int8.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace segue::host::mat_vec::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;
using Ints = hn::Rebind<std::int32_t, Floats>;
using IntVec = hn::Vec<Ints>;
constexpr Floats kFloats;
constexpr Ints kInts;
constexpr std::size_t kLanes = HWY_LANES(float);

/// The order of four neighbouring activations in memory.
enum class Order {
  kNatural,  ///< 0 1 2 3
  kEvenOdd,  ///< 0 2 1 3: pairs that match the even and the odd bytes of a 32-bit lane of weights.
};

/// The activations of each slot: x = scale * value for each block.
struct Quantised {
  alignas(64) std::int16_t values[kTokenTile][kColumnChunk];
  float scales[kTokenTile][kColumnChunk / kBlockColumns];
  std::int32_t sums[kTokenTile][kColumnChunk / kBlockColumns];  ///< Of the values of each block.
};

/// scale = largest magnitude / 127, value = round(x / scale), ties to even. Returns the scale.
HWY_INLINE float quantise_block(const float* x, std::int32_t* values) {
  FloatVec largest = hn::Zero(kFloats);
  HWY_UNROLL(8) for (std::size_t i = 0; i < kBlockColumns; i += kLanes) {
    largest = hn::Max(largest, hn::Abs(hn::LoadU(kFloats, x + i)));
  }
  const float magnitude = hn::GetLane(hn::MaxOfLanes(kFloats, largest));
  const FloatVec inverse =
      hn::Set(kFloats, magnitude > kSmallestMagnitude ? 127.0F / magnitude : 0.0F);
  HWY_UNROLL(8) for (std::size_t i = 0; i < kBlockColumns; i += kLanes) {
    hn::Store(hn::NearestInt(hn::Mul(hn::LoadU(kFloats, x + i), inverse)), kInts, values + i);
  }
  return magnitude / 127.0F;
}

/// The block that starts at column `c`, as it is to be quantised.
HWY_INLINE const float* block_of(const ColumnChunk& chunk, std::uint32_t c, float* normalised) {
  const float* const x = chunk.x + c;
  if (chunk.norm_weight == nullptr) return x;
  const FloatVec norm_scale = hn::Set(kFloats, chunk.norm_scale);
  HWY_UNROLL(8) for (std::size_t i = 0; i < kBlockColumns; i += kLanes) {
    const FloatVec scaled = hn::Mul(hn::LoadU(kFloats, x + i), norm_scale);
    const FloatVec weight = hn::LoadU(kFloats, chunk.norm_weight + c + i);
    hn::Store(hn::Mul(scaled, weight), kFloats, normalised + i);
  }
  return normalised;
}

template <Order kOrder>
void quantise(const ColumnChunk& chunk, std::uint32_t slot, Quantised& activations) {
  HWY_ALIGN float normalised[kBlockColumns];
  HWY_ALIGN std::int32_t block[kBlockColumns];
  std::int16_t* values = activations.values[slot];
  for (std::uint32_t b = 0; b < chunk.columns / kBlockColumns; ++b, values += kBlockColumns) {
    activations.scales[slot][b] =
        quantise_block(block_of(chunk, b * kBlockColumns, normalised), block);
    std::int32_t sum = 0;
    for (std::uint32_t i = 0; i < kBlockColumns; i += 4) {
      constexpr std::uint32_t kSecond = kOrder == Order::kEvenOdd ? 2 : 1;
      values[i] = static_cast<std::int16_t>(block[i]);
      values[i + 1] = static_cast<std::int16_t>(block[i + kSecond]);
      values[i + 2] = static_cast<std::int16_t>(block[i + 3 - kSecond]);
      values[i + 3] = static_cast<std::int16_t>(block[i + 3]);
      sum += block[i] + block[i + 1] + block[i + 2] + block[i + 3];
    }
    activations.sums[slot][b] = sum;
  }
}

void prepare_rows(const ColumnChunk& chunk, std::uint32_t slot, Activations& activations) {
  quantise<Order::kNatural>(chunk, slot, activations_as<Quantised>(activations));
}
void prepare_tiles(const ColumnChunk& chunk, std::uint32_t slot, Activations& activations) {
  quantise<Order::kEvenOdd>(chunk, slot, activations_as<Quantised>(activations));
}

// ---- Row-major ----

// At most 16 lanes of int16, so that half a block of nibbles is whole vectors.
using Shorts = hn::CappedTag<std::int16_t, 16>;
using ShortVec = hn::Vec<Shorts>;
#if HWY_TARGET == HWY_SCALAR
using Pairs = hn::Rebind<std::int32_t, Shorts>;
#else
using Pairs = hn::RepartitionToWide<Shorts>;
#endif
using PairFloats = hn::Rebind<float, Pairs>;
constexpr Shorts kShorts;
constexpr std::size_t kShortLanes = HWY_MIN(HWY_LANES(std::int16_t), 16);

/// Sum over a block of weight * activation, spread over lanes in any order.
struct PairSums {
  hn::Vec<Pairs> first;
  hn::Vec<Pairs> second;

  HWY_INLINE PairSums() : first(hn::Zero(Pairs())), second(hn::Zero(Pairs())) {}
  HWY_INLINE void add(ShortVec weights, const std::int16_t* values) {
    first =
        hn::ReorderWidenMulAccumulate(Pairs(), weights, hn::LoadU(kShorts, values), first, second);
  }
  HWY_INLINE hn::Vec<PairFloats> total() const {
    return hn::ConvertTo(PairFloats(), hn::Add(first, second));
  }
};

struct Q8Rows {
  static constexpr std::uint32_t kBytes = kQ8Bytes;
  static HWY_INLINE hn::Vec<PairFloats> dot(const std::byte* block, const std::int16_t* values) {
    const hn::Rebind<std::int8_t, Shorts> bytes;
    PairSums sums;
    HWY_UNROLL(4) for (std::size_t i = 0; i < kBlockColumns; i += kShortLanes) {
      const auto q = hn::LoadU(bytes, lanes_at<std::int8_t>(block + 2 + i));
      sums.add(hn::PromoteTo(kShorts, q), values + i);
    }
    return sums.total();
  }
};

struct Q4Rows {
  static constexpr std::uint32_t kBytes = kQ4Bytes;
  static HWY_INLINE hn::Vec<PairFloats> dot(const std::byte* block, const std::int16_t* values) {
    const hn::Rebind<std::uint8_t, Shorts> bytes;
    const ShortVec eight = hn::Set(kShorts, 8);
    PairSums sums;
    HWY_UNROLL(2) for (std::size_t i = 0; i < kBlockColumns / 2; i += kShortLanes) {
      const auto both =
          hn::PromoteTo(kShorts, hn::LoadU(bytes, lanes_at<std::uint8_t>(block + 2 + i)));
      sums.add(hn::Sub(hn::And(both, hn::Set(kShorts, 15)), eight), values + i);
      sums.add(hn::Sub(hn::ShiftRight<4>(both), eight), values + kBlockColumns / 2 + i);
    }
    return sums.total();
  }
};

template <class Format>
void rows_panel(const Panel& panel, const Quantised& activations) {
  const PairFloats floats;
  const hn::Rebind<hwy::float16_t, PairFloats> halves;
  const hn::Rebind<std::uint16_t, PairFloats> half_bits;
  for (std::uint32_t row = panel.row_begin; row < panel.row_end; ++row) {
    const std::byte* const weights = panel.row(row, Format::kBytes, kBlockColumns);
    for (std::uint32_t token = 0; token < panel.tokens; ++token) {
      const std::uint32_t slot = panel.slot + token;
      auto sum = hn::Zero(floats);
      for (std::uint32_t b = 0; b < panel.chunk_blocks(); ++b) {
        const std::byte* const block = weights + std::size_t{b} * Format::kBytes;
        const auto scale =
            hn::PromoteTo(floats, hn::BitCast(halves, hn::Set(half_bits, load_half_bits(block))));
        const auto dot =
            Format::dot(block, activations.values[slot] + std::size_t{b} * kBlockColumns);
        sum = hn::MulAdd(dot, hn::Mul(scale, hn::Set(floats, activations.scales[slot][b])), sum);
      }
      float* const y = panel.y_row(token) + row;
      const float total = hn::GetLane(hn::SumOfLanes(floats, sum));
      *y = panel.adds() ? *y + total : total;
    }
  }
}

void q8_int8_panel(const Panel& panel, const Activations& activations) {
  rows_panel<Q8Rows>(panel, activations_as<Quantised>(activations));
}
void q4_int8_panel(const Panel& panel, const Activations& activations) {
  rows_panel<Q4Rows>(panel, activations_as<Quantised>(activations));
}

// ---- Tiles of 16 rows: one row a lane ----

/// Adds four columns, weights in the bytes of each lane: `values` in Order::kEvenOdd.
HWY_INLINE IntVec add_four_columns(IntVec weights, const std::int16_t* values, IntVec sum) {
#if HWY_TARGET == HWY_SCALAR
  const auto lane = static_cast<std::uint32_t>(hn::GetLane(weights));
  const auto term = [&](std::uint32_t byte, std::size_t i) {
    return static_cast<std::int32_t>((lane >> (8 * byte)) & 255) * values[i];
  };
  return hn::Add(sum, hn::Set(kInts, term(0, 0) + term(2, 1) + term(1, 2) + term(3, 3)));
#else
  const hn::Repartition<std::int16_t, Ints> shorts;
  const hn::Repartition<std::uint16_t, Ints> unsigned_shorts;
  std::int32_t pairs[2];
  std::memcpy(pairs, values, sizeof(pairs));
  const auto even = hn::BitCast(shorts, hn::And(weights, hn::Set(kInts, 0x00FF00FF)));
  const auto odd = hn::BitCast(shorts, hn::ShiftRight<8>(hn::BitCast(unsigned_shorts, weights)));
  IntVec second = hn::Zero(kInts);
  sum = hn::ReorderWidenMulAccumulate(kInts, even, hn::BitCast(shorts, hn::Set(kInts, pairs[0])),
                                      sum, second);
  sum = hn::ReorderWidenMulAccumulate(kInts, odd, hn::BitCast(shorts, hn::Set(kInts, pairs[1])),
                                      sum, second);
  return hn::RearrangeToOddPlusEven(sum, second);
#endif
}

struct Q8Tile {
  static constexpr std::uint32_t kBytes = kQ8Bytes;
  static constexpr std::int32_t kOffset = 128;
  /// `block` points to the first of this vector's rows.
  static HWY_INLINE IntVec dot(const std::byte* block, const std::int16_t* values, IntVec sum) {
    HWY_UNROLL(8) for (std::size_t i = 0; i < 8; ++i) {
      sum = add_four_columns(hn::LoadU(kInts, lanes_at<std::int32_t>(block + 64 * i)),
                             values + 4 * i, sum);
    }
    return sum;
  }
};

struct Q4Tile {
  static constexpr std::uint32_t kBytes = kQ4Bytes;
  static constexpr std::int32_t kOffset = 8;
  static HWY_INLINE IntVec dot(const std::byte* block, const std::int16_t* values, IntVec sum) {
    const IntVec low_nibbles = hn::Set(kInts, 0x0F0F0F0F);
    HWY_UNROLL(4) for (std::size_t i = 0; i < 4; ++i) {
      const IntVec both = hn::LoadU(kInts, lanes_at<std::int32_t>(block + 64 * i));
      sum = add_four_columns(hn::And(both, low_nibbles), values + 4 * i, sum);
      sum =
          add_four_columns(hn::And(hn::ShiftRight<4>(both), low_nibbles), values + 16 + 4 * i, sum);
    }
    return sum;
  }
};

template <class Format>
void tile_panel(const Panel& panel, const Quantised& activations) {
  constexpr std::size_t kVectors = kTileRows / kLanes;
  const hn::Rebind<hwy::float16_t, Floats> halves;
  HWY_ALIGN float sums[kTileRows];
  for (std::uint32_t row = panel.row_begin; row < panel.row_end; row += kTileRows) {
    const std::byte* const tile = panel.tile(row, Format::kBytes);
    for (std::uint32_t token = 0; token < panel.tokens; ++token) {
      const std::uint32_t slot = panel.slot + token;
      FloatVec totals[kVectors];
      HWY_UNROLL(16) for (FloatVec& total : totals) total = hn::Zero(kFloats);
      for (std::uint32_t b = 0; b < panel.chunk_blocks(); ++b) {
        const std::byte* const block = tile + std::size_t{b} * Format::kBytes * kTileRows;
        const std::int16_t* const values =
            activations.values[slot] + std::size_t{b} * kBlockColumns;
        const FloatVec x_scale = hn::Set(kFloats, activations.scales[slot][b]);
        const IntVec start = hn::Set(kInts, -Format::kOffset * activations.sums[slot][b]);
        HWY_UNROLL(16) for (std::size_t v = 0; v < kVectors; ++v) {
          const std::size_t lane = v * kLanes;
          const auto scales =
              hn::PromoteTo(kFloats, hn::LoadU(halves, lanes_at<hwy::float16_t>(block + 2 * lane)));
          const FloatVec dot =
              hn::ConvertTo(kFloats, Format::dot(block + 32 + 4 * lane, values, start));
          totals[v] = hn::MulAdd(dot, hn::Mul(scales, x_scale), totals[v]);
        }
      }
      HWY_UNROLL(16)
      for (std::size_t v = 0; v < kVectors; ++v) hn::Store(totals[v], kFloats, sums + v * kLanes);
      float* const y = panel.y_row(token) + row;
      const std::uint32_t rows = HWY_MIN(panel.row_end - row, kTileRows);
      for (std::uint32_t r = 0; r < rows; ++r) y[r] = panel.adds() ? y[r] + sums[r] : sums[r];
    }
  }
}

void q8_tile_int8_panel(const Panel& panel, const Activations& activations) {
  tile_panel<Q8Tile>(panel, activations_as<Quantised>(activations));
}
void q4_tile_int8_panel(const Panel& panel, const Activations& activations) {
  tile_panel<Q4Tile>(panel, activations_as<Quantised>(activations));
}

}  // namespace
}  // namespace segue::host::mat_vec::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host::mat_vec {

HWY_EXPORT(prepare_rows);
HWY_EXPORT(prepare_tiles);
HWY_EXPORT(q8_int8_panel);
HWY_EXPORT(q4_int8_panel);
HWY_EXPORT(q8_tile_int8_panel);
HWY_EXPORT(q4_tile_int8_panel);

void choose_int8_methods(Methods& methods) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  const PrepareFunction rows = HWY_DYNAMIC_DISPATCH(prepare_rows);
  const PrepareFunction tiles = HWY_DYNAMIC_DISPATCH(prepare_tiles);
  methods.q8_0_int8 = {HWY_DYNAMIC_DISPATCH(q8_int8_panel), rows};
  methods.q4_0_int8 = {HWY_DYNAMIC_DISPATCH(q4_int8_panel), rows};
  methods.q8_0_tile16_int8 = {HWY_DYNAMIC_DISPATCH(q8_tile_int8_panel), tiles};
  methods.q4_0_tile16_int8 = {HWY_DYNAMIC_DISPATCH(q4_tile_int8_panel), tiles};
}

}  // namespace segue::host::mat_vec
#endif  // HWY_ONCE
