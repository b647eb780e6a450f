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

/// The activations of a panel: x = scale * value for each block.
struct Activations {
  alignas(64) std::int8_t values[kTokenTile][kColumnChunk];
  /// What the sums of a block start at: 8 lanes of 4 columns for rows, one number for tiles.
  alignas(64) std::int32_t starts[kTokenTile][kColumnChunk / 4];
  float scales[kTokenTile][kColumnChunk / kBlockColumns];
};

enum class Starts { kLanes, kNumber };

HWY_INLINE const __m128i* vec128(const void* data) { return static_cast<const __m128i*>(data); }
HWY_INLINE const __m256i* vec256(const void* data) { return static_cast<const __m256i*>(data); }

HWY_INLINE std::int32_t sum_lanes(__m256i lanes) {
  const __m128i four =
      _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

HWY_INLINE float sum_lanes(__m256 lanes) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// scale = largest magnitude / 127, value = round(x / scale), ties to even.
template <Starts kStarts, int kOffset>
HWY_INLINE void quantise(const Panel& panel, Activations& activations) {
  for (std::uint32_t token = 0; token < panel.tokens; ++token) {
    const float* x = panel.x_row(token);
    std::int8_t* values = activations.values[token];
    for (std::uint32_t b = 0; b < panel.chunk_blocks();
         ++b, x += kBlockColumns, values += kBlockColumns) {
      const __m512 low = _mm512_loadu_ps(x);
      const __m512 high = _mm512_loadu_ps(x + 16);
      const float magnitude =
          _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
      const __m512 inverse =
          _mm512_set1_ps(magnitude > kSmallestMagnitude ? 127.0F / magnitude : 0.0F);
      const __m128i first = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)));
      const __m128i second =
          _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)));
      const __m256i block = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
      const __m256i offset = _mm256_set1_epi8(static_cast<char>(kOffset));
      const __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), offset, block);
      _mm256_store_si256(static_cast<__m256i*>(static_cast<void*>(values)), block);
      if constexpr (kStarts == Starts::kLanes) {
        _mm256_store_si256(static_cast<__m256i*>(
                               static_cast<void*>(activations.starts[token] + 8 * std::size_t{b})),
                           _mm256_sub_epi32(_mm256_setzero_si256(), sums));
      } else {
        activations.starts[token][b] = -sum_lanes(sums);
      }
      activations.scales[token][b] = magnitude / 127.0F;
    }
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
HWY_INLINE void add_block(const std::byte* block, std::size_t row_bytes,
                          const Activations& activations, std::size_t b,
                          __m256 (&sums)[kRows][kTokens]) {
  HWY_UNROLL(4) for (std::uint32_t r = 0; r < kRows; ++r) {
    const std::byte* const source = block + r * row_bytes;
    const __m256i weights = Format::unsigned_weights(source);
    const __m256 scale =
        _mm256_cvtph_ps(_mm_set1_epi16(static_cast<std::int16_t>(load_half_bits(source))));
    HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
      const __m256i start = _mm256_load_si256(vec256(activations.starts[t] + 8 * b));
      const __m256i values = _mm256_load_si256(vec256(activations.values[t] + kBlockColumns * b));
      const __m256 dot = _mm256_cvtepi32_ps(_mm256_dpbusd_epi32(start, weights, values));
      const __m256 both_scales = _mm256_mul_ps(scale, _mm256_set1_ps(activations.scales[t][b]));
      sums[r][t] = _mm256_fmadd_ps(dot, both_scales, sums[r][t]);
    }
  }
}

template <class Format, std::uint32_t kRows, std::uint32_t kTokens, bool kPrefetch>
HWY_INLINE void multiply_rows(const Panel& panel, const Activations& activations,
                              std::uint32_t row) {
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
    add_block<Format>(block, row_bytes, activations, b, even);
    if constexpr (kPrefetch) _mm_prefetch(block + kPrefetchBytes + Format::kBytes, _MM_HINT_T0);
    add_block<Format>(block + Format::kBytes, row_bytes, activations, b + 1, odd);
  }
  if (b < blocks) add_block<Format>(block, row_bytes, activations, b, even);
  HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
    float* const y = panel.y_row(t) + row;
    HWY_UNROLL(4) for (std::uint32_t r = 0; r < kRows; ++r) {
      const float total = sum_lanes(_mm256_add_ps(even[r][t], odd[r][t]));
      y[r] = panel.adds() ? y[r] + total : total;
    }
  }
}

template <class Format, std::uint32_t kTokens>
HWY_INLINE void multiply_all_rows(const Panel& panel, const Activations& activations) {
  const std::size_t row_bytes = std::size_t{panel.columns / kBlockColumns} * Format::kBytes;
  std::uint32_t row = panel.row_begin;
  if (kTokens > 1 || reads_rows_side_by_side(row_bytes)) {
    constexpr std::uint32_t kRows = kTokens > 1 ? 2 : 4;
    for (; row + kRows <= panel.row_end; row += kRows) {
      multiply_rows<Format, kRows, kTokens, false>(panel, activations, row);
    }
  }
  for (; row < panel.row_end; ++row)
    multiply_rows<Format, 1, kTokens, kTokens == 1>(panel, activations, row);
}

template <class Format>
void rows_panel(const Panel& panel) {
  Activations activations;
  quantise<Starts::kLanes, Format::kOffset>(panel, activations);
  switch (panel.tokens) {
    case 1: return multiply_all_rows<Format, 1>(panel, activations);
    case 2: return multiply_all_rows<Format, 2>(panel, activations);
    case 3: return multiply_all_rows<Format, 3>(panel, activations);
    default: return multiply_all_rows<Format, 4>(panel, activations);
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
HWY_INLINE void multiply_tile(const Panel& panel, const Activations& activations,
                              std::uint32_t row) {
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
      dots[t][0] = _mm512_set1_epi32(activations.starts[t][b]);
      dots[t][1] = _mm512_setzero_si512();
    }
    HWY_UNROLL(8) for (std::uint32_t i = 0; i < Format::kLoads; ++i) {
      const __m512i stored = _mm512_loadu_si512(block + 32 + std::size_t{64} * i);
      HWY_UNROLL(4) for (std::uint32_t t = 0; t < kTokens; ++t) {
        const std::int8_t* const values = activations.values[t] + std::size_t{kBlockColumns} * b;
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
      const __m512 both_scales = _mm512_mul_ps(scales, _mm512_set1_ps(activations.scales[t][b]));
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
HWY_INLINE void multiply_all_tiles(const Panel& panel, const Activations& activations) {
  for (std::uint32_t row = panel.row_begin; row < panel.row_end; row += kTileRows) {
    multiply_tile<Format, kTokens>(panel, activations, row);
  }
}

template <class Format>
void tile_panel(const Panel& panel) {
  Activations activations;
  quantise<Starts::kNumber, Format::kOffset>(panel, activations);
  switch (panel.tokens) {
    case 1: return multiply_all_tiles<Format, 1>(panel, activations);
    case 2: return multiply_all_tiles<Format, 2>(panel, activations);
    case 3: return multiply_all_tiles<Format, 3>(panel, activations);
    default: return multiply_all_tiles<Format, 4>(panel, activations);
  }
}

}  // namespace
}  // namespace segue::host::mat_vec
HWY_POP_ATTRIBUTES

namespace segue::host::mat_vec {

bool choose_vnni_panels(PanelFunctions& functions) {
  if ((hwy::SupportedTargets() & HWY_AVX3) == 0) return false;
  if (!__builtin_cpu_supports("avx512vnni")) return false;
  functions.q8_0_int8 = rows_panel<Q8Rows>;
  functions.q4_0_int8 = rows_panel<Q4Rows>;
  functions.q8_0_tile16_int8 = tile_panel<Q8Tile>;
  functions.q4_0_tile16_int8 = tile_panel<Q4Tile>;
  return true;
}

}  // namespace segue::host::mat_vec

#else

namespace segue::host::mat_vec {

bool choose_vnni_panels(PanelFunctions&) { return false; }

}  // namespace segue::host::mat_vec

#endif
