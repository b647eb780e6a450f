// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "backends/vulkan/command_recorder.hpp"
#include "backends/vulkan/timestamps.hpp"

namespace segue::vulkan {

/// What everything of one device shares beside the context.
struct DeviceShared {
  ContextPointer context;
  std::shared_ptr<MemoryAllocator> allocator;
  std::shared_ptr<base::IndexAllocator> kernel_indices;
  std::unique_ptr<InternalKernels> internal;
  DeviceClock clock;

  [[nodiscard]] std::uint32_t parameter_alignment() const;
};
using DeviceSharedPointer = std::shared_ptr<const DeviceShared>;

/// One command buffer with the pool that it comes from, so that it is reset by itself.
class CommandBuffer {
 public:
  CommandBuffer() = default;
  CommandBuffer(const CommandBuffer&) = delete;
  CommandBuffer& operator=(const CommandBuffer&) = delete;
  ~CommandBuffer();

  /// Makes it at the first call, and empties it.
  [[nodiscard]] Result<> prepare(const ContextPointer& context);
  [[nodiscard]] VkCommandBuffer handle() const { return handle_; }

 private:
  ContextPointer context_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer handle_ = VK_NULL_HANDLE;
};

/// A recording ready to be submitted: commands, parameters, and the queries that time them.
class CommandFrame {
 public:
  explicit CommandFrame(const DeviceSharedPointer& device)
      : arena(device->allocator, MemoryUse::kParameters, device->parameter_alignment()),
        scratch(device->allocator, MemoryUse::kDeviceOnly, device->parameter_alignment()) {}

  /// Records a plan. On error nothing of it is left.
  [[nodiscard]] Result<> record(const DeviceShared& device, CommandRecorder& recorder,
                                const ir::Plan& plan, RecordOptions options);
  /// Readies it for another submission of the same commands.
  [[nodiscard]] Result<> rewind(const DeviceShared& device);
  /// What the finished submission amounted to.
  [[nodiscard]] hal::Outcome outcome(const DeviceShared& device) const;

  CommandBuffer commands;
  Arena arena;    ///< The parameter block.
  Arena scratch;  ///< Of views that cannot be bound where they are.
  Queries queries;

 private:
  RecordCounts counts_;
  std::vector<std::uint32_t> timed_;  // commands of the list, if each is timed
  std::uint32_t query_count_ = 0;
};

}  // namespace segue::vulkan
