// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/mat_vec.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "segue/host.hpp"

#include "backends/host/kernels/mat_vec_fused.hpp"
#include "backends/host/kernels/mat_vec_panel.hpp"
#include "backends/host/kernels/mat_vec_token.hpp"
#include "base/op_params.hpp"

namespace segue::host {
namespace {

using mat_vec::Activations;
using mat_vec::Form;
using mat_vec::kColumnChunk;
using mat_vec::kTileRows;
using mat_vec::kTokenTile;
using mat_vec::Method;
using mat_vec::Panel;
using mat_vec::TokenActivations;

/// Weights that stay in the second-level cache while the tokens of a prompt pass by.
constexpr std::uint32_t kRowBlockBytes = 256 * 1024;

/// Rows that several tokens share before the next ones are read.
std::uint32_t rows_per_block(const Form& form, std::uint32_t columns) {
  const auto row_bytes =
      static_cast<std::uint32_t>(form.row_bytes(std::min(columns, kColumnChunk)));
  return std::max(kRowBlockBytes / std::max(row_bytes, 1U) / kTileRows, 1U) * kTileRows;
}

/// Multiplies the panel's rows and columns by up to kTokenTile tokens, whose activations are at
/// `x`.
void multiply_tokens(const Method& method, const float* x, Panel& panel, Activations& activations) {
  panel.x = x + panel.column_begin;
  if (method.prepare != nullptr) {
    for (std::uint32_t token = 0; token < panel.tokens; ++token) {
      method.prepare({panel.x_row(token), nullptr, 1.0F, panel.chunk_columns()}, token,
                     activations);
    }
  }
  method.multiply(panel, activations);
}

void run_tokens(const Form& form, std::uint32_t row_begin, std::uint32_t row_end,
                const std::byte* weights, const float* x, float* y,
                const base::MatMulParams& size) {
  Activations activations;  // NOLINT(cppcoreguidelines-pro-type-member-init): 64 KiB, in part used
  const std::uint32_t row_block = rows_per_block(form, size.columns);
  Panel panel{weights, nullptr, nullptr, 0, size.rows, size.columns, 0, 0, 0, 0, 0};
  for (std::uint32_t row = row_begin; row < row_end; row = panel.row_end) {
    panel.row_begin = row;
    panel.row_end = row + std::min(row_end - row, row_block);
    panel.column_end = 0;
    do {  // Once without columns too, to write zeros.
      panel.column_begin = panel.column_end;
      panel.column_end += std::min(size.columns - panel.column_begin, kColumnChunk);
      for (std::uint32_t token = 0; token < size.tokens; token += panel.tokens) {
        panel.tokens = std::min(size.tokens - token, kTokenTile);
        panel.y = y + std::size_t{token} * size.rows;
        multiply_tokens(form.method, x + std::size_t{token} * size.columns, panel, activations);
      }
    } while (panel.column_end < size.columns);
  }
}

void run(const Form& form, const KernelContext& work, In<std::byte> weights, In<float> x,
         Out<float> y, const base::MatMulParams& size) {
  const auto row_begin =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(work.group_begin * kTileRows, size.rows));
  const auto row_end =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(work.group_end * kTileRows, size.rows));
  if (row_begin >= row_end) return;
  if (size.tokens == 1) {
    TokenActivations token(form, x.data(), size.columns);
    token.multiply(weights.data(), row_begin, row_end, y.data() + row_begin);
  } else {
    run_tokens(form, row_begin, row_end, weights.data(), x.data(), y.data(), size);
  }
}

}  // namespace

void append_mat_vec_kernels(std::vector<KernelSource>& kernels, Vnni vnni) {
  mat_vec::Methods methods;
  mat_vec::choose_float_methods(methods);
  mat_vec::choose_int8_methods(methods);
  if (vnni == Vnni::kIfAvailable) mat_vec::choose_vnni_methods(methods);
  const mat_vec::Steps steps = mat_vec::choose_steps();

  KernelOptions options;
  options.fixed_group_size = true;
  options.items_per_group = kTileRows;
  const auto add = [&](std::string_view name, const Form& form) {
    const auto call = [form](const KernelContext& work, In<std::byte> weights, In<float> x,
                             Out<float> y, const base::MatMulParams& size) {
      run(form, work, weights, x, y, size);
    };
    kernels.push_back(
        kernel(std::string("mat_vec_").append(name), {"weights", "x", "y", "size"}, call, options));
    mat_vec::append_fused_kernels(kernels, name, form, steps, options);
  };
  const auto add_blocks = [&](std::string_view name, const Method& method, std::uint32_t bytes) {
    add(name, {method, mat_vec::kBlockColumns, bytes});
  };
  add("f32", {methods.f32, 1, 4});
  add("f16", {methods.f16, 1, 2});
  add("bf16", {methods.bf16, 1, 2});
  add_blocks("q8_0", methods.q8_0, mat_vec::kQ8Bytes);
  add_blocks("q4_0", methods.q4_0, mat_vec::kQ4Bytes);
  add_blocks("q8_0_int8", methods.q8_0_int8, mat_vec::kQ8Bytes);
  add_blocks("q4_0_int8", methods.q4_0_int8, mat_vec::kQ4Bytes);
  add_blocks("q8_0_tile16", methods.q8_0_tile16, mat_vec::kQ8Bytes);
  add_blocks("q4_0_tile16", methods.q4_0_tile16, mat_vec::kQ4Bytes);
  add_blocks("q8_0_tile16_int8", methods.q8_0_tile16_int8, mat_vec::kQ8Bytes);
  add_blocks("q4_0_tile16_int8", methods.q4_0_tile16_int8, mat_vec::kQ4Bytes);
}

}  // namespace segue::host
