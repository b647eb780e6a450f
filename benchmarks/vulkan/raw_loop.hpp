// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "backends/vulkan/vulkan_kernel.hpp"
#include "backends/vulkan/vulkan_memory.hpp"
#include "workload.hpp"

namespace segue::bench {

/// What somebody writes by hand who knows where the barriers belong: one command buffer, entry
/// points of the device, pushed descriptors with exact ranges, nothing bound twice, parameters
/// copied to mapped memory.
class RawLoop {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RawLoop>> create(vulkan::ContextPointer context);
  RawLoop(const RawLoop&) = delete;
  RawLoop& operator=(const RawLoop&) = delete;
  ~RawLoop();

  [[nodiscard]] Result<> record(std::span<const Call> calls, bool parameters);
  /// What was recorded last; may be called again without recording.
  [[nodiscard]] Result<> submit();
  /// For what was submitted.
  [[nodiscard]] Result<> wait();

 private:
  explicit RawLoop(vulkan::ContextPointer context) : context_(std::move(context)) {}
  Result<> prepare();

  vulkan::ContextPointer context_;
  std::shared_ptr<vulkan::MemoryAllocator> allocator_;
  std::vector<std::unique_ptr<vulkan::VulkanMemory>> buffers_;
  std::unique_ptr<vulkan::VulkanMemory> parameters_;
  base::Ref<ir::Kernel> plain_, with_parameters_;
  const vulkan::Pipeline* plain_pipeline_ = nullptr;
  const vulkan::Pipeline* parameter_pipeline_ = nullptr;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  std::uint64_t submitted_ = 0;
};

}  // namespace segue::bench
