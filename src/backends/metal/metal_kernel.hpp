// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "backends/metal/context.hpp"
#include "backends/metal/kernel_layout.hpp"
#include "backends/metal/kernels/builtin_msl.hpp"
#include "hal/hal.hpp"

namespace segue::metal {

/// KernelSource::native of kernels of this backend.
struct MslCode {
  const BuiltinMsl* builtin = nullptr;  ///< One of our own, else the source's text or a library:
  std::vector<std::byte> library;       ///< A compiled one.
  bool declared = false;                ///< The source has a signature.
};

/// A kernel function that can be dispatched.
struct Pipeline {
  Retained<id<MTLComputePipelineState>> state;
  /// By buffer index: bytes that must be bound, at least.
  std::array<std::uint32_t, kBufferTableSize> min_bytes{};
};

/// A kernel of this backend. Thread-safe.
class MetalKernel final : public ir::Kernel {
 public:
  MetalKernel(ContextPointer context, const KernelSource& source,
              std::span<const SpecConstant> given);
  MetalKernel(const MetalKernel&) = delete;
  MetalKernel& operator=(const MetalKernel&) = delete;
  ~MetalKernel() override;

  /// Its pipeline, which the first call of a built-in kernel makes.
  ///
  /// @error kCompileFailed  With the compiler's log.
  [[nodiscard]] Result<const Pipeline*> pipeline() {
    if (const Pipeline* const made = made_.load(std::memory_order_acquire)) [[likely]]
      return made;
    return make_pipeline();
  }

  [[nodiscard]] int grid_index() const { return layout_.grid_index; }
  [[nodiscard]] int view_sizes_index() const { return layout_.view_sizes_index; }
  [[nodiscard]] std::uint32_t view_sizes_count() const { return layout_.view_sizes_count; }
  [[nodiscard]] std::span<const std::uint32_t> threadgroup_indices() const {
    return layout_.threadgroup_indices;
  }

 private:
  friend Result<base::Ref<ir::Kernel>> compile_kernel(const ContextPointer& context,
                                                      const KernelSource& source,
                                                      std::span<const SpecConstant> constants);
  Result<> take_builtin(const BuiltinMsl& builtin);
  Result<> take_function(const Signature* declared);
  Result<const Pipeline*> make_pipeline();
  Result<std::unique_ptr<Pipeline>> build(MslReflection& reflection) const;

  ContextPointer context_;
  KernelSource source_;
  KernelLayout layout_;
  std::vector<SpecConstant> given_;
  std::mutex mutex_;
  std::unique_ptr<Pipeline> pipeline_;
  std::optional<Error> unusable_;  ///< Why the device cannot run it.
  std::atomic<const Pipeline*> made_{nullptr};
};

/// @error kCompileFailed  With the kernel's name and the compiler's log.
[[nodiscard]] Result<base::Ref<ir::Kernel>> compile_kernel(const ContextPointer& context,
                                                           const KernelSource& source,
                                                           std::span<const SpecConstant> constants);

/// The kernels of src/ops.
[[nodiscard]] std::vector<KernelSource> builtin_kernels();
/// A kernel that the backend dispatches on its own account.
[[nodiscard]] KernelSource internal_kernel(std::string_view name);

}  // namespace segue::metal
