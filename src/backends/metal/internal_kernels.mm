// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/internal_kernels.hpp"

#include <string_view>

namespace segue::metal {
namespace {

constexpr std::array<std::string_view, kInternalKernelCount> kNames{
    "internal_clamp_counts", "internal_load_slot", "internal_fill", "internal_copy"};

}  // namespace

Result<MetalKernel*> InternalKernels::get(InternalKernel which) const {
  const auto i = static_cast<std::size_t>(which);
  const std::lock_guard lock(mutex_);
  if (!kernels_[i]) {
    SEGUE_TRY_ASSIGN(kernels_[i], compile_kernel(context_, internal_kernel(kNames[i]), {}));
  }
  return static_cast<MetalKernel*>(kernels_[i].get());
}

}  // namespace segue::metal
