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
#include "ir/plan.hpp"
#include "runtime/device_state.hpp"
#include "runtime/submission_state.hpp"
#include "segue/encoder.hpp"

namespace segue::runtime {

/// What a capture leaves: an immutable command list.
class GraphState {
 public:
  ir::CommandList list;
  BarrierMode mode = BarrierMode::kAutomatic;
};

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
  void fill(const BufferView& destination, std::byte value);
  void copy(const BufferView& source, const BufferView& destination);
  void upload(const BufferView& destination, std::span<const std::byte> source);
  void native(std::span<const BufferView> reads, std::span<const BufferView> writes,
              NativeRecorder record);
  void memory_barrier();
  void barrier_between(std::span<const BufferView> reads, std::span<const BufferView> writes);
  void set_pending_ranges(std::span<const BufferView> reads, std::span<const BufferView> writes);
  void fill_missing_ranges(std::span<const BufferView> reads, std::span<const BufferView> writes);
  void set_op_kind(OpKind kind);
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
  [[nodiscard]] bool add_shared_sizes(const ir::Kernel& kernel,
                                      std::span<const SharedMemorySize> sizes,
                                      ir::Command& command);
  [[nodiscard]] bool set_grid(const ir::Kernel& kernel, Grid grid, Extent3 group_size,
                              ir::Command& command);
  void set_footprint(const DispatchOptions& options, ir::Command& command);
  void add_explicit_ranges(std::span<const BufferView> views, Access access, std::uint16_t& count);
  [[nodiscard]] bool add_plain_view(const BufferView& view, Access access, std::string_view role);
  [[nodiscard]] bool build_dispatch(ir::CommandKind kind, ir::Kernel* kernel,
                                    std::span<const KernelArg> args, Grid grid,
                                    const DispatchOptions& options, ir::Command& command);
  [[nodiscard]] bool is_usable(const BufferState* state, Access access) const;
  [[nodiscard]] bool check_usable(const BufferState* state, Access access, std::string_view role);
  void finish_dispatch(ir::Command& command);
  void append(const ir::Command& command);
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
  std::uint64_t unflushed_dispatches_ = 0;

  std::optional<OpKind> pending_op_;
  std::vector<BufferView> pending_reads_;
  std::vector<BufferView> pending_writes_;
  std::vector<ir::NameId> scopes_;       // in the current list
  std::string scope_text_;               // their names, to enter them again in another list
  std::vector<std::size_t> scope_ends_;  // of each name in scope_text_
  ir::NameId building_label_ = ir::NameId::kNone;  // of the command that is being built

  Kernel bound_kernel_;
  struct BoundArgument {
    KernelArg arg;
    Buffer buffer;                 // keeps arg's storage alive between calls
    std::vector<std::byte> bytes;  // what arg borrows
  };
  std::vector<BoundArgument> bound_arguments_;
  std::vector<SharedMemorySize> bound_shared_;
  std::vector<AccessRange> scratch_ranges_;
};

}  // namespace segue::runtime
