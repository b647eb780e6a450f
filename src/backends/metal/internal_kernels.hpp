// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "backends/metal/metal_kernel.hpp"

namespace segue::metal {

/// Kernels that the backend itself dispatches; all are in src/shaders.
enum class InternalKernel : std::uint8_t {
  kClampCounts,  ///< Group counts of an indirect dispatch, kept within its bound.
  kLoadSlot,     ///< A slot's bytes from memory to all its uses.
  kFill,         ///< Bytes of one value.
  kCopy,         ///< Bytes at any place to any place.
};
inline constexpr std::size_t kInternalKernelCount = 4;

/// Uniform blocks of the kernels, each the last argument.
struct ClampCountsParams {
  std::uint32_t bound[3];
  std::uint32_t first_word;  ///< Of the counts in argument 0.
  std::uint32_t group_size[3];
  std::uint32_t thread_word;  ///< Of the thread counts in argument 1; 0: not wanted.
};
struct LoadSlotParams {
  std::uint32_t first_word;  ///< Of the value in argument 0.
  std::uint32_t words;
  std::uint32_t targets;  ///< How many words of argument 2 name a first word in argument 1.
  std::uint32_t max;      ///< A number larger than this becomes it; UINT32_MAX: taken as it is.
};
struct FillParams {
  std::uint32_t begin, end;  ///< Bytes of argument 0.
  std::uint32_t value;
};
struct CopyParams {
  std::uint32_t from, to, size;  ///< Bytes of arguments 0 and 1.
};

/// Made at first use, since most programs need few of them. Thread-safe.
class InternalKernels {
 public:
  explicit InternalKernels(ContextPointer context) : context_(std::move(context)) {}
  [[nodiscard]] Result<MetalKernel*> get(InternalKernel which) const;

 private:
  ContextPointer context_;
  mutable std::mutex mutex_;
  mutable std::array<base::Ref<ir::Kernel>, kInternalKernelCount> kernels_;
};

}  // namespace segue::metal
