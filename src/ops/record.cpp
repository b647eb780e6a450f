// SPDX-License-Identifier: Apache-2.0
#include "ops/record.hpp"

namespace segue::ops {

void fail(CommandEncoder& encoder, fmt::string_view format, fmt::format_args args) {
  encoder.fail({ErrorCode::kInvalidArgument, fmt::vformat(format, args), {}, {}, {}});
}

bool require_view(CommandEncoder& encoder, const char* op, const char* name, const Tensor& tensor,
                  WeightLayout layout) {
  const std::uint64_t bytes = weight_bytes(tensor.dtype, layout, tensor.rows, tensor.columns);
  return require(encoder, tensor.columns % block_elements(tensor.dtype) == 0,
                 "{}: {}; a row must be whole blocks of {}.", op, describe(name, tensor),
                 block_elements(tensor.dtype)) &&
         require(encoder, tensor.view.size_bytes() == bytes,
                 "{}: {} and takes {} bytes, but its view has {}.", op, describe(name, tensor),
                 bytes, tensor.view.size_bytes());
}

bool check_tensor(CommandEncoder& encoder, const char* op, const char* name, const Tensor& tensor,
                  DType dtype, std::uint32_t rows, std::uint32_t columns) {
  const bool fits = tensor.dtype == dtype && tensor.rows == rows && tensor.columns == columns;
  return require(encoder, fits, "{}: {}, but it must be [{}, {}] {}.", op, describe(name, tensor),
                 rows, columns, to_string(dtype)) &&
         require_view(encoder, op, name, tensor);
}

}  // namespace segue::ops
