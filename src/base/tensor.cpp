// SPDX-License-Identifier: Apache-2.0
#include "segue/tensor.hpp"

#include <limits>
#include <utility>

#include "base/fail.hpp"

namespace segue {
namespace {

constexpr std::uint64_t kTileRows = 16;
constexpr std::uint64_t kScaleBytes = 2;
constexpr std::uint64_t kPlaneAlignment = 16;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

std::string_view to_string(DType type) {
  switch (type) {
    case DType::kF32: return "F32";
    case DType::kF16: return "F16";
    case DType::kBF16: return "BF16";
    case DType::kQ8_0: return "Q8_0";
    case DType::kQ4_0: return "Q4_0";
    case DType::kU32: return "U32";
  }
  return "unknown";
}

std::uint32_t block_elements(DType type) {
  return type == DType::kQ8_0 || type == DType::kQ4_0 ? 32 : 1;
}

std::uint32_t block_bytes(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kU32: return 4;
    case DType::kF16:
    case DType::kBF16: return 2;
    case DType::kQ8_0: return 34;
    case DType::kQ4_0: return 18;
  }
  return 0;
}

std::uint64_t row_bytes(DType type, std::uint64_t columns) {
  return columns / block_elements(type) * block_bytes(type);
}

Result<Tensor> Tensor::create(BufferView view, DType dtype, std::uint32_t rows,
                              std::uint32_t columns) {
  if (columns % block_elements(dtype) != 0) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "A {} tensor has {} columns, which must be a multiple of {}.",
                      to_string(dtype), columns, block_elements(dtype));
  }
  const std::uint64_t bytes_per_row = segue::row_bytes(dtype, columns);
  const bool overflows =
      rows != 0 && bytes_per_row > std::numeric_limits<std::uint64_t>::max() / rows;
  if (overflows || view.size_bytes() != rows * bytes_per_row) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "A tensor's view has {} bytes, but {} rows of {} {} elements have {} bytes "
                      "a row.",
                      view.size_bytes(), rows, columns, to_string(dtype), bytes_per_row);
  }
  return Tensor{std::move(view), dtype, rows, columns};
}

std::string_view to_string(WeightLayout layout) {
  switch (layout) {
    case WeightLayout::kRowMajor: return "row-major";
    case WeightLayout::kRowTile16: return "tiles of 16 rows";
    case WeightLayout::kPlanes: return "planes";
  }
  return "unknown";
}

bool has_layout(DType type, WeightLayout layout) {
  return layout == WeightLayout::kRowMajor || type == DType::kQ8_0 || type == DType::kQ4_0;
}

std::uint64_t weight_bytes(DType type, WeightLayout layout, std::uint64_t rows,
                           std::uint64_t columns) {
  const std::uint64_t bytes_per_row = row_bytes(type, columns);
  switch (layout) {
    case WeightLayout::kRowMajor: break;
    case WeightLayout::kRowTile16: return round_up(rows, kTileRows) * bytes_per_row;
    case WeightLayout::kPlanes: {
      const std::uint64_t scales = rows * (columns / block_elements(type)) * kScaleBytes;
      return round_up(rows * bytes_per_row - scales, kPlaneAlignment) +
             round_up(scales, kPlaneAlignment);
    }
  }
  return rows * bytes_per_row;
}

}  // namespace segue
