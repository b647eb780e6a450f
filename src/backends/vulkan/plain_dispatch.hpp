// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "backends/vulkan/arena.hpp"
#include "backends/vulkan/vulkan_kernel.hpp"

namespace segue::vulkan {

/// The short way of CommandRecorder, for dispatches as nearly all are: direct, with views that can
/// be bound where they are, of kernels whose descriptors are few runs of one type. What such a
/// dispatch needs of its kernel is looked up once for a recording.
class PlainDispatcher {
 public:
  explicit PlainDispatcher(const Context& context);
  PlainDispatcher(const PlainDispatcher&) = delete;
  PlainDispatcher& operator=(const PlainDispatcher&) = delete;

  /// Starts a recording. Kernels of an earlier one may be gone.
  void begin(VkCommandBuffer commands, const ir::CommandList& list, Arena& arena);

  /// Records a dispatch, with its pipeline unless that is `bound`, which it updates. False: this
  /// dispatch takes the long way, and nothing was recorded.
  [[nodiscard]] bool record(const ir::Command& command, VkPipeline& bound);

 private:
  static constexpr std::size_t kKernels = 64;  // a power of two
  static constexpr std::size_t kRuns = 3;      // views, and inline bytes with the grid behind them
  static constexpr std::size_t kMostBindings = 16;

  /// A kernel at one group size.
  struct Prepared {
    std::uint64_t recording = 0;  ///< That it was looked up in.
    CompiledKernel* kernel = nullptr;
    Extent3 group_size;
    const Pipeline* pipeline = nullptr;  ///< Null: its dispatches take the long way.
    std::uint32_t run_count = 0;
    std::array<VkWriteDescriptorSet, kRuns> runs;  ///< Of infos_.
  };
  [[nodiscard]] const Prepared& prepare(const ir::Command& command);
  void prepare(const ir::Command& command, Prepared& prepared);
  [[nodiscard]] bool gather(const ir::Command& command, const CompiledKernel& kernel);

  const Api& api_;
  const std::uint64_t misaligned_;  ///< Bits that the offset of a descriptor does not have.
  std::uint64_t recording_ = 0;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  const ir::CommandList* list_ = nullptr;
  Arena* arena_ = nullptr;
  std::array<VkDescriptorBufferInfo, kMostBindings> infos_;
  std::array<Prepared, kKernels> prepared_;
};

}  // namespace segue::vulkan
