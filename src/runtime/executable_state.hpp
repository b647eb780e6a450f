// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/hal.hpp"
#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "runtime/device_state.hpp"
#include "runtime/graph_state.hpp"
#include "runtime/slot_guard.hpp"
#include "segue/executable.hpp"
#include "segue/ref.hpp"

namespace segue::runtime {

/// Counters of one run of a plan, besides what the device reports.
[[nodiscard]] Counters count_barriers(const ir::Plan& plan);

/// An executable: a lowered list, its plan, the backend's program, and as many parameter sets as
/// replays may be unfinished. Does not own the device, so that a submission that completes last may
/// drop it on the device's own thread.
class ExecutableState : public std::enable_shared_from_this<ExecutableState> {
 public:
  /// @error as Graph::compile.
  [[nodiscard]] static Result<std::shared_ptr<ExecutableState>> create(
      const GraphState& graph, const CompileOptions& options);
  ~ExecutableState();

  [[nodiscard]] Result<SlotId> find_slot(std::string_view name) const;
  [[nodiscard]] Result<> set_view(SlotId slot, const BufferView& view);
  [[nodiscard]] Result<> set_bytes(SlotId slot, std::span<const std::byte> bytes);
  [[nodiscard]] Result<> set_grid(SlotId slot, Extent3 grid);
  [[nodiscard]] Result<> load(SlotId slot, const BufferView& source);
  [[nodiscard]] Result<Submission> submit(const std::shared_ptr<DeviceState>& device,
                                          const SubmitOptions& options);

  /// The replay that used an instance completed. From any thread.
  void release_instance(unsigned index) noexcept;

  bool profiling = false;
  /// What was planned, slots with their defaults.
  [[nodiscard]] const ir::CommandList& list() const { return list_; }
  [[nodiscard]] const ir::Plan& plan() const { return plan_; }
  [[nodiscard]] const ScheduleReport& report() const { return report_; }
  [[nodiscard]] const PlacementReport& placement() const { return placement_; }
  [[nodiscard]] Certificate certify() const;

 private:
  /// The value of a slot, for replays submitted from now on.
  struct Value {
    std::uint64_t version = 1;
    bool loads = false;  ///< The device reads it from `view`.
    ir::Argument view;   ///< Of a view, or what is loaded; `storage` keeps it alive.
    base::Ref<ir::Storage> storage;
    std::size_t bytes = 0;  ///< Of inline bytes: where in value_bytes_.
    Extent3 grid{0, 0, 0};
  };
  struct Instance {
    ir::CommandList list;
    ir::Plan plan;
    std::vector<std::uint64_t> versions;  ///< Of each slot, as the list has it.
    std::uint64_t binding_version = 0;    ///< As `resources` has it.
    std::vector<ir::ResourceUse> resources;
    std::vector<base::Ref<ir::Storage>> bound;  ///< Of slots, while a replay uses them.
    std::vector<hal::SlotLoad> loads;
    std::vector<std::byte*> targets;        ///< As uses_: where the value of a slot of bytes goes.
    base::Ref<SubmissionState> submission;  ///< The last one that used the instance,
    std::uint64_t turn = 0;                 ///< and its number.
    std::atomic<bool> busy{false};
  };

  explicit ExecutableState(std::shared_ptr<DeviceCore> core) : core_(std::move(core)) {}
  Result<> lower_graph(const GraphState& graph, const CompileOptions& options,
                       std::vector<std::uint32_t>& original);
  Result<> make_instances(unsigned count);
  void collect_slots();
  [[nodiscard]] Result<const ir::Slot*> check_slot(SlotId slot, ir::SlotKind kind) const;
  [[nodiscard]] std::string_view slot_name(std::size_t slot) const {
    return list().name(list().slots()[slot].name);
  }
  [[nodiscard]] Result<TimelinePoints> check_timelines(const SubmitOptions& options) const;
  [[nodiscard]] Result<Instance*> take_instance(unsigned& index);
  [[nodiscard]] Result<> check_bindings();
  [[nodiscard]] Result<> update(Instance& instance, unsigned index);
  void write(Instance& instance, std::size_t slot) const;
  void bind_resources(Instance& instance) const;

  std::shared_ptr<DeviceCore> core_;
  unsigned queue_ = 0;
  std::string label_;  // of submissions that bring none
  ir::CommandList list_;
  ir::Plan plan_;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::unique_ptr<hal::Program> program_;
  std::uint64_t turns_ = 0;  // submissions so far

  std::vector<ir::SlotUse> uses_;           // by slot
  std::vector<std::uint32_t> first_use_;    // by slot, and one past the end
  std::vector<ir::ResourceUse> resources_;  // of what is no slot; what is written comes first
  SlotGuard guard_;
  std::vector<Value> values_;
  std::vector<std::byte> value_bytes_;
  std::uint64_t binding_version_ = 1;  // counts changes of views and loads
  bool views_changed_ = false;         // since the guard looked at them
  std::vector<ir::Argument> views_;    // by slot; what the guard looks at
  std::vector<MemoryId> placed_;       // ascending; of transient buffers that the arena stands for

  Counters counts_;  // of one replay
  ScheduleReport report_;
  PlacementReport placement_;
};

/// An Executable's content.
class ExecutableHandle {
 public:
  std::shared_ptr<DeviceState> device;
  std::shared_ptr<ExecutableState> state;
};

}  // namespace segue::runtime
