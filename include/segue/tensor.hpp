// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "segue/buffer.hpp"
#include "segue/error.hpp"

namespace segue {

/// How the elements of a tensor are stored, little-endian. The quantised formats are GGUF's: blocks
/// of 32 elements along a row, each with one F16 scale d; element = d * q.
enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,  ///< 34 bytes a block: d, then 32 int8.
  kQ4_0,  ///< 18 bytes a block: d, then 16 bytes; element i < 16 is (low nibble of byte i) - 8, i +
          ///< 16 the high one.
  kU32,
};
[[nodiscard]] std::string_view to_string(DType type);

/// Elements that one block of `type` holds: 32 for the quantised formats, otherwise 1.
[[nodiscard]] std::uint32_t block_elements(DType type);
/// Bytes of one block of `type`.
[[nodiscard]] std::uint32_t block_bytes(DType type);
/// Bytes of a row of `columns` elements, which must be whole blocks.
[[nodiscard]] std::uint64_t row_bytes(DType type, std::uint64_t columns);

/// A view with a meaning: `[rows, columns]` elements, row-major, rows without gaps. A vector has
/// one row.
struct Tensor {
  BufferView view;
  DType dtype = DType::kF32;
  std::uint32_t rows = 1;
  std::uint32_t columns = 0;

  /// Checks that the view's size is that of the shape.
  ///
  /// @error kInvalidArgument  The sizes differ, or a row is not whole blocks.
  [[nodiscard]] static Result<Tensor> create(BufferView view, DType dtype, std::uint32_t rows,
                                             std::uint32_t columns);
  [[nodiscard]] std::uint64_t element_count() const { return std::uint64_t{rows} * columns; }
};

/// How the rows of a weight matrix lie in memory. Repacking is a named stage at load
/// (ops::Ops::repack); kernels never do it on the way.
enum class WeightLayout : std::uint8_t {
  kRowMajor,   ///< As in the model file; needs no copy.
  kRowTile16,  ///< Tiles of 16 rows, interleaved for 16-lane int8 products; see docs/kernel-abi.md.
  kPlanes,     ///< All quants, then all scales, for aligned loads of 16 bytes; see there too.
};
[[nodiscard]] std::string_view to_string(WeightLayout layout);

/// Whether weights of `type` exist in `layout`: all are row-major, kQ8_0 and kQ4_0 also in the
/// others.
[[nodiscard]] bool has_layout(DType type, WeightLayout layout);
/// Bytes of a weight matrix in `layout`. Tiles are whole: rows that are missing in the last one are
/// zeros. Both planes end on 16 bytes, with zeros.
[[nodiscard]] std::uint64_t weight_bytes(DType type, WeightLayout layout, std::uint64_t rows,
                                         std::uint64_t columns);

/// A weight matrix `[rows, columns]`: y[r] = sum over c of w[r, c] * x[c].
struct WeightMatrix {
  Tensor tensor;
  WeightLayout layout = WeightLayout::kRowMajor;
};

}  // namespace segue
