// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <utility>

#include "segue/encoder.hpp"
#include "segue/kernel.hpp"
#include "segue/tensor.hpp"

// What every operation does around its kernel: check shapes, size the grid, append.

namespace segue::ops {

/// Makes the recording fail with a sentence unless `holds`; returns `holds`.
template <class... Args>
bool require(CommandEncoder& encoder, bool holds, fmt::format_string<Args...> format,
             Args&&... args) {
  if (holds) [[likely]]
    return true;
  encoder.fail(
      {ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...), {}, {}, {}});
  return false;
}

inline bool same_shape(const Tensor& a, const Tensor& b) {
  return a.rows == b.rows && a.columns == b.columns;
}

/// "x is [2, 192] F32", for messages.
std::string describe(const char* name, const Tensor& tensor);

/// Whether `tensor` has this type and shape; makes the recording fail otherwise.
bool require_tensor(CommandEncoder& encoder, const char* op, const char* name, const Tensor& tensor,
                    DType dtype, std::uint32_t rows, std::uint32_t columns);

/// Appends a dispatch whose last argument is `params`, over as many groups as `items` take.
template <class Params>
void record(CommandEncoder& encoder, const Kernel& kernel, OpKind op,
            std::initializer_list<KernelArg> views, const Params& params, std::uint32_t items) {
  KernelArg args[8];
  std::size_t count = 0;
  for (const KernelArg& view : views) args[count++] = view;
  args[count++] = KernelArg::bytes(params);
  const std::uint32_t per_group = kernel.signature().items_per_group;
  DispatchOptions options;
  options.op = op;
  encoder.dispatch(kernel, std::span(args, count), groups((items + per_group - 1) / per_group),
                   options);
}

}  // namespace segue::ops
