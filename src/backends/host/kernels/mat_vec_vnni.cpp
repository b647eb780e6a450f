// SPDX-License-Identifier: Apache-2.0
#include <hwy/highway.h>

#include "backends/host/kernels/mat_vec_panel.hpp"

// Panels with activations quantised to int8, by the AVX-512 VNNI instruction that multiplies four
// unsigned bytes by four signed ones and adds the products to each 32-bit lane. Weights are made
// unsigned by an offset; since
//   sum (q + offset) * a = sum q * a + offset * sum a,
// the sum starts at -offset * (sum a), which is known once the activations are quantised.

#if HWY_ARCH_X86 && (HWY_TARGETS & HWY_AVX3)

#if HWY_COMPILER_GCC_ACTUAL  // Its intrinsics leave the source of unused lanes uninitialised on
                             // purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace segue::host::mat_vec {
namespace {

/// How far ahead a single row asks for weights: the reorder buffer alone holds too few misses to
/// stream from memory.
constexpr std::size_t kPrefetchBytes = 4096;

/// The activations of a slot: x = scale * value for each block.
struct Slot {
  alignas(64) std::int8_t values[kColumnChunk];
  /// What the sums of a block start at: 8 lanes of 4 columns for rows, one number for tiles.
  alignas(64) std::int32_t starts[kColumnChunk / 4];
  alignas(64) float scales[kColumnChunk / kBlockColumns];
};

using Slots = Slot[kTokenTile];

enum class Starts { kLanes, kNumber };

HWY_INLINE const __m128i* vec128(const void* data) { return static_cast<const __m128i*>(data); }
HWY_INLINE const __m256i* vec256(const void* data) { return static_cast<const __m256i*>(data); }

HWY_INLINE float sum_lanes(__m256 lanes) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// Sixteen activations from column `c` on.
template <bool kNorm>
HWY_INLINE __m512 load_x(const ColumnChunk& chunk, std::size_t c) {
  const __m512 x = _mm512_loadu_ps(chunk.x + c);
  if constexpr (!kNorm) return x;
  const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(chunk.norm_scale));
  return _mm512_mul_ps(scaled, _mm512_loadu_ps(chunk.norm_weight + c));
}

// Blocks are quantised four at a time: what is one number a block is then one lane of 128 bits a
// block, and the latencies of four reductions and divisions are one.

/// Lanes of 128 bits of the result are made from pairs of lanes of each operand in turn.
HWY_INLINE __m512 even_lanes(__m512 a, __m512 b) { return _mm512_shuffle_f32x4(a, b, 0x88); }
HWY_INLINE __m512 odd_lanes(__m512 a, __m512 b) { return _mm512_shuffle_f32x4(a, b, 0xDD); }

/// The largest number of each vector, in all four numbers of a lane.
HWY_INLINE __m512 largest_of_each(const __m512 (&v)[4]) {
  const __m512 first = _mm512_max_ps(even_lanes(v[0], v[1]), odd_lanes(v[0], v[1]));
  const __m512 second = _mm512_max_ps(even_lanes(v[2], v[3]), odd_lanes(v[2], v[3]));
  __m512 all = _mm512_max_ps(even_lanes(first, second), odd_lanes(first, second));
  all = _mm512_max_ps(all, _mm512_permute_ps(all, 0x4E));
  return _mm512_max_ps(all, _mm512_permute_ps(all, 0xB1));
}

/// The sum of each half of two vectors of eight numbers.
HWY_INLINE __m128i sums_of_halves(__m512i a, __m512i b) {
  const __m512i sums =
      _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
  const __m512i twos = _mm512_add_epi32(sums, _mm512_shuffle_epi32(sums, _MM_PERM_BADC));
  const __m512i all = _mm512_add_epi32(twos, _mm512_shuffle_epi32(twos, _MM_PERM_CDAB));
  const __m512i first_of_lanes = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_castsi512_si128(_mm512_permutexvar_epi32(first_of_lanes, all));
}

/// 64 numbers as int8, in order.
HWY_INLINE __m512i to_bytes(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512i ab = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b));
  const __m512i cd = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(ab, cd));
}

/// scale = largest magnitude / 127, value = round(x / scale), ties to even, for the blocks from `b`
/// on: four, or as many as there are, and zeros after them.
template <Starts kStarts, int kOffset, bool kNorm>
HWY_INLINE void quantise_four(const ColumnChunk& chunk, std::uint32_t b, std::uint32_t count,
                              Slot& slot) {
  __m512 low[4];
  __m512 high[4];
  __m512 magnitudes[4];
  HWY_UNROLL(4) for (std::uint32_t i = 0; i < 4; ++i) {
    const std::size_t column = std::size_t{kBlockColumns} * (b + i);
    low[i] = i < count ? load_x<kNorm>(chunk, column) : _mm512_setzero_ps();
    high[i] = i < count ? load_x<kNorm>(chunk, column + 16) : _mm512_setzero_ps();
    magnitudes[i] = _mm512_max_ps(_mm512_abs_ps(low[i]), _mm512_abs_ps(high[i]));
  }
  const __m512 magnitude = largest_of_each(magnitudes);
  const __mmask16 large =
      _mm512_cmp_ps_mask(magnitude, _mm512_set1_ps(kSmallestMagnitude), _CMP_GT_OQ);
  const __m512 inverse = _mm512_maskz_div_ps(large, _mm512_set1_ps(127.0F), magnitude);
  const __m512 scales = _mm512_div_ps(magnitude, _mm512_set1_ps(127.0F));
  const __m512 inverses[4] = {
      _mm512_shuffle_f32x4(inverse, inverse, 0x00), _mm512_shuffle_f32x4(inverse, inverse, 0x55),
      _mm512_shuffle_f32x4(inverse, inverse, 0xAA), _mm512_shuffle_f32x4(inverse, inverse, 0xFF)};
  HWY_UNROLL(4) for (std::uint32_t i = 0; i < 4; ++i) {
    low[i] = _mm512_mul_ps(low[i], inverses[i]);
    high[i] = _mm512_mul_ps(high[i], inverses[i]);
  }
  const __m512i first = to_bytes(low[0], high[0], low[1], high[1]);
  const __m512i second = to_bytes(low[2], high[2], low[3], high[3]);
  std::int8_t* const values = slot.values + std::size_t{kBlockColumns} * b;
  _mm512_store_si512(values, first);
  _mm512_store_si512(values + 64, second);

  const __m512i offset = _mm512_set1_epi8(static_cast<char>(kOffset));
  const __m512i zero = _mm512_setzero_si512();
  const __m512i first_starts = _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, offset, first));
  const __m512i second_starts = _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, offset, second));
  if constexpr (kStarts == Starts::kLanes) {
    std::int32_t* const starts = slot.starts + std::size_t{8} * b;
    _mm512_store_si512(starts, first_starts);
    _mm512_store_si512(starts + 16, second_starts);
  } else {
    _mm_store_si128(static_cast<__m128i*>(static_cast<void*>(slot.starts + b)),
                    sums_of_halves(first_starts, second_starts));
  }
  const __m512i first_of_lanes = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  _mm_store_ps(slot.scales + b,
               _mm512_castps512_ps128(_mm512_permutexvar_ps(first_of_lanes, scales)));
}

template <Starts kStarts, int kOffset, bool kNorm>
HWY_INLINE void quantise(const ColumnChunk& chunk, Slot& slot) {
  const std::uint32_t blocks = chunk.columns / kBlockColumns;
  std::uint32_t b = 0;
  for (; b + 4 <= blocks; b += 4) quantise_four<kStarts, kOffset, kNorm>(chunk, b, 4, slot);
  if (b < blocks) quantise_four<kStarts, kOffset, kNorm>(chunk, b, blocks - b, slot);
}

template <Starts kStarts, int kOffset>
void prepare(const ColumnChunk& chunk, std::uint32_t slot, Activations& activations) {
  Slot& to = activations_as<Slots>(activations)[slot];
  if (chunk.norm_weight != nullptr) {
    quantise<kStarts, kOffset, true>(chunk, to);
  } else {
    quantise<kStarts, kOffset, false>(chunk, to);
  }
}

// ---- Row-major ----

struct Q8Rows {
  static constexpr std::uint32_t kBytes = kQ8Bytes;
  static constexpr int kOffset = 128;
  static HWY_INLINE __m256i unsigned_weights(const std::byte* block) {
    return _mm256_xor_si256(_mm256_loadu_si256(vec256(block + 2)),
                            _mm256_set1_epi8(static_cast<char>(kOffset)));
  }
};

struct Q4Rows {
  static constexpr std::uint32_t kBytes = kQ4Bytes;
  static constexpr int kOffset = 8;
  static HWY_INLINE __m256i unsigned_weights(const std::byte* block) {
    const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(vec128(block + 2)));
    const __m256i shifted = _mm256_srlv_epi64(twice, _mm256_set_epi64x(4, 4, 0, 0));
    return _mm256_and_si256(shifted, _mm256_set1_epi8(15));
  }
};

/// Adds block `b` of each row, which begins at `block` for the first one, for all tokens.
template <class Format, std::uint32_t kRows, std::uint32_t kTokens>
HWY_INLINE void add_block(const std::byte* block, std::size_t row_bytes, const Slot* slots,
                          std::size_t b, __m256 (&sums)[kRows][kTokens]) {
  HWY_UNROLL(4) for (std::uint32_t r = 0; r < kRows; ++r) {
    const std::byte* const source = block + r * row_bytes;
    const __m256i weights = Format::unsigned_weights(source);
    const __m256 scale =
        _mm256_cvtph_ps(_mm_set1_epi16(static_cast<std::int16_t>(load_half_bits(source))));
    HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
      const __m256i start = _mm256_load_si256(vec256(slots[t].starts + 8 * b));
      const __m256i values = _mm256_load_si256(vec256(slots[t].values + kBlockColumns * b));
      const __m256 dot = _mm256_cvtepi32_ps(_mm256_dpbusd_epi32(start, weights, values));
      const __m256 both_scales = _mm256_mul_ps(scale, _mm256_set1_ps(slots[t].scales[b]));
      sums[r][t] = _mm256_fmadd_ps(dot, both_scales, sums[r][t]);
    }
  }
}

template <class Format, std::uint32_t kRows, std::uint32_t kTokens, bool kPrefetch>
HWY_INLINE void multiply_rows(const Panel& panel, const Slot* slots, std::uint32_t row) {
  const std::size_t row_bytes = std::size_t{panel.columns / kBlockColumns} * Format::kBytes;
  const std::byte* block = panel.row(row, Format::kBytes, kBlockColumns);
  const std::size_t blocks = panel.chunk_blocks();
  __m256 even[kRows][kTokens];
  __m256 odd[kRows][kTokens];
  HWY_UNROLL(4) for (std::uint32_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (std::uint32_t t = 0; t < kTokens; ++t) even[r][t] = odd[r][t] = _mm256_setzero_ps();
  }
  std::size_t b = 0;
  for (; b + 2 <= blocks; b += 2, block += 2 * Format::kBytes) {
    if constexpr (kPrefetch) _mm_prefetch(block + kPrefetchBytes, _MM_HINT_T0);
    add_block<Format>(block, row_bytes, slots, b, even);
    if constexpr (kPrefetch) _mm_prefetch(block + kPrefetchBytes + Format::kBytes, _MM_HINT_T0);
    add_block<Format>(block + Format::kBytes, row_bytes, slots, b + 1, odd);
  }
  if (b < blocks) add_block<Format>(block, row_bytes, slots, b, even);
  HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
    float* const y = panel.y_row(t) + row;
    HWY_UNROLL(4) for (std::uint32_t r = 0; r < kRows; ++r) {
      const float total = sum_lanes(_mm256_add_ps(even[r][t], odd[r][t]));
      y[r] = panel.adds() ? y[r] + total : total;
    }
  }
}

template <class Format, std::uint32_t kTokens>
HWY_INLINE void multiply_all_rows(const Panel& panel, const Slot* slots) {
  const std::size_t row_bytes = std::size_t{panel.columns / kBlockColumns} * Format::kBytes;
  std::uint32_t row = panel.row_begin;
  if (kTokens > 1 || reads_rows_side_by_side(row_bytes)) {
    constexpr std::uint32_t kRows = kTokens > 1 ? 2 : 4;
    for (; row + kRows <= panel.row_end; row += kRows) {
      multiply_rows<Format, kRows, kTokens, false>(panel, slots, row);
    }
  }
  for (; row < panel.row_end; ++row)
    multiply_rows<Format, 1, kTokens, kTokens == 1>(panel, slots, row);
}

template <class Format>
void rows_panel(const Panel& panel, const Activations& prepared) {
  const Slot* const slots = activations_as<Slots>(prepared) + panel.slot;
  switch (panel.tokens) {
    case 1: return multiply_all_rows<Format, 1>(panel, slots);
    case 2: return multiply_all_rows<Format, 2>(panel, slots);
    case 3: return multiply_all_rows<Format, 3>(panel, slots);
    default: return multiply_all_rows<Format, 4>(panel, slots);
  }
}

// ---- Tiles of 16 rows: one row a lane ----

struct Q8Tile {
  static constexpr std::uint32_t kBytes = kQ8Bytes;
  static constexpr int kOffset = 128;
  static constexpr std::uint32_t kLoads = 8;
};

struct Q4Tile {
  static constexpr std::uint32_t kBytes = kQ4Bytes;
  static constexpr int kOffset = 8;
  static constexpr std::uint32_t kLoads = 4;
};

/// Adds columns 4 * group to 4 * group + 3 of a block.
HWY_INLINE __m512i add_four_columns(__m512i weights, const std::int8_t* block, std::uint32_t group,
                                    __m512i sum) {
  std::int32_t four = 0;
  std::memcpy(&four, block + std::size_t{4} * group, sizeof(four));
  return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(four));
}

template <class Format, std::uint32_t kTokens>
HWY_INLINE void multiply_tile(const Panel& panel, const Slot* slots, std::uint32_t row) {
  const std::byte* block = panel.tile(row, Format::kBytes);
  const std::uint32_t blocks = panel.chunk_blocks();
  const __m512i nibbles = _mm512_set1_epi8(15);
  __m512 sums[kTokens];
  HWY_UNROLL(4) for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (std::uint32_t b = 0; b < blocks; ++b, block += kTileRows * Format::kBytes) {
    const __m512 scales = _mm512_cvtph_ps(_mm256_loadu_si256(vec256(block)));
    // Two chains of additions, since one would wait for itself.
    __m512i dots[kTokens][2];
    HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
      dots[t][0] = _mm512_set1_epi32(slots[t].starts[b]);
      dots[t][1] = _mm512_setzero_si512();
    }
    HWY_UNROLL(8) for (std::uint32_t i = 0; i < Format::kLoads; ++i) {
      const __m512i stored = _mm512_loadu_si512(block + 32 + std::size_t{64} * i);
      HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
        const std::int8_t* const values = slots[t].values + std::size_t{kBlockColumns} * b;
        if constexpr (Format::kLoads == 8) {
          dots[t][i % 2] = add_four_columns(stored, values, i, dots[t][i % 2]);
        } else {
          const __m512i low = _mm512_and_si512(stored, nibbles);
          const __m512i high = _mm512_and_si512(_mm512_srli_epi16(stored, 4), nibbles);
          dots[t][0] = add_four_columns(low, values, i, dots[t][0]);
          dots[t][1] = add_four_columns(high, values, i + 4, dots[t][1]);
        }
      }
    }
    HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
      const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(dots[t][0], dots[t][1]));
      const __m512 both_scales = _mm512_mul_ps(scales, _mm512_set1_ps(slots[t].scales[b]));
      sums[t] = _mm512_fmadd_ps(dot, both_scales, sums[t]);
    }
  }
  const std::uint32_t rows = panel.row_end - row;
  const auto valid = static_cast<__mmask16>(rows >= kTileRows ? 0xFFFFU : (1U << rows) - 1);
  HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
    float* const y = panel.y_row(t) + row;
    if (panel.adds()) sums[t] = _mm512_add_ps(_mm512_maskz_loadu_ps(valid, y), sums[t]);
    _mm512_mask_storeu_ps(y, valid, sums[t]);
  }
}

template <class Format, std::uint32_t kTokens>
HWY_INLINE void multiply_all_tiles(const Panel& panel, const Slot* slots) {
  for (std::uint32_t row = panel.row_begin; row < panel.row_end; row += kTileRows) {
    multiply_tile<Format, kTokens>(panel, slots, row);
  }
}

template <class Format>
void tile_panel(const Panel& panel, const Activations& prepared) {
  const Slot* const slots = activations_as<Slots>(prepared) + panel.slot;
  switch (panel.tokens) {
    case 1: return multiply_all_tiles<Format, 1>(panel, slots);
    case 2: return multiply_all_tiles<Format, 2>(panel, slots);
    case 3: return multiply_all_tiles<Format, 3>(panel, slots);
    default: return multiply_all_tiles<Format, 4>(panel, slots);
  }
}

}  // namespace
}  // namespace segue::host::mat_vec
HWY_POP_ATTRIBUTES

namespace segue::host::mat_vec {

bool choose_vnni_methods(Methods& methods) {
  if ((hwy::SupportedTargets() & HWY_AVX3) == 0) return false;
  if (!__builtin_cpu_supports("avx512vnni")) return false;
  methods.q8_0_int8 = {rows_panel<Q8Rows>, prepare<Starts::kLanes, Q8Rows::kOffset>};
  methods.q4_0_int8 = {rows_panel<Q4Rows>, prepare<Starts::kLanes, Q4Rows::kOffset>};
  methods.q8_0_tile16_int8 = {tile_panel<Q8Tile>, prepare<Starts::kNumber, Q8Tile::kOffset>};
  methods.q4_0_tile16_int8 = {tile_panel<Q4Tile>, prepare<Starts::kNumber, Q4Tile::kOffset>};
  return true;
}

}  // namespace segue::host::mat_vec

#else

namespace segue::host::mat_vec {

bool choose_vnni_methods(Methods&) { return false; }

}  // namespace segue::host::mat_vec

#endif
