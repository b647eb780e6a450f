// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/internal_kernels.hpp"

#include <string>

#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

constexpr std::array<std::string_view, kInternalKernelCount> kNames{"internal_clamp_counts",
                                                                    "internal_load_slot"};

}  // namespace

Result<CompiledKernel*> InternalKernels::get(InternalKernel which) const {
  const auto index = static_cast<std::size_t>(which);
  const std::lock_guard lock(mutex_);
  base::Ref<ir::Kernel>& kernel = kernels_[index];
  if (!kernel) {
    for (const KernelSource& source : builtin_kernels(context_->traits)) {
      if (source.name != kNames[index]) continue;
      SEGUE_TRY_ASSIGN(kernel, compile_kernel(context_, source, {}, indices_));
    }
  }
  if (!kernel) {
    return base::fail(ErrorCode::kBackend, "The Vulkan backend lacks its kernel \"{}\".",
                      kNames[index]);
  }
  return static_cast<CompiledKernel*>(kernel.get());
}

}  // namespace segue::vulkan
