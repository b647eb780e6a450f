// SPDX-License-Identifier: Apache-2.0
#include "llama/allocate.hpp"

namespace segue::llama {
namespace {

Result<Tensor> allocate(const Device& device, std::string_view label, DType dtype,
                        std::uint32_t rows, std::uint32_t columns, bool transient) {
  BufferDesc desc;
  desc.size_bytes = row_bytes(dtype, columns) * rows;
  desc.transient = transient;
  desc.label = label;
  SEGUE_TRY_ASSIGN(const Buffer buffer, device.create_buffer(desc));
  return Tensor::create(buffer.view(), dtype, rows, columns);
}

}  // namespace

Result<Tensor> allocate(const Device& device, std::string_view label, DType dtype,
                        std::uint32_t rows, std::uint32_t columns) {
  return allocate(device, label, dtype, rows, columns, false);
}

Result<Tensor> allocate_transient(const Device& device, std::string_view label, DType dtype,
                                  std::uint32_t rows, std::uint32_t columns) {
  return allocate(device, label, dtype, rows, columns, true);
}

}  // namespace segue::llama
