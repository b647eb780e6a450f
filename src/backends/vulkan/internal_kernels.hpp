// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "backends/vulkan/vulkan_kernel.hpp"

namespace segue::vulkan {

/// Kernels that the backend itself dispatches.
enum class InternalKernel : std::uint8_t {
  kClampCounts,  ///< Group counts of an indirect dispatch, kept within its bound.
  kLoadSlot,     ///< A slot's bytes from memory to all its uses.
};
inline constexpr std::size_t kInternalKernelCount = 2;

/// The uniform block of kClampCounts. Bindings: counts, {group counts, thread counts} out, this.
struct ClampCountsParams {
  std::uint32_t bound[3];
  std::uint32_t first_word;  ///< Of the counts in binding 0.
  std::uint32_t group_size[3];
  std::uint32_t thread_word;  ///< Of the thread counts in binding 1; 0: not wanted.
};

/// The uniform block of kLoadSlot. Bindings: source, parameter block, targets, this.
struct LoadSlotParams {
  std::uint32_t first_word;  ///< Of the value in binding 0.
  std::uint32_t words;
  std::uint32_t targets;  ///< How many words of binding 2 name a first word in binding 1.
  std::uint32_t max;      ///< A number larger than this becomes it; UINT32_MAX: taken as it is.
};

/// Compiled at first use, since most programs need none of them. Thread-safe.
class InternalKernels {
 public:
  InternalKernels(ContextPointer context, std::shared_ptr<base::IndexAllocator> indices)
      : context_(std::move(context)), indices_(std::move(indices)) {}

  [[nodiscard]] Result<CompiledKernel*> get(InternalKernel which) const;

 private:
  ContextPointer context_;
  std::shared_ptr<base::IndexAllocator> indices_;
  mutable std::mutex mutex_;
  mutable std::array<base::Ref<ir::Kernel>, kInternalKernelCount> kernels_;
};

/// Names of built-in kernels that are not for users begin so.
inline constexpr std::string_view kInternalPrefix = "internal_";

}  // namespace segue::vulkan
