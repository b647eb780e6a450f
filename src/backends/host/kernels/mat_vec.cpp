// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/mat_vec.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "segue/host.hpp"

#include "backends/host/kernels/mat_vec_panel.hpp"
#include "base/op_params.hpp"

namespace segue::host {
namespace {

using mat_vec::kColumnChunk;
using mat_vec::kTileRows;
using mat_vec::kTokenTile;
using mat_vec::Panel;
using mat_vec::PanelFunction;

/// Weights that stay in the second-level cache while the tokens of a prompt pass by.
constexpr std::uint32_t kRowBlockBytes = 256 * 1024;

/// One kernel: what multiplies its panels and how large its weights are.
struct Product {
  PanelFunction multiply;
  std::uint32_t bytes_per_32_columns;
};

/// Rows that several tokens share before the next ones are read. One token reads everything once,
/// so there it is all.
std::uint32_t rows_per_block(const Product& product, std::uint32_t tokens, std::uint32_t columns,
                             std::uint32_t rows) {
  if (tokens == 1) return rows;
  const std::uint32_t row_bytes =
      (std::min(columns, kColumnChunk) + 31) / 32 * product.bytes_per_32_columns;
  return std::max(kRowBlockBytes / std::max(row_bytes, 1U) / kTileRows, 1U) * kTileRows;
}

void run(const Product& product, const KernelContext& work, In<std::byte> weights, In<float> x,
         Out<float> y, const base::MatMulParams& size) {
  const auto row_begin =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(work.group_begin * kTileRows, size.rows));
  const auto row_end =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(work.group_end * kTileRows, size.rows));
  if (row_begin >= row_end || size.tokens == 0) return;

  const std::uint32_t row_block =
      rows_per_block(product, size.tokens, size.columns, row_end - row_begin);
  Panel panel{weights.data(), nullptr, nullptr, 0, size.rows, size.columns, 0, 0, 0, 0};
  for (std::uint32_t row = row_begin; row < row_end; row = panel.row_end) {
    panel.row_begin = row;
    panel.row_end = row + std::min(row_end - row, row_block);
    panel.column_end = 0;
    do {  // Once without columns too, to write zeros.
      panel.column_begin = panel.column_end;
      panel.column_end += std::min(size.columns - panel.column_begin, kColumnChunk);
      for (std::uint32_t token = 0; token < size.tokens; token += panel.tokens) {
        panel.tokens = std::min(size.tokens - token, kTokenTile);
        panel.x = x.data() + std::size_t{token} * size.columns;
        panel.y = y.data() + std::size_t{token} * size.rows;
        product.multiply(panel);
      }
    } while (panel.column_end < size.columns);
  }
}

}  // namespace

void append_mat_vec_kernels(std::vector<KernelSource>& kernels, Vnni vnni) {
  mat_vec::PanelFunctions functions;
  mat_vec::choose_float_panels(functions);
  mat_vec::choose_int8_panels(functions);
  if (vnni == Vnni::kIfAvailable) mat_vec::choose_vnni_panels(functions);

  KernelOptions options;
  options.fixed_group_size = true;
  options.items_per_group = kTileRows;
  const auto add = [&](std::string name, PanelFunction multiply,
                       std::uint32_t bytes_per_32_columns) {
    const Product product{multiply, bytes_per_32_columns};
    const auto call = [product](const KernelContext& work, In<std::byte> weights, In<float> x,
                                Out<float> y, const base::MatMulParams& size) {
      run(product, work, weights, x, y, size);
    };
    kernels.push_back(kernel(std::move(name), {"weights", "x", "y", "size"}, call, options));
  };
  add("mat_vec_f32", functions.f32, 128);
  add("mat_vec_f16", functions.f16, 64);
  add("mat_vec_bf16", functions.bf16, 64);
  add("mat_vec_q8_0", functions.q8_0, mat_vec::kQ8Bytes);
  add("mat_vec_q4_0", functions.q4_0, mat_vec::kQ4Bytes);
  add("mat_vec_q8_0_int8", functions.q8_0_int8, mat_vec::kQ8Bytes);
  add("mat_vec_q4_0_int8", functions.q4_0_int8, mat_vec::kQ4Bytes);
  add("mat_vec_q8_0_tile16", functions.q8_0_tile16, mat_vec::kQ8Bytes);
  add("mat_vec_q4_0_tile16", functions.q4_0_tile16, mat_vec::kQ4Bytes);
  add("mat_vec_q8_0_tile16_int8", functions.q8_0_tile16_int8, mat_vec::kQ8Bytes);
  add("mat_vec_q4_0_tile16_int8", functions.q4_0_tile16_int8, mat_vec::kQ4Bytes);
}

}  // namespace segue::host
