// SPDX-License-Identifier: Apache-2.0
#include "ops/record.hpp"

namespace segue::ops {

std::string describe(const char* name, const Tensor& tensor) {
  return fmt::format("{} is [{}, {}] {}", name, tensor.rows, tensor.columns,
                     to_string(tensor.dtype));
}

bool require_tensor(CommandEncoder& encoder, const char* op, const char* name, const Tensor& tensor,
                    DType dtype, std::uint32_t rows, std::uint32_t columns) {
  const bool fits = tensor.dtype == dtype && tensor.rows == rows && tensor.columns == columns;
  return require(encoder, fits, "{}: {}; it must be [{}, {}] {}.", op, describe(name, tensor), rows,
                 columns, to_string(dtype));
}

}  // namespace segue::ops
