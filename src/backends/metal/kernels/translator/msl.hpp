// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/metal/kernels/translator/prepare.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"

namespace segue::metal::translator {

/// What BuiltinMsl says of a kernel.
struct Translation {
  std::string name;
  std::string text;
  std::string entry_point;
  Signature signature;
  int grid_index = -1;
  std::uint32_t grid_size_bytes = 0;
  int view_sizes_index = -1;
  std::uint32_t view_sizes_count = 0;
  std::uint32_t shared_bytes = 0;
  std::vector<Constant> frozen;
  std::vector<Constant> function_constants;
};

/// The kernel `main` of a SPIR-V module as MSL 2.3, the oldest version of Macs with Apple silicon.
///
/// @error kCompileFailed  The code is refused by reflection or by SPIRV-Cross, or the kernel does
///                        not fit every such device: 1,024 threads, 32 KiB of threadgroup memory,
///                        31 buffers.
[[nodiscard]] Result<Translation> translate(std::string_view name,
                                            std::span<const std::uint32_t> words);

/// The n of each [[buffer(n)]] in a text, in order.
[[nodiscard]] std::vector<unsigned> buffer_indices(std::string_view text);

}  // namespace segue::metal::translator
