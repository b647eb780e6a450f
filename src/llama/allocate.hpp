// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "segue/device.hpp"
#include "segue/tensor.hpp"

namespace segue::llama {

/// A tensor in a buffer of its own.
///
/// @error  Those of Device::create_buffer.
[[nodiscard]] Result<Tensor> allocate(const Device& device, std::string_view label, DType dtype,
                                      std::uint32_t rows, std::uint32_t columns);
/// As allocate(), of content that does not outlive a submission.
[[nodiscard]] Result<Tensor> allocate_transient(const Device& device, std::string_view label,
                                                DType dtype, std::uint32_t rows,
                                                std::uint32_t columns);

}  // namespace segue::llama
