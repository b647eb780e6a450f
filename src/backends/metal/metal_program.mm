// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/metal_program.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

namespace segue::metal {
namespace {

bool same_loads(std::span<const hal::SlotLoad> a, std::span<const hal::SlotLoad> b) {
  return std::ranges::equal(a, b, [](const hal::SlotLoad& x, const hal::SlotLoad& y) {
    return x.slot == y.slot && x.version == y.version;
  });
}

}  // namespace

Result<std::unique_ptr<ProgramInstance>> ProgramInstance::create(
    const ContextPointer& context, const InternalKernels& internal,
    const hal::ProgramInstance& instance) {
  std::unique_ptr<ProgramInstance> own(new ProgramInstance(context, internal, instance));
  SEGUE_TRY(own->build_steps());
  if (context->traits.indirect_command_buffers) SEGUE_TRY(own->make_indirect());
  return own;
}

// Steps.

Result<> ProgramInstance::build_steps() {
  builder_.begin(list_, arena_, BytesMode::kInBlock);
  items_.resize(list_.size());
  groups_.resize(plan_.group_count());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (const std::uint32_t index : plan_.group(g)) {
      SEGUE_TRY(build_item(index));
      const ir::Command& command = list_.commands()[index];
      if (takes_counts(command)) groups_[g].counted.push_back(index);
      groups_[g].direct.push_back(index);
    }
  }
  return {};
}

Result<> ProgramInstance::build_item(std::uint32_t index) {
  Item& item = items_[index];
  if (takes_counts(list_.commands()[index])) {
    std::vector<Step> clamp;
    const Step* const before = item.clamp.empty() ? nullptr : item.clamp.data();
    SEGUE_TRY(builder_.clamp_step(index, before, item.clamped, [&](const Step& step) -> Result<> {
      clamp.push_back(step);
      return {};
    }));
    item.clamp = std::move(clamp);
  }
  std::vector<Step> steps;
  SEGUE_TRY(builder_.build(index, item.steps, item.clamped, [&](const Step& step) -> Result<> {
    steps.push_back(step);
    return {};
  }));
  item.steps = std::move(steps);
  return {};
}

// The indirect command buffer.

Result<> ProgramInstance::make_indirect() {
  std::uint32_t count = 0, bindings = 0, threadgroups = 0;
  for (const Item& item : items_) {
    for (const Step& step : item.steps) {
      ++count;
      bindings = std::max(bindings, step.binding_count);
      threadgroups = std::max(threadgroups, step.threadgroup_count);
    }
  }
  if (count == 0) return {};
  count = std::min(count, kMaxIndirectCommands);
  SEGUE_TRY_ASSIGN(indirect_, IndirectCommands::create(*context_, count, bindings, threadgroups));
  std::uint32_t next = 0;
  for (Group& group : groups_) {
    const std::vector<std::uint32_t> all = std::move(group.direct);
    group.direct.clear();
    group.indirect.location = next;
    for (const std::uint32_t index : all) place_in_indirect(group, index, next);
    group.indirect.length = next - group.indirect.location;
  }
  return {};
}

bool ProgramInstance::fits_indirect(const Item& item) const {
  return std::ranges::all_of(item.steps, [this](const Step& step) {
    return metal::fits_indirect(step, context_->traits);
  });
}

void ProgramInstance::place_in_indirect(Group& group, std::uint32_t index, std::uint32_t& next) {
  Item& item = items_[index];
  const ir::Command& command = list_.commands()[index];
  const bool fits = command.kind != ir::CommandKind::kNative && !takes_counts(command) &&
                    item.steps.size() <= kMaxIndirectCommands - next && fits_indirect(item);
  if (!fits) {
    group.direct.push_back(index);
    return;
  }
  item.first_indirect = next;
  next += static_cast<std::uint32_t>(item.steps.size());
  set_indirect(index);
}

void ProgramInstance::set_indirect(std::uint32_t index) {
  const Item& item = items_[index];
  for (std::size_t i = 0; i < item.steps.size(); ++i)
    indirect_->set(static_cast<std::uint32_t>(item.first_indirect + static_cast<std::int64_t>(i)),
                   item.steps[i]);
  add_uses(item);
}

void ProgramInstance::add_uses(const Item& item) {
  for (const Step& step : item.steps) {
    if (step.pipeline == nullptr) continue;
    for (std::uint32_t i = 0; i < step.binding_count; ++i) ++uses_[step.bindings[i].buffer];
  }
  resources_.clear();
  warm_up_.clear();
}

/// Before the steps change: a buffer that no step names any more may be gone at the next replay.
void ProgramInstance::remove_uses(const Item& item) {
  for (const Step& step : item.steps) {
    if (step.pipeline == nullptr) continue;
    for (std::uint32_t i = 0; i < step.binding_count; ++i) {
      const auto found = uses_.find(step.bindings[i].buffer);
      if (--found->second == 0) uses_.erase(found);
    }
  }
  resources_.clear();
  warm_up_.clear();
}

/// What indirect commands use has to be named, or it may not be there.
Result<> ProgramInstance::prepare_indirect(PassWriter& pass) {
  if (uses_.empty()) return {};
  if (resources_.empty())
    for (const auto& [resource, count] : uses_) resources_.push_back(resource);
  SEGUE_TRY_ASSIGN(const id<MTLComputeCommandEncoder> encoder, pass.encoder());
  [encoder useResources:resources_.data()
                  count:resources_.size()
                  usage:MTLResourceUsageRead | MTLResourceUsageWrite];
  if (!context_->traits.indirect_needs_pipelines) return {};
  if (warm_up_.empty()) SEGUE_TRY(make_warm_up());
  for (const Step& step : warm_up_) SEGUE_TRY(pass.dispatch(step));
  return {};
}

/// Dispatches of nothing that set each pipeline, with all that it wants bound.
Result<> ProgramInstance::make_warm_up() {
  if (no_groups_.data == nullptr) {
    SEGUE_TRY_ASSIGN(no_groups_, arena_.place(3 * sizeof(std::uint32_t)));
    std::memset(no_groups_.data, 0, no_groups_.size);
  }
  for (const Item& item : items_) {
    if (item.first_indirect < 0) continue;
    for (const Step& step : item.steps) {
      const auto known = std::ranges::find(warm_up_, step.pipeline, &Step::pipeline);
      if (step.pipeline == nullptr || known != warm_up_.end()) continue;
      warm_up_.push_back(step);
      warm_up_.back().exact_threads = false;
      warm_up_.back().indirect = {no_groups_.buffer, no_groups_.offset};
    }
  }
  return {};
}

// Slots.

BufferPlace ProgramInstance::place_of_bytes(const ir::SlotUse& use) const {
  const ir::Command& command = list_.commands()[use.command];
  const Item& item = items_[use.command];
  // The bytes of an upload are the source of a copy.
  const std::uint32_t index = command.kind == ir::CommandKind::kUpload ? 0 : use.argument;
  if (item.steps.empty() || item.steps[0].binding_count <= index) return {};
  const Binding& binding = item.steps[0].bindings[index];
  return {binding.buffer, binding.offset + use.offset};
}

void ProgramInstance::write_bytes(const ir::SlotUse& use) {
  const BufferPlace place = place_of_bytes(use);
  if (place.buffer == nil) return;
  const ir::Command& command = list_.commands()[use.command];
  const std::byte* const bytes = list_.bytes(list_.arguments(command)[use.argument]);
  std::byte* const data = static_cast<std::byte*>([place.buffer contents]) + place.offset;
  std::memcpy(data, bytes + use.offset, list_.slots()[use.slot].size);
}

Result<> ProgramInstance::update(std::span<const ir::SlotUse> uses) {
  for (const ir::SlotUse& use : uses) {
    if (list_.slots()[use.slot].kind == ir::SlotKind::kBytes) {
      write_bytes(use);
      continue;
    }
    const Item& item = items_[use.command];
    if (item.first_indirect < 0) {
      SEGUE_TRY(build_item(use.command));
      continue;
    }
    remove_uses(item);
    if (Result<> built = build_item(use.command); !built) {
      add_uses(item);  // as it was
      return built;
    }
    if (fits_indirect(item)) {
      set_indirect(use.command);
    } else {
      leave_indirect(use.command);
    }
  }
  return {};
}

/// From now on the encoder is told the command.
void ProgramInstance::leave_indirect(std::uint32_t index) {
  Item& item = items_[index];
  const auto first = static_cast<std::uint32_t>(item.first_indirect);
  for (std::uint32_t i = 0; i < item.steps.size(); ++i) indirect_->clear(first + i);
  item.first_indirect = -1;
  for (std::size_t g = 0; g < groups_.size(); ++g)
    if (std::ranges::count(plan_.group(g), index) != 0) groups_[g].direct.push_back(index);
}

Result<> ProgramInstance::load_slots(std::span<const hal::SlotLoad> loads) {
  if (same_loads(loads, loads_)) return {};
  loads_.clear();
  load_steps_.clear();
  load_arena_.reset();
  builder_.begin(list_, load_arena_, BytesMode::kInBlock);
  Result<> built;
  for (const hal::SlotLoad& load : loads) {
    std::vector<BufferPlace> targets;
    for (const ir::SlotUse& use : list_.slot_uses()) {
      if (use.slot != load.slot) continue;
      const BufferPlace target = place_of_bytes(use);
      if (target.buffer != nil) targets.push_back(target);
    }
    built = builder_.load_steps(list_.slots()[load.slot], place_of(*load.source, load.offset),
                                targets, [&](const Step& step) -> Result<> {
                                  load_steps_.push_back(step);
                                  return {};
                                });
    if (!built) break;
  }
  builder_.begin(list_, arena_, BytesMode::kInBlock);
  if (built) loads_.assign(loads.begin(), loads.end());
  return built;
}

// Replay.

Result<> ProgramInstance::encode(PassWriter& pass, std::span<const hal::SlotLoad> loads,
                                 bool one_by_one) {
  if (!loads.empty()) {
    SEGUE_TRY(load_slots(loads));
    for (const Step& step : load_steps_) SEGUE_TRY(pass.dispatch(step));
    pass.barrier(false);
  }
  if (indirect_ && !one_by_one) SEGUE_TRY(prepare_indirect(pass));
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (g != 0) pass.barrier(true);
    SEGUE_TRY(encode_group(g, pass, one_by_one));
  }
  return {};
}

Result<> ProgramInstance::encode_group(std::size_t g, PassWriter& pass, bool one_by_one) {
  const Group& group = groups_[g];
  for (const std::uint32_t index : group.counted)
    for (const Step& step : items_[index].clamp) SEGUE_TRY(pass.dispatch(step));
  if (!group.counted.empty()) pass.barrier(false);
  if (one_by_one) {
    for (const std::uint32_t index : plan_.group(g)) {
      pass.begin_command(index);
      SEGUE_TRY(encode_item(index, pass));
      pass.end_command();
    }
    return {};
  }
  if (group.indirect.length != 0) SEGUE_TRY(pass.execute(indirect_->native(), group.indirect));
  for (const std::uint32_t index : group.direct) SEGUE_TRY(encode_item(index, pass));
  return {};
}

Result<> ProgramInstance::encode_item(std::uint32_t index, PassWriter& pass) {
  const ir::Command& command = list_.commands()[index];
  const DebugGroup group(context_->options, list_, command, pass);
  if (command.kind == ir::CommandKind::kNative) return call_native(list_, command, pass);
  for (const Step& step : items_[index].steps) SEGUE_TRY(pass.dispatch(step));
  return {};
}

Result<std::unique_ptr<MetalProgram>> MetalProgram::create(
    const ContextPointer& context, const InternalKernels& internal,
    std::span<const hal::ProgramInstance> instances) {
  auto program = std::make_unique<MetalProgram>();
  for (const hal::ProgramInstance& instance : instances) {
    SEGUE_TRY_ASSIGN(std::unique_ptr<ProgramInstance> own,
                     ProgramInstance::create(context, internal, instance));
    program->instances_.push_back(std::move(own));
  }
  return program;
}

Result<> MetalProgram::update(unsigned instance, std::span<const ir::SlotUse> uses) {
  @autoreleasepool {
    return instances_[instance]->update(uses);
  }
}

Result<> MetalProgram::encode(const hal::Job& job, PassWriter& pass, bool one_by_one) {
  return instances_[job.instance]->encode(pass, job.loads, one_by_one);
}

}  // namespace segue::metal
