// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/host/host_context.hpp"
#include "backends/host/kernel_program.hpp"
#include "backends/host/scratch.hpp"
#include "hal/hal.hpp"

namespace segue::host {

/// One parameter set of a replay with everything looked up: each dispatch is its function and the
/// arguments to call it with.
class LinkedInstance {
 public:
  explicit LinkedInstance(const hal::ProgramInstance& instance);

  /// Takes over what `uses` of a slot changed in the list.
  void update(std::span<const ir::SlotUse> uses);
  /// Writes what the device reads itself into the uses of slots.
  void load(std::span<const hal::SlotLoad> loads);

  /// Runs parts `[begin, end)` of the command at a position of the list; kAllParts as end: all.
  void run(std::uint32_t command, std::uint64_t begin, std::uint64_t end, Scratch& scratch) const;
  /// See work_bytes().
  [[nodiscard]] std::uint64_t work(std::uint32_t command) const { return work_[command]; }

 private:
  struct Call {
    const KernelFunction* function = nullptr;  ///< Null: run_parts() runs the command.
    KernelContext context;                     ///< For all groups.
    bool shared = false;                       ///< Needs shared memory of the calling thread.
  };
  void link(std::uint32_t command);
  void find_targets();

  ir::CommandList& list_;
  std::vector<Call> calls_;  // by position in the list
  std::vector<std::uint64_t> work_;
  std::vector<KernelArgument> arguments_;
  std::vector<std::size_t> first_argument_;  // by position in the list
  std::vector<std::byte*> targets_;          // by slot of bytes: each place that has its value
  std::vector<std::size_t> first_target_;    // by slot, and one past the end
};

class HostProgram final : public hal::Program {
 public:
  HostProgram(std::shared_ptr<HostContext> context,
              std::span<const hal::ProgramInstance> instances);

  Result<> update(unsigned instance, std::span<const ir::SlotUse> uses) override;
  [[nodiscard]] LinkedInstance& instance(unsigned index) { return *instances_[index]; }

 private:
  std::shared_ptr<HostContext> context_;
  std::vector<std::unique_ptr<LinkedInstance>> instances_;
};

}  // namespace segue::host
