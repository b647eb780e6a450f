// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/vulkan/command_frame.hpp"
#include "backends/vulkan/slot_sets.hpp"
#include "hal/hal.hpp"

namespace segue::vulkan {

/// The command buffers of one submission, in order.
struct RecordedCommands {
  std::array<VkCommandBuffer, 2> buffers{};
  std::uint32_t count = 0;
};

/// One parameter set of a program: commands that were recorded once, and the parameter block that
/// they read.
///
/// A new value of inline bytes or of a grid is a write to the block. A new view is a write to
/// descriptor sets where the device updates them after binding; elsewhere, and for views of fills,
/// copies, uploads and group counts, the commands are recorded again before the next submission.
class ProgramInstance {
 public:
  ProgramInstance(DeviceSharedPointer device, const hal::ProgramInstance& instance);

  /// Records the commands anew, with what the list has now.
  Result<> record(CommandRecorder& recorder);
  Result<> update(std::span<const ir::SlotUse> uses);
  /// What a submission runs: the commands, before them what loads slots. Recorded again if need be.
  Result<RecordedCommands> prepare(CommandRecorder& recorder, std::span<const hal::SlotLoad> loads,
                                   bool time_commands);
  [[nodiscard]] hal::Outcome outcome() const;

 private:
  Result<> prepare_loads(CommandRecorder& recorder, std::span<const hal::SlotLoad> loads);
  Result<> record_twin(CommandRecorder& recorder);
  bool write_bytes(const ir::SlotUse& use);
  void write_grid(const ir::SlotUse& use);

  DeviceSharedPointer device_;
  ir::CommandList& list_;
  const ir::Plan& plan_;
  SlotSets sets_;
  CommandFrame frame_;
  PlanParameters parameters_;
  bool stale_ = false;
  // Slots that the device loads.
  CommandBuffer load_commands_;
  Arena load_arena_;
  std::vector<hal::SlotLoad> loads_;
  // The same commands with a timestamp around each, for profiling.
  std::unique_ptr<CommandFrame> twin_;
  bool ran_twin_ = false;
};

class VulkanProgram final : public hal::Program {
 public:
  [[nodiscard]] static Result<std::unique_ptr<VulkanProgram>> create(
      DeviceSharedPointer device, std::span<const hal::ProgramInstance> instances);

  Result<> update(unsigned instance, std::span<const ir::SlotUse> uses) override;

  /// For the queue: what `job` runs.
  Result<RecordedCommands> prepare(const hal::Job& job);
  [[nodiscard]] hal::Outcome outcome(const hal::Job& job) const;

 private:
  explicit VulkanProgram(DeviceSharedPointer device)
      : device_(std::move(device)), recorder_(device_->context, *device_->internal) {}

  DeviceSharedPointer device_;
  CommandRecorder recorder_;
  std::vector<std::unique_ptr<ProgramInstance>> instances_;
};

}  // namespace segue::vulkan
