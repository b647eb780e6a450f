// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backends/host/kernels/mat_vec_panel.hpp"

// Products of one token, which read all weights once: the host decodes with nothing else.

namespace segue::host::mat_vec {

/// What multiplies one form of weights, and how large these are.
struct Form {
  Method method;
  std::uint32_t block_columns = 1;
  std::uint32_t block_bytes = 0;

  [[nodiscard]] std::size_t row_bytes(std::uint32_t columns) const {
    return std::size_t{columns / block_columns} * block_bytes;
  }
};

/// The activations of one token, which are prepared once for all matrices that they meet; several
/// times only where they do not fit, with more than 16,384 columns.
///
/// Lives on the stack, and of its 64 KiB touches as much as there are columns.
class TokenActivations {
 public:
  // Clearing what prepare() writes would cost more than some products.
  // NOLINTBEGIN(cppcoreguidelines-pro-type-member-init)
  TokenActivations(const Form& form, const float* x, std::uint32_t columns)
      : form_(form), x_(x), columns_(columns) {}
  /// Those of rms_norm(x, epsilon) * norm_weight.
  TokenActivations(const Form& form, const Steps& steps, const float* x, const float* norm_weight,
                   std::uint32_t columns, float epsilon)
      : form_(form),
        normalise_(steps.normalise),
        x_(x),
        norm_weight_(norm_weight),
        norm_scale_(steps.inverse_root_mean_square(x, columns, epsilon)),
        columns_(columns) {}
  // NOLINTEND(cppcoreguidelines-pro-type-member-init)

  /// y[r] = row r of the matrix times the activations for `row_begin` <= r < `row_end`, the first
  /// one at y[0]. `row_begin` is a multiple of kTileRows.
  void multiply(const std::byte* weights, std::uint32_t row_begin, std::uint32_t row_end,
                float* y) {
    const std::uint32_t rows = row_end - row_begin;
    const std::size_t row_bytes = form_.row_bytes(columns_);
    Panel panel{weights + row_begin * row_bytes, x_, y, 1, rows, columns_, 0, rows, 0, 0, 0};
    do {  // Once without columns too, to write zeros.
      panel.column_begin = panel.column_end;
      panel.column_end += std::min(columns_ - panel.column_begin, kColumnChunk);
      const std::uint32_t chunk = panel.column_begin / kColumnChunk;
      panel.slot = chunk % kTokenTile;
      if (form_.method.prepare == nullptr && norm_weight_ == nullptr) {
        panel.x = x_ + panel.column_begin;
      } else {
        if (chunk - panel.slot != first_prepared_) prepare(chunk - panel.slot);
        panel.x = activations_.floats(panel.slot);
      }
      form_.method.multiply(panel, activations_);
    } while (panel.column_end < columns_);
  }

 private:
  /// Fills the slots, with chunk `first` and those after it.
  void prepare(std::uint32_t first) {
    first_prepared_ = first;
    for (std::uint32_t slot = 0; slot < kTokenTile; ++slot) {
      const std::size_t begin = (std::size_t{first} + slot) * kColumnChunk;
      if (begin >= columns_) return;
      const auto columns =
          static_cast<std::uint32_t>(std::min<std::size_t>(columns_ - begin, kColumnChunk));
      const ColumnChunk chunk{x_ + begin, norm_weight_ != nullptr ? norm_weight_ + begin : nullptr,
                              norm_scale_, columns};
      if (form_.method.prepare != nullptr) {
        form_.method.prepare(chunk, slot, activations_);
      } else {
        normalise_(chunk, activations_.floats(slot));
      }
    }
  }

  const Form& form_;
  void (*normalise_)(const ColumnChunk&, float* y) = nullptr;
  const float* x_;
  const float* norm_weight_ = nullptr;
  float norm_scale_ = 1.0F;
  std::uint32_t columns_;
  std::uint32_t first_prepared_ = UINT32_MAX;  ///< Chunk in slot 0.
  Activations activations_;
};

}  // namespace segue::host::mat_vec
