// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/index_allocator.hpp"
#include "ir/storage.hpp"
#include "segue/error.hpp"
#include "segue/host.hpp"
#include "segue/limits.hpp"

namespace segue::host {

/// What KernelSource::native of a host kernel points to.
struct KernelProgram {
  KernelFunction function;
};

/// A kernel as the executor calls it.
struct CompiledKernel final : ir::Kernel {
  CompiledKernel(std::shared_ptr<base::IndexAllocator> kernel_indices)
      : indices(std::move(kernel_indices)) {
    index = indices->take();
  }
  CompiledKernel(const CompiledKernel&) = delete;
  CompiledKernel& operator=(const CompiledKernel&) = delete;
  ~CompiledKernel() override { indices->give_back(index); }

  KernelFunction function;
  std::vector<SpecConstant> constants;
  std::shared_ptr<base::IndexAllocator> indices;
};

/// Checks a source against what the host can run, and makes the kernel.
///
/// @error kCompileFailed  It is for another backend, has no function, or a signature that does not
/// fit `limits`.
[[nodiscard]] Result<base::Ref<ir::Kernel>> compile_kernel(
    const KernelSource& source, std::span<const SpecConstant> constants, const Limits& limits,
    const std::shared_ptr<base::IndexAllocator>& indices);

}  // namespace segue::host
