// SPDX-License-Identifier: Apache-2.0
#include "segue/encoder.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"

namespace segue {

using base::fail;

KernelArg KernelArg::at(const BufferView& view, std::uint64_t offset_bytes,
                        std::optional<std::uint64_t> size_bytes) {
  KernelArg argument(view);
  const std::uint64_t storage_bytes = view.buffer() ? view.buffer().size_bytes() : 0;
  argument.offset_ = offset_bytes;
  // An offset past the end keeps a size that recording refuses, with both numbers.
  argument.size_ =
      size_bytes.value_or(offset_bytes <= storage_bytes ? storage_bytes - offset_bytes : 1);
  return argument;
}

CommandEncoder::CommandEncoder() = default;
CommandEncoder::CommandEncoder(std::unique_ptr<runtime::EncoderState> state)
    : state_(std::move(state)) {}
CommandEncoder::CommandEncoder(CommandEncoder&&) noexcept = default;
CommandEncoder& CommandEncoder::operator=(CommandEncoder&&) noexcept = default;
CommandEncoder::~CommandEncoder() = default;

void CommandEncoder::dispatch(const Kernel& kernel, std::span<const KernelArg> args, Grid grid,
                              const DispatchOptions& options) {
  state_->dispatch(kernel.impl(), args, grid, options);
}
void CommandEncoder::dispatch_indirect(const Kernel& kernel, std::span<const KernelArg> args,
                                       const BufferView& group_counts, Extent3 bound,
                                       const DispatchOptions& options) {
  state_->dispatch_indirect(kernel.impl(), args, group_counts, bound, options);
}
void CommandEncoder::fill(const KernelArg& destination, std::byte value) {
  state_->fill(destination, value);
}
void CommandEncoder::copy(const KernelArg& source, const KernelArg& destination) {
  state_->copy(source, destination);
}
void CommandEncoder::upload(const KernelArg& destination, const KernelArg& source) {
  state_->upload(destination, source);
}
void CommandEncoder::native(std::span<const BufferView> reads, std::span<const BufferView> writes,
                            NativeRecorder record) {
  state_->native(reads, writes, std::move(record));
}

void CommandEncoder::set_kernel(const Kernel& kernel) { state_->set_kernel(kernel); }
void CommandEncoder::set_argument(std::uint32_t index, const KernelArg& arg) {
  state_->set_argument(index, arg);
}
void CommandEncoder::set_shared_memory(std::uint32_t index, std::uint32_t size_bytes) {
  state_->set_shared_memory(index, size_bytes);
}
void CommandEncoder::dispatch_threads(Extent3 threads, Extent3 group_size) {
  state_->dispatch_stateful({GridKind::kThreads, threads}, group_size);
}
void CommandEncoder::dispatch_groups(Extent3 groups, Extent3 group_size) {
  state_->dispatch_stateful({GridKind::kGroups, groups}, group_size);
}

void CommandEncoder::memory_barrier() { state_->memory_barrier(); }
void CommandEncoder::barrier_between(std::span<const BufferView> reads,
                                     std::span<const BufferView> writes) {
  state_->barrier_between(reads, writes);
}
void CommandEncoder::set_pending_ranges(std::span<const BufferView> reads,
                                        std::span<const BufferView> writes) {
  state_->set_pending_ranges(reads, writes);
}
void CommandEncoder::fill_missing_ranges(std::span<const BufferView> reads,
                                         std::span<const BufferView> writes) {
  state_->fill_missing_ranges(reads, writes);
}
void CommandEncoder::set_op_kind(OpKind kind) { state_->set_op_kind(kind); }

void CommandEncoder::wait_for(const Timeline& timeline, std::uint64_t value) {
  state_->wait_for(timeline, value);
}
void CommandEncoder::signal(const Timeline& timeline, std::uint64_t value) {
  state_->signal(timeline, value);
}

void CommandEncoder::push_label(std::string_view label) { state_->push_label(label); }
void CommandEncoder::pop_label() { state_->pop_label(); }

void CommandEncoder::start_capture() { state_->start_capture(); }
bool CommandEncoder::is_capturing() const { return state_->is_capturing(); }
void CommandEncoder::encode_node(const Graph& graph, std::size_t index) {
  state_->encode_node(graph, index);
}
void CommandEncoder::encode_sequential(const Graph& graph) { state_->encode_sequential(graph); }
void CommandEncoder::encode_with_barriers(const Graph& graph,
                                          std::span<const std::uint32_t> order) {
  state_->encode_with_barriers(graph, order);
}

Result<Graph> CommandEncoder::take_capture() { return state_->take_capture(); }

Result<> CommandEncoder::status() const { return state_->status(); }

namespace {

Result<> check_label(std::string_view label) {
  if (!label.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "The label of a commit is empty; it needs at least one character.");
}

Result<> commit_blocking(runtime::EncoderState& state, std::string_view label,
                         Result<GpuTime>* time) {
  SEGUE_TRY_ASSIGN(Submission submission, state.commit(label, true));
  Counters delta;
  delta.syncs = 1;
  state.device().core()->counters.add(delta);
  SEGUE_TRY(submission.wait());
  if (time != nullptr) *time = submission.gpu_time();
  return {};
}

Result<GpuTime> commit_timed(runtime::EncoderState& state, std::string_view label) {
  Result<GpuTime> time = GpuTime{};
  SEGUE_TRY(commit_blocking(state, label, &time));
  return time;
}

}  // namespace

Result<Submission> CommandEncoder::commit() { return state_->commit({}, false); }
Result<Submission> CommandEncoder::commit(std::string_view label) {
  SEGUE_TRY(check_label(label));
  return state_->commit(label, false);
}
Result<> CommandEncoder::commit_and_wait() { return commit_blocking(*state_, {}, nullptr); }
Result<> CommandEncoder::commit_and_wait(std::string_view label) {
  SEGUE_TRY(check_label(label));
  return commit_blocking(*state_, label, nullptr);
}
Result<GpuTime> CommandEncoder::commit_wait_with_gpu_time() { return commit_timed(*state_, {}); }
Result<GpuTime> CommandEncoder::commit_wait_with_gpu_time(std::string_view label) {
  SEGUE_TRY(check_label(label));
  return commit_timed(*state_, label);
}
Result<> CommandEncoder::begin() { return state_->begin(); }

RecordingStats CommandEncoder::stats() const { return state_->stats(); }
std::vector<BarrierInfo> CommandEncoder::barriers() const { return state_->barriers(); }
void CommandEncoder::fail(Error error) { state_->fail(std::move(error)); }

std::string BarrierInfo::to_string() const {
  if (requested) return fmt::format("before command {}: placed by hand", later);
  const auto name = [](std::uint32_t command, const std::string& label) {
    return label.empty() ? fmt::format("command {}", command)
                         : fmt::format("command {} ({})", command, label);
  };
  return fmt::format("{} and {}: {} of bytes {} to {} of \"{}\"", name(earlier, earlier_label),
                     name(later, later_label), segue::to_string(hazard), range.begin, range.end,
                     buffer_label);
}

}  // namespace segue
