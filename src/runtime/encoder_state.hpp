// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "graph/direct_planner.hpp"
#include "ir/command_list.hpp"
#include "ir/list_copier.hpp"
#include "ir/plan.hpp"
#include "runtime/device_state.hpp"
#include "runtime/graph_state.hpp"
#include "runtime/submission_state.hpp"
#include "segue/encoder.hpp"

namespace segue::runtime {

/// A command list that is being recorded, and its plan so far. Direct encoding and capture differ
/// only in where the list lives and what becomes of it.
struct Recording {
  ir::CommandList* list = nullptr;
  ir::Plan* plan = nullptr;
  graph::DirectPlanner planner;
  std::uint64_t unannotated = 0;
};

/// The encoder behind CommandEncoder: checks each call against signature and limits, appends a
/// plain command and plans it.
class EncoderState {
 public:
  EncoderState(std::shared_ptr<DeviceState> device, const EncoderOptions& options);
  ~EncoderState();

  /// @name Recording; see CommandEncoder.
  /// @{
  void dispatch(ir::Kernel* kernel, std::span<const KernelArg> args, Grid grid,
                const DispatchOptions& options);
  void dispatch_indirect(ir::Kernel* kernel, std::span<const KernelArg> args,
                         const BufferView& group_counts, Extent3 bound,
                         const DispatchOptions& options);
  void fill(const KernelArg& destination, std::byte value);
  void copy(const KernelArg& source, const KernelArg& destination);
  void upload(const KernelArg& destination, const KernelArg& source);
  void native(std::span<const BufferView> reads, std::span<const BufferView> writes,
              NativeRecorder record);
  void memory_barrier();
  void barrier_between(std::span<const BufferView> reads, std::span<const BufferView> writes);
  void set_pending_ranges(std::span<const BufferView> reads, std::span<const BufferView> writes);
  void fill_missing_ranges(std::span<const BufferView> reads, std::span<const BufferView> writes);
  void set_op_kind(OpKind kind);
  void wait_for(const Timeline& timeline, std::uint64_t value);
  void signal(const Timeline& timeline, std::uint64_t value);
  void push_label(std::string_view label);
  void pop_label();
  /// @}

  /// @name Stateful form
  /// @{
  void set_kernel(const Kernel& kernel);
  void set_argument(std::uint32_t index, const KernelArg& arg);
  void set_shared_memory(std::uint32_t index, std::uint32_t size_bytes);
  void dispatch_stateful(Grid grid, Extent3 group_size);
  /// @}

  /// @name Replay into this recording; see CommandEncoder.
  /// @{
  void encode_node(const Graph& graph, std::size_t index);
  void encode_sequential(const Graph& graph);
  void encode_with_barriers(const Graph& graph, std::span<const std::uint32_t> order);
  /// @}

  /// Adds a slot before its first use, which then agrees with it. A slot of bytes has the default
  /// `value`.
  void declare_slot(std::string_view name, ir::Slot slot, std::span<const std::byte> value);

  void start_capture();
  [[nodiscard]] bool is_capturing() const { return capture_ != nullptr; }
  [[nodiscard]] Result<Graph> take_capture();

  [[nodiscard]] Result<> status() const;
  [[nodiscard]] Result<Submission> commit(std::string_view label, bool wait_at_once);
  [[nodiscard]] Result<> begin();
  [[nodiscard]] RecordingStats stats() const;
  [[nodiscard]] std::vector<BarrierInfo> barriers() const;
  void fail(Error error);
  [[nodiscard]] DeviceState& device() const { return *device_; }

 private:
  enum class Phase : std::uint8_t { kRecording, kCommitted };

  /// Whether a recording call may do its work; makes the recording fail where the phase forbids it.
  [[nodiscard]] bool ready();
  [[nodiscard]] bool takes_timelines();
  template <class... Args>
  void refuse(fmt::format_string<Args...> format, Args&&... args) {
    refuse(ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
  }
  void refuse(ErrorCode code, std::string message);

  /// Sets the array positions and labels of a command without other content.
  void start_command(ir::Command& command, ir::CommandKind kind, std::string_view label);
  [[nodiscard]] ir::Command new_command(ir::CommandKind kind);
  [[nodiscard]] bool add_arguments(const ir::Kernel& kernel, std::span<const KernelArg> args,
                                   ir::Command& command);
  [[nodiscard]] bool add_view_argument(const Parameter& parameter, std::size_t i,
                                       const KernelArg& arg);
  bool refuse_view_argument(const Parameter& parameter, std::size_t i, const KernelArg& arg,
                            Access access, std::uint32_t alignment);
  [[nodiscard]] bool add_shared_sizes(const ir::Kernel& kernel,
                                      std::span<const SharedMemorySize> sizes,
                                      ir::Command& command);
  [[nodiscard]] bool set_grid(const ir::Kernel& kernel, Grid grid, Extent3 group_size,
                              ir::Command& command);
  [[nodiscard]] bool set_usual_grid(const ir::Kernel& kernel, Grid grid,
                                    ir::Command& command) const;
  void set_footprint(const DispatchOptions& options, ir::Command& command);
  void add_explicit_ranges(std::span<const BufferView> views, Access access, std::uint16_t& count);
  [[nodiscard]] bool add_plain_view(const KernelArg& view, Access access, std::string_view role);
  [[nodiscard]] bool check_view(const BufferState& state, const KernelArg& view,
                                std::uint32_t alignment, std::string_view role);

  /// Slots of the argument that was added last, as number `argument` of the command being built.
  [[nodiscard]] bool add_view_slot(const KernelArg& arg, std::size_t argument, Access access,
                                   std::uint32_t alignment);
  [[nodiscard]] bool add_bytes_slots(const KernelArg& arg, std::size_t argument);
  [[nodiscard]] bool add_grid_slot(std::string_view name, const ir::Command& command);
  [[nodiscard]] bool use_slot(std::string_view name, const ir::Slot& slot, std::size_t argument,
                              std::uint32_t offset);
  [[nodiscard]] bool check_slot_use(std::string_view name, const ir::Slot& known,
                                    const ir::CommandList& from, const ir::Slot& slot);
  /// Whether slots of another list agree with those of the same names here.
  [[nodiscard]] bool check_slots(const ir::CommandList& from, std::span<const ir::SlotUse> uses);
  [[nodiscard]] bool check_graph(const Graph& graph);
  void append_copy(ir::ListCopier& copier, std::uint32_t index, bool infer);
  void place_barrier_between();
  [[nodiscard]] bool build_dispatch(ir::CommandKind kind, ir::Kernel* kernel,
                                    std::span<const KernelArg> args, Grid grid,
                                    const DispatchOptions& options, ir::Command& command);
  [[nodiscard]] bool is_usable(const BufferState* state, Access access) const;
  [[nodiscard]] bool check_usable(const BufferState* state, Access access, std::string_view role);
  void finish_dispatch(ir::Command& command);
  void append(const ir::Command& command, bool infer = true);
  /// A dispatch whose ranges are in building_ranges_.
  void append_tracked(const ir::Command& command);
  void start_recording();
  void flush_counters();
  void enter_scopes();
  [[nodiscard]] std::string_view scope_name(std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : scope_ends_[i - 1];
    return std::string_view(scope_text_).substr(begin, scope_ends_[i] - begin);
  }
  [[nodiscard]] ir::NameId scope() const {
    return scopes_.empty() ? ir::NameId::kNone : scopes_.back();
  }

  std::shared_ptr<DeviceState> device_;
  const DeviceCore* core_;
  const Limits* limits_;
  bool ragged_groups_;
  BarrierMode direct_mode_;
  BarrierMode capture_mode_;
  bool retain_;
  unsigned queue_;

  Phase phase_ = Phase::kRecording;
  std::optional<Error> error_;
  base::Ref<SubmissionState> submission_;
  Recording direct_;
  Recording captured_;
  std::shared_ptr<GraphState> capture_;
  ir::Plan capture_plan_;
  Recording* current_ = &direct_;
  TimelinePoints timelines_;  // of the next commit
  std::uint64_t unflushed_dispatches_ = 0;

  std::optional<OpKind> pending_op_;
  std::vector<BufferView> pending_reads_;
  std::vector<BufferView> pending_writes_;
  std::vector<ir::NameId> scopes_;       // in the current list
  std::string scope_text_;               // their names, to enter them again in another list
  std::vector<std::size_t> scope_ends_;  // of each name in scope_text_
  ir::NameId building_label_ = ir::NameId::kNone;          // of the command that is being built
  std::uint32_t building_arguments_begin_ = 0;             // likewise, in the list
  bool has_view_slot_ = false;                             // likewise, of a dispatch
  bool replaces_reads_ = false, replaces_writes_ = false;  // likewise, by explicit ranges
  std::vector<AccessRange> building_ranges_;  // likewise, what its views are read and written for
  std::size_t building_range_count_ = 0;

  Kernel bound_kernel_;
  struct BoundArgument {
    KernelArg arg;
    Buffer buffer;                 // keeps arg's storage alive between calls
    std::vector<std::byte> bytes;  // what arg borrows, and what follows too
    std::vector<BytesSlot> slots;
    std::vector<std::string> names;
  };
  std::vector<BoundArgument> bound_arguments_;
  std::vector<SharedMemorySize> bound_shared_;
  std::vector<AccessRange> scratch_ranges_;
};

}  // namespace segue::runtime
