// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/vulkan_program.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace segue::vulkan {
namespace {

bool same_loads(std::span<const hal::SlotLoad> a, std::span<const hal::SlotLoad> b) {
  return std::ranges::equal(a, b, [](const hal::SlotLoad& x, const hal::SlotLoad& y) {
    return x.slot == y.slot && x.version == y.version;
  });
}

void write_words(const Placement& placed, Extent3 extent) {
  const std::uint32_t words[3] = {extent.x, extent.y, extent.z};
  if (placed.data != nullptr) std::memcpy(placed.data, words, sizeof(words));
}

}  // namespace

ProgramInstance::ProgramInstance(DeviceSharedPointer device, const hal::ProgramInstance& instance)
    : device_(std::move(device)),
      list_(*instance.list),
      plan_(*instance.plan),
      sets_(device_->context),
      frame_(device_),
      load_arena_(device_->allocator, MemoryUse::kParameters, device_->parameter_alignment()) {}

Result<> ProgramInstance::record(CommandRecorder& recorder) {
  if (sets_.sets().empty()) SEGUE_TRY(sets_.allocate(list_));
  stale_ = true;
  RecordOptions options;
  options.keep_parameters = true;
  options.sets = sets_.sets();
  SEGUE_TRY(frame_.record(*device_, recorder, plan_, options));
  parameters_ = std::move(recorder.parameters());
  loads_.clear();  // they were recorded for other places
  stale_ = false;
  return {};
}

Result<> ProgramInstance::update(std::span<const ir::SlotUse> uses) {
  if (stale_) return {};  // the next submission records everything
  for (const ir::SlotUse& use : uses) {
    switch (list_.slots()[use.slot].kind) {
      case ir::SlotKind::kBytes: stale_ |= !write_bytes(use); break;
      case ir::SlotKind::kGrid: write_grid(use); break;
      case ir::SlotKind::kView:
        stale_ |= parameters_.commands[use.command].copies_views || !sets_.update(list_, use);
        break;
    }
  }
  return {};  // the twin is recorded for each submission
}

bool ProgramInstance::write_bytes(const ir::SlotUse& use) {
  const ir::Command& command = list_.commands()[use.command];
  const Placement& placed = parameters_.arguments[command.first_argument + use.argument];
  if (placed.data == nullptr) return command.group_count.empty();  // nothing runs that reads it
  const std::byte* const bytes = list_.bytes(list_.arguments(command)[use.argument]);
  std::memcpy(placed.data + use.offset, bytes + use.offset, list_.slots()[use.slot].size);
  return true;
}

void ProgramInstance::write_grid(const ir::SlotUse& use) {
  const ir::Command& command = list_.commands()[use.command];
  write_words(parameters_.commands[use.command].indirect, command.group_count);
  write_words(parameters_.commands[use.command].grid, command.thread_count);
}

Result<RecordedCommands> ProgramInstance::prepare(CommandRecorder& recorder,
                                                  std::span<const hal::SlotLoad> loads,
                                                  bool time_commands) {
  RecordedCommands commands;
  if (stale_) SEGUE_TRY(record(recorder));
  ran_twin_ = time_commands;
  if (time_commands) {
    SEGUE_TRY(record_twin(recorder));
  } else {
    SEGUE_TRY(frame_.rewind(*device_));
  }
  if (!loads.empty()) {
    // A twin's places are its own, and it is recorded for one submission.
    if (time_commands || !same_loads(loads, loads_)) SEGUE_TRY(prepare_loads(recorder, loads));
    commands.buffers[commands.count++] = load_commands_.handle();
  }
  commands.buffers[commands.count++] = (ran_twin_ ? *twin_ : frame_).commands.handle();
  return commands;
}

Result<> ProgramInstance::prepare_loads(CommandRecorder& recorder,
                                        std::span<const hal::SlotLoad> loads) {
  loads_.clear();
  load_arena_.reset();
  SEGUE_TRY(load_commands_.prepare(device_->context));
  const PlanParameters& parameters = ran_twin_ ? recorder.parameters() : parameters_;
  SEGUE_TRY(recorder.record_loads(load_commands_.handle(), list_, parameters, loads, load_arena_));
  if (!ran_twin_) loads_.assign(loads.begin(), loads.end());
  return {};
}

Result<> ProgramInstance::record_twin(CommandRecorder& recorder) {
  if (!twin_) twin_ = std::make_unique<CommandFrame>(device_);
  RecordOptions options;
  options.keep_parameters = true;
  options.time_commands = true;
  return twin_->record(*device_, recorder, plan_, options);
}

hal::Outcome ProgramInstance::outcome() const {
  return (ran_twin_ ? *twin_ : frame_).outcome(*device_);
}

Result<std::unique_ptr<VulkanProgram>> VulkanProgram::create(
    DeviceSharedPointer device, std::span<const hal::ProgramInstance> instances) {
  std::unique_ptr<VulkanProgram> program(new VulkanProgram(std::move(device)));
  for (const hal::ProgramInstance& instance : instances) {
    auto own = std::make_unique<ProgramInstance>(program->device_, instance);
    SEGUE_TRY(own->record(program->recorder_));
    program->instances_.push_back(std::move(own));
  }
  return program;
}

Result<> VulkanProgram::update(unsigned instance, std::span<const ir::SlotUse> uses) {
  return instances_[instance]->update(uses);
}

Result<RecordedCommands> VulkanProgram::prepare(const hal::Job& job) {
  return instances_[job.instance]->prepare(recorder_, job.loads, job.time_commands);
}

hal::Outcome VulkanProgram::outcome(const hal::Job& job) const {
  return instances_[job.instance]->outcome();
}

}  // namespace segue::vulkan
