// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/kernels/builtin_spirv.hpp"

#include <vector>

namespace {

#include "spirv/words.inc"

}  // namespace

namespace segue::vulkan {

std::span<const BuiltinSpirv> builtin_spirv() {
  static const std::vector<BuiltinSpirv> kKernels{
#define X(name, words) BuiltinSpirv{name, words},
#include "spirv/kernels.inc"
#undef X
  };
  return kKernels;
}

}  // namespace segue::vulkan
