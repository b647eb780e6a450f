// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/vulkan/context.hpp"
#include "base/index_allocator.hpp"
#include "hal/hal.hpp"

namespace segue::vulkan {

/// A specialisation constant by the name that the code gives it.
struct NamedConstant {
  std::string_view name;
  std::uint32_t value = 0;
};

/// Code as a KernelSource carries it in `native`: SPIR-V words, or GLSL in KernelSource::text.
struct ShaderCode {
  std::vector<std::uint32_t> owned;      ///< Of users.
  std::span<const std::uint32_t> words;  ///< Points into `owned`, or at a built-in kernel.
  bool glsl = false;                     ///< KernelSource::text is to be compiled first.
  bool declared =
      false;  ///< KernelSource::signature is the author's and is compared with the code.
  /// Built in: validated before it was shipped, so nothing native is made before the first
  /// dispatch.
  bool trusted = false;
  std::vector<NamedConstant> tuning;  ///< What suits the device; constants of the caller win.
};

/// How arguments reach a pipeline.
enum class BindingMode : std::uint8_t {
  kPush,  ///< Push descriptors, set 0.
  /// A descriptor set whose content changes between submissions where the device has
  /// update-after-bind; a plain one elsewhere.
  kUpdateAfterBind,
};

/// A descriptor binding of a kernel, by argument.
struct Binding {
  VkDescriptorType type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;  ///< Or a uniform buffer.
  std::uint32_t min_range = 0;  ///< Bytes that the block declares before any runtime array.
};

/// A pipeline and what binding to it needs.
struct Pipeline {
  VkPipeline handle = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
};

/// What a pipeline is made for beside the constants of its kernel.
struct PipelineKey {
  Extent3 group_size;
  std::vector<std::uint32_t> shared_sizes;  ///< Bytes by shared parameter; empty: the code's own.
  BindingMode mode = BindingMode::kPush;
  friend bool operator==(const PipelineKey& a, const PipelineKey& b) = default;
};

/// A specialised kernel: module, layouts, and a pipeline for each group size and shared size in
/// use.
class CompiledKernel final : public ir::Kernel {
 public:
  /// The pipeline of a dispatch, compiled at first use. Thread-safe; what it returns lives as long
  /// as the kernel.
  ///
  /// @param shared_sizes    Bytes for each shared parameter of the signature; those that launches
  ///                        do not size count for nothing. Empty: as the code says.
  /// @error kCompileFailed  With the kernel's name.
  [[nodiscard]] Result<const Pipeline*> pipeline(Extent3 group_size,
                                                 std::span<const std::uint32_t> shared_sizes,
                                                 BindingMode mode);

  [[nodiscard]] std::span<const Binding> bindings() const {
    return bindings_;
  }  ///< One for each argument.
  [[nodiscard]] bool wants_grid() const {
    return wants_grid_;
  }  ///< The exact thread count, one binding behind.

  ~CompiledKernel() override;

 private:
  friend class KernelCompiler;
  explicit CompiledKernel(std::shared_ptr<base::IndexAllocator> indices);
  std::vector<Binding> bindings_;
  bool wants_grid_ = false;
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::shared_ptr<base::IndexAllocator> indices_;
};

/// From a source to a kernel whose default pipeline is compiled.
///
/// @error kCompileFailed  With the compiler's log or what the code and its declared signature
/// disagree in.
[[nodiscard]] Result<base::Ref<ir::Kernel>> compile_kernel(
    const ContextPointer& context, const KernelSource& source,
    std::span<const SpecConstant> constants, const std::shared_ptr<base::IndexAllocator>& indices);

/// The kernels of src/ops that this device can run.
[[nodiscard]] std::vector<KernelSource> builtin_kernels(const DeviceTraits& traits);

}  // namespace segue::vulkan
