// SPDX-License-Identifier: Apache-2.0
//
// Replay. Everything that depends on the graph alone happens in create(); a submission only writes
// the slots that changed since its instance was last used. An instance is a copy of the lowered
// list with parameters of its own, so what is set for one replay never reaches another in flight.
#include "runtime/executable_state.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/fail.hpp"
#include "graph/schedule.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/describe.hpp"

namespace segue::runtime {

ExecutableState::~ExecutableState() { program_.reset(); }  // before the instances that it points to

Result<const ir::Slot*> ExecutableState::check_slot(SlotId slot, ir::SlotKind kind) const {
  const auto index = static_cast<std::size_t>(slot);
  if (index >= list().slots().size()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The executable has {} slots, and none with the number {}.",
                      list().slots().size(), index);
  }
  const ir::Slot& found = list().slots()[index];
  if (found.kind != kind) {
    constexpr std::string_view kNames[] = {"a view", "inline bytes", "a grid"};
    return base::fail(ErrorCode::kInvalidArgument, "Slot \"{}\" takes {}, but {} is given.",
                      slot_name(index), kNames[static_cast<std::size_t>(found.kind)],
                      kNames[static_cast<std::size_t>(kind)]);
  }
  return &found;
}

Result<SlotId> ExecutableState::find_slot(std::string_view name) const {
  const int found = list().find_slot(name);
  if (found >= 0) return static_cast<SlotId>(found);
  std::string known;
  for (std::size_t i = 0; i < list().slots().size(); ++i)
    known.append(i == 0 ? "" : ", ").append(slot_name(i));
  return base::fail(ErrorCode::kNotFound, "The executable has no slot \"{}\"; it has {}.", name,
                    known.empty() ? "none" : known);
}

Result<> ExecutableState::set_view(SlotId slot, const BufferView& view) {
  SEGUE_TRY_ASSIGN(const ir::Slot* const declared, check_slot(slot, ir::SlotKind::kView));
  const auto index = static_cast<std::size_t>(slot);
  BufferState* state = view.buffer().state();
  if (state == nullptr || state->core != core_) {
    return base::fail(ErrorCode::kInvalidArgument, "Slot \"{}\" is given {}.", slot_name(index),
                      state == nullptr ? "an empty view" : "a view of another device");
  }
  if (view.size_bytes() != declared->size) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Slot \"{}\" is given a view of {} bytes but was recorded with {}.",
                      slot_name(index), view.size_bytes(), declared->size);
  }
  if (std::ranges::binary_search(placed_, state->memory)) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "Slot \"{}\" is given {}, which the executable has placed together with other "
        "transient buffers; compile without place_transients to bind it.",
        slot_name(index), describe(*state));
  }
  if (writes(declared->access) && !state->writable) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Slot \"{}\" is written, but {} was imported as read-only.", slot_name(index),
                      describe(*state));
  }
  if ((state->native_offset + view.offset_bytes()) % declared->alignment != 0) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "Slot \"{}\" is given a view that begins at byte {} of {}; its alignment is {} "
        "bytes.",
        slot_name(index), view.offset_bytes(), describe(*state), declared->alignment);
  }
  SEGUE_TRY(ensure_backed(*state));
  Value& value = values_[index];
  if (value.view.storage == state && value.view.offset == view.offset_bytes()) return {};
  value.view = {state, view.offset_bytes(), view.size_bytes(), declared->access, true};
  value.storage = base::Ref<ir::Storage>(state);
  ++value.version;
  ++binding_version_;
  views_changed_ = true;
  return {};
}

Result<> ExecutableState::set_bytes(SlotId slot, std::span<const std::byte> bytes) {
  SEGUE_TRY_ASSIGN(const ir::Slot* const declared, check_slot(slot, ir::SlotKind::kBytes));
  const auto index = static_cast<std::size_t>(slot);
  if (bytes.size() != declared->size) {
    return base::fail(ErrorCode::kInvalidArgument, "Slot \"{}\" is given {} bytes but has {}.",
                      slot_name(index), bytes.size(), declared->size);
  }
  if (declared->max != UINT32_MAX) {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof(number));
    if (number > declared->max) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Slot \"{}\" is set to {}, but takes at most {}.", slot_name(index), number,
                        declared->max);
    }
  }
  Value& value = values_[index];
  std::memcpy(value_bytes_.data() + value.bytes, bytes.data(), bytes.size());
  if (value.loads) {
    value.loads = false;
    value.view = {};
    value.storage = {};
    ++binding_version_;
  }
  ++value.version;
  return {};
}

Result<> ExecutableState::set_grid(SlotId slot, Extent3 grid) {
  SEGUE_TRY_ASSIGN(const ir::Slot* const declared, check_slot(slot, ir::SlotKind::kGrid));
  const auto index = static_cast<std::size_t>(slot);
  const Extent3 bound = declared->grid;
  if (grid.x > bound.x || grid.y > bound.y || grid.z > bound.z) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Slot \"{}\" is given a grid of {}x{}x{}, but was recorded with {}x{}x{} as "
                      "its bound.",
                      slot_name(index), grid.x, grid.y, grid.z, bound.x, bound.y, bound.z);
  }
  values_[index].grid = grid;
  ++values_[index].version;
  return {};
}

Result<> ExecutableState::load(SlotId slot, const BufferView& source) {
  SEGUE_TRY_ASSIGN(const ir::Slot* const declared, check_slot(slot, ir::SlotKind::kBytes));
  const auto index = static_cast<std::size_t>(slot);
  BufferState* state = source.buffer().state();
  if (state == nullptr || state->core != core_) {
    return base::fail(ErrorCode::kInvalidArgument, "Slot \"{}\" is to be loaded from {}.",
                      slot_name(index),
                      state == nullptr ? "an empty view" : "a view of another device");
  }
  if (state->transient) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Slot \"{}\" is to be loaded from {}, whose content is transient: nothing of "
                      "it outlives a replay.",
                      slot_name(index), describe(*state));
  }
  if (source.size_bytes() != declared->size || declared->size % 4 != 0 ||
      source.offset_bytes() % 4 != 0) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "Slot \"{}\" has {} bytes and is to be loaded from {} bytes at offset {}; the "
        "sizes must agree, and both divide by 4.",
        slot_name(index), declared->size, source.size_bytes(), source.offset_bytes());
  }
  for (std::uint32_t i = first_use_[index]; i < first_use_[index + 1]; ++i) {
    if (uses_[i].offset % 4 == 0) continue;
    return base::fail(ErrorCode::kInvalidArgument,
                      "Slot \"{}\" begins at byte {} of an argument and is to be loaded; what is "
                      "loaded begins at a multiple of 4.",
                      slot_name(index), uses_[i].offset);
  }
  SEGUE_TRY(ensure_backed(*state));
  Value& value = values_[index];
  if (value.loads && value.view.storage == state && value.view.offset == source.offset_bytes())
    return {};
  value.loads = true;
  value.view = {state, source.offset_bytes(), source.size_bytes(), Access::kRead, true};
  value.storage = base::Ref<ir::Storage>(state);
  ++value.version;
  ++binding_version_;
  return {};
}

// Submission.

/// The first that is free, so that whoever waits for each replay uses one set of memory; or else
/// the one that was submitted first, once it is done.
Result<ExecutableState::Instance*> ExecutableState::take_instance(unsigned& index) {
  unsigned oldest = 0;
  for (index = 0; index < instances_.size(); ++index) {
    Instance& instance = *instances_[index];
    if (!instance.busy.load(std::memory_order_acquire)) return &instance;
    if (instance.turn < instances_[oldest]->turn) oldest = index;
  }
  index = oldest;
  Instance& instance = *instances_[oldest];
  SEGUE_TRY(core_->check_progress(*instance.submission));
  instance.submission->queue->wait(*instance.submission, std::nullopt);  // may run it
  instance.busy.wait(true, std::memory_order_acquire);
  return &instance;
}

void ExecutableState::release_instance(unsigned index) noexcept {
  Instance& instance = *instances_[index];
  for (base::Ref<ir::Storage>& storage : instance.bound) storage = {};
  instance.busy.store(false, std::memory_order_release);
  instance.busy.notify_one();
}

Result<> ExecutableState::check_bindings() {
  if (!views_changed_) return {};
  views_.clear();
  for (const Value& value : values_) views_.push_back(value.view);
  SEGUE_TRY(guard_.check(views_));
  views_changed_ = false;
  return {};
}

/// Writes the value of a slot to all its uses.
void ExecutableState::write(Instance& instance, std::size_t slot) const {
  const ir::Slot& declared = list_.slots()[slot];
  const Value& value = values_[slot];
  for (std::uint32_t u = first_use_[slot]; u < first_use_[slot + 1]; ++u) {
    const ir::SlotUse& use = uses_[u];
    switch (declared.kind) {
      case ir::SlotKind::kView: {
        const ir::Command& command = instance.list.commands()[use.command];
        ir::Argument& argument = instance.list.mutable_arguments(command)[use.argument];
        argument.storage = value.view.storage;
        argument.offset = value.view.offset;
        break;
      }
      case ir::SlotKind::kBytes:
        std::memcpy(instance.targets[u], value_bytes_.data() + value.bytes, declared.size);
        break;
      case ir::SlotKind::kGrid:
        ir::set_extent(instance.list.mutable_commands()[use.command], value.grid);
        break;
    }
  }
}

/// All values are written before the program hears of any: it may look at a command as a whole, and
/// views that other slots had the last time may be gone.
Result<> ExecutableState::update(Instance& instance, unsigned index) {
  instance.loads.clear();
  for (std::uint32_t slot = 0; slot < values_.size(); ++slot) {
    const Value& value = values_[slot];
    instance.bound[slot] = value.storage;
    if (value.loads) {
      instance.loads.push_back({slot, value.view.storage, value.view.offset, value.version});
    } else if (instance.versions[slot] != value.version) {
      write(instance, slot);
    }
  }
  for (std::uint32_t slot = 0; slot < values_.size(); ++slot) {
    const Value& value = values_[slot];
    if (instance.versions[slot] == value.version) continue;
    if (!value.loads) {
      const std::span<const ir::SlotUse> uses(uses_.data() + first_use_[slot],
                                              first_use_[slot + 1] - first_use_[slot]);
      instance.versions[slot] = 0;
      SEGUE_TRY(program_->update(index, uses));
    }
    instance.versions[slot] = value.version;
  }
  if (instance.binding_version != binding_version_) bind_resources(instance);
  return {};
}

void ExecutableState::bind_resources(Instance& instance) const {
  instance.resources.assign(resources_.begin(), resources_.end());
  for (std::size_t slot = 0; slot < values_.size(); ++slot) {
    const Value& value = values_[slot];
    if (value.view.storage == nullptr) continue;
    ir::ResourceUse use{value.view.storage};
    use.add(value.view.offset, value.view.offset + value.view.size, value.view.access);
    instance.resources.push_back(use);
  }
  instance.binding_version = binding_version_;
}

Result<TimelinePoints> ExecutableState::check_timelines(const SubmitOptions& options) const {
  TimelinePoints points;
  for (const TimelinePoint& wait : options.waits)
    SEGUE_TRY(points.add_wait(*core_, wait.timeline, wait.value));
  for (const TimelinePoint& signal : options.signals)
    SEGUE_TRY(points.add_signal(*core_, signal.timeline, signal.value));
  return points;
}

Result<Submission> ExecutableState::submit(const std::shared_ptr<DeviceState>& device,
                                           const SubmitOptions& options) {
  SEGUE_TRY(core_->check_alive());
  SEGUE_TRY_ASSIGN(const TimelinePoints timelines, check_timelines(options));
  SEGUE_TRY(check_bindings());
  unsigned index = 0;
  SEGUE_TRY_ASSIGN(Instance* const taken, take_instance(index));
  Instance& instance = *taken;
  if (Result<> updated = update(instance, index); !updated) {
    release_instance(index);
    return std::unexpected(std::move(updated).error());
  }
  base::Ref<SubmissionState> submission = core_->acquire_recording(true);
  submission->label.assign(options.label.empty() ? std::string_view(label_) : options.label);
  submission->plan = &instance.plan;
  submission->program = program_.get();
  submission->instance = index;
  submission->loads = instance.loads;
  submission->replayed = shared_from_this();
  submission->replay_resources = instance.resources;
  submission->timelines.assign(timelines, *submission);
  submission->time_commands = profiling || core_->options().profile;
  instance.submission = submission;
  instance.turn = ++turns_;
  instance.busy.store(true, std::memory_order_relaxed);
  const bool wait_at_once = options.waiting == Waiting::kSoon;
  if (Result<> submitted = device->submit(submission, queue_, wait_at_once); !submitted) {
    submission->replayed.reset();
    submission->timelines.clear(*submission);
    release_instance(index);
    return std::unexpected(std::move(submitted).error());
  }
  core_->counters.add(counts_);
  return Submission(device, submission);
}

}  // namespace segue::runtime
