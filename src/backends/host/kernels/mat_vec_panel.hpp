// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// The seam inside the matrix products: mat_vec.cpp and mat_vec_fused.cpp cut products into panels.
// Per weight format, layout, mode and instruction set, one function prepares the activations of
// panels, so that matrices that share activations share this too, and one multiplies a panel.

namespace segue::host::mat_vec {

inline constexpr std::uint32_t kTileRows = 16;  ///< Rows of a tile16 tile, and of one thread group.
inline constexpr std::uint32_t kBlockColumns = 32;  ///< Columns that share a scale.
inline constexpr std::uint32_t kQ8Bytes = 34;       ///< Scale and 32 int8.
inline constexpr std::uint32_t kQ4Bytes = 18;       ///< Scale and 32 nibbles.

/// Most tokens of a panel: their sums for one row fit into registers.
inline constexpr std::uint32_t kTokenTile = 4;
/// Most columns of a panel, so that quantised activations fit on the stack. Whole blocks.
inline constexpr std::uint32_t kColumnChunk = 4096;

/// Up to kColumnChunk neighbouring activations of a token as the caller has them.
struct ColumnChunk {
  const float* x;
  const float* norm_weight;  ///< Null: x counts; else x[c] * norm_scale * norm_weight[c].
  float norm_scale;
  std::uint32_t columns;
};

/// Activations as a PrepareFunction writes and its MultiplyFunction reads them: a slot for the
/// chunk of each token, or for each of several chunks of one token. Undefined until written.
struct Activations {
  alignas(64) std::byte bytes[kTokenTile * kColumnChunk * sizeof(float)];

  /// Floats, for the functions that multiply floats.
  [[nodiscard]] float* floats(std::uint32_t slot) {
    return reinterpret_cast<float*>(bytes) + std::size_t{slot} * kColumnChunk;
  }
};

/// What a pair of functions keeps in there.
template <class T>
[[nodiscard]] T& activations_as(Activations& activations) {
  static_assert(sizeof(T) <= sizeof(activations.bytes) && alignof(T) <= alignof(Activations));
  return *reinterpret_cast<T*>(activations.bytes);
}
template <class T>
[[nodiscard]] const T& activations_as(const Activations& activations) {
  return *reinterpret_cast<const T*>(activations.bytes);
}

/// Part of y[t, r] = sum over c of weights[r, c] * x[t, c].
struct Panel {
  const std::byte* weights;  ///< The whole matrix, at any address.
  const float* x;            ///< First token and column of the panel, where floats are multiplied.
  float* y;                  ///< [tokens, rows]; first token of the panel.
  std::uint32_t tokens;      ///< 1 to kTokenTile.
  std::uint32_t rows;        ///< Of the whole matrix.
  std::uint32_t columns;     ///< Of the whole matrix.
  std::uint32_t row_begin;   ///< A multiple of kTileRows.
  std::uint32_t row_end;
  std::uint32_t column_begin;  ///< A multiple of kColumnChunk.
  std::uint32_t
      column_end;      ///< At most kColumnChunk further. From the second chunk on, y is added to.
  std::uint32_t slot;  ///< Of the first token's activations; its neighbours follow.

  [[nodiscard]] std::uint32_t chunk_columns() const { return column_end - column_begin; }
  [[nodiscard]] std::uint32_t chunk_blocks() const { return chunk_columns() / kBlockColumns; }
  [[nodiscard]] bool adds() const { return column_begin != 0; }

  /// First byte of this chunk in row `row` of a row-major matrix with `block_bytes` for every
  /// `block_columns`.
  [[nodiscard]] const std::byte* row(std::uint32_t row, std::uint32_t block_bytes,
                                     std::uint32_t block_columns) const {
    const std::size_t block =
        std::size_t{row} * (columns / block_columns) + column_begin / block_columns;
    return weights + block * block_bytes;
  }
  /// First byte of this chunk in the tile that starts at row `row`; a block of a tile is 16 blocks
  /// of `block_bytes`.
  [[nodiscard]] const std::byte* tile(std::uint32_t row, std::uint32_t block_bytes) const {
    const std::size_t block =
        std::size_t{row / kTileRows} * (columns / kBlockColumns) + column_begin / kBlockColumns;
    return weights + block * block_bytes * kTileRows;
  }
  [[nodiscard]] const float* x_row(std::uint32_t token) const {
    return x + std::size_t{token} * columns;
  }
  [[nodiscard]] float* y_row(std::uint32_t token) const { return y + std::size_t{token} * rows; }
};

/// Writes a chunk of activations into a slot.
using PrepareFunction = void (*)(const ColumnChunk&, std::uint32_t slot, Activations&);

/// Multiplies one panel. A sum's order of additions depends on the format and instruction set
/// alone, never on the panel's rows or number of tokens, so that results do not depend on how a
/// product was cut.
using MultiplyFunction = void (*)(const Panel&, const Activations&);

/// What multiplies weights of one format, layout and mode.
struct Method {
  MultiplyFunction multiply = nullptr;
  PrepareFunction prepare = nullptr;  ///< Null: floats are multiplied, from where Panel::x points.
};

/// One method per format, layout and mode.
struct Methods {
  Method f32, f16, bf16;
  Method q8_0, q4_0;
  Method q8_0_tile16, q4_0_tile16;
  Method q8_0_int8, q4_0_int8;
  Method q8_0_tile16_int8, q4_0_tile16_int8;
};

/// The methods with float activations, for the best instruction set that Highway
/// reports.
void choose_float_methods(Methods& methods);
/// The methods that quantise activations, likewise.
void choose_int8_methods(Methods& methods);
/// Replaces those by ones for AVX-512 VNNI, which Highway has no target for. False without such a
/// processor.
bool choose_vnni_methods(Methods& methods);

/// How neighbouring values of heads turn together. head_size and rotated are even.
struct Rotation {
  std::uint32_t head_size;
  std::uint32_t rotated;
  std::uint32_t position;
  float base;
};
/// Values `begin` to `end` - 1 of all heads of a token, both even numbers.
struct HeadValues {
  std::uint32_t begin;
  std::uint32_t end;
};

/// What a fused kernel does around its products, on arrays of floats. Halves are given as their
/// bits.
struct Steps {
  /// As rms_norm does it.
  float (*inverse_root_mean_square)(const float* x, std::size_t count, float epsilon) = nullptr;
  /// y[i] = x[i] * norm_scale * norm_weight[i].
  void (*normalise)(const ColumnChunk&, float* y) = nullptr;
  /// y[i] = a[i] + b[i]; y may be a.
  void (*add)(const float* a, const float* b, float* y, std::size_t count) = nullptr;
  /// y[i] = silu(gate[i]) * up[i].
  void (*silu_mul)(const float* gate, const float* up, float* y, std::size_t count) = nullptr;
  /// y[i] = x[i], rounded as kv_append_f16 does it.
  void (*round)(const float* x, std::uint16_t* y, std::size_t count) = nullptr;
  /// As rope_interleaved does it; the first of the values is at x[0] and y[0].
  void (*rotate)(const Rotation&, HeadValues, const float* x, float* y) = nullptr;
  void (*rotate_and_round)(const Rotation&, HeadValues, const float* x, std::uint16_t* y) = nullptr;
};

/// For the best instruction set that Highway reports.
[[nodiscard]] Steps choose_steps();
/// Those of them that rotate, likewise.
void choose_rotations(Steps& steps);

/// The bits of the binary16 number at `data`, which may be unaligned.
[[nodiscard]] inline std::uint16_t load_half_bits(const std::byte* data) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, data, sizeof(bits));
  return bits;
}

/// `data` as a pointer for unaligned vector loads.
template <class T>
[[nodiscard]] const T* lanes_at(const std::byte* data) {
  return static_cast<const T*>(static_cast<const void*>(data));
}

/// Whether one token reads four neighbouring rows side by side, which share its activations. Rows
/// of 1 to 4 KiB are read one after the other: their streams would meet in a page of memory, where
/// the prefetcher of the processor follows only one.
[[nodiscard]] inline bool reads_rows_side_by_side(std::size_t row_bytes) {
  return row_bytes <= 1024 || row_bytes >= 4096;
}

/// Smallest largest magnitude of a block that is quantised; below, 127 / magnitude could overflow
/// and zeros do.
inline constexpr float kSmallestMagnitude = 1e-30F;

}  // namespace segue::host::mat_vec
