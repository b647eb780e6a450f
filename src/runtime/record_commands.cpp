// SPDX-License-Identifier: Apache-2.0
//
// What is recorded besides dispatches: fills, copies, uploads, native callbacks, barriers, and the
// footprint of the next dispatch.
#include <algorithm>
#include <utility>

#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"

namespace segue::runtime {

bool EncoderState::check_view(const BufferState& state, const KernelArg& view,
                              std::uint32_t alignment, std::string_view role) {
  if (view.offset() > state.size_bytes || view.size() > state.size_bytes - view.offset())
      [[unlikely]] {
    refuse("The {} covers bytes {} to {} but buffer \"{}\" has {} bytes.", role, view.offset(),
           view.size() > UINT64_MAX - view.offset() ? UINT64_MAX : view.offset() + view.size(),
           state.label, state.size_bytes);
    return false;
  }
  if (((state.native_offset + view.offset()) & (alignment - 1)) != 0) [[unlikely]] {
    refuse("The {} begins at byte {} of buffer \"{}\"; its alignment is {} bytes{}.", role,
           view.offset(), state.label, alignment,
           alignment == limits_->view_offset_alignment ? " (Limits::view_offset_alignment)" : "");
    return false;
  }
  return true;
}

bool EncoderState::add_plain_view(const KernelArg& view, Access access, std::string_view role) {
  if (view.kind() == KernelArg::Kind::kBytes) {
    refuse("The {} is inline bytes; it is a view.", role);
    return false;
  }
  if (!check_usable(view.state(), access, role) || !check_view(*view.state(), view, 1, role))
    return false;
  const std::size_t argument = current_->list->argument_total() - building_arguments_begin_;
  current_->list->add_view(*view.state(), view.offset(), view.size(), access);
  return !view.has_slots() || add_view_slot(view, argument, access, 1);
}

void EncoderState::fill(const KernelArg& destination, std::byte value) {
  if (!ready()) return;
  ir::Command command = new_command(ir::CommandKind::kFill);
  command.op = OpKind::kFill;
  command.fill_byte = static_cast<std::uint8_t>(value);
  command.argument_count = 1;
  if (add_plain_view(destination, Access::kWrite, "destination of a fill")) append(command);
}

void EncoderState::copy(const KernelArg& source, const KernelArg& destination) {
  if (!ready()) return;
  ir::Command command = new_command(ir::CommandKind::kCopy);
  command.op = OpKind::kCopy;
  command.argument_count = 2;
  if (source.size() != destination.size()) {
    return refuse("A copy has a source of {} bytes and a destination of {}; they must agree.",
                  source.size(), destination.size());
  }
  if (!add_plain_view(source, Access::kRead, "source of a copy") ||
      !add_plain_view(destination, Access::kWrite, "destination of a copy")) {
    return;
  }
  const AccessRange from = source.state()->range(source.offset(), source.size(), Access::kRead);
  const AccessRange to =
      destination.state()->range(destination.offset(), destination.size(), Access::kWrite);
  if (conflicts(from, to)) {
    return refuse(
        "A copy reads bytes {} to {} and writes bytes {} to {} of the same memory; they must not "
        "overlap.",
        from.begin, from.end, to.begin, to.end);
  }
  append(command);
}

void EncoderState::upload(const KernelArg& destination, const KernelArg& source) {
  if (!ready()) return;
  ir::Command command = new_command(ir::CommandKind::kUpload);
  command.op = OpKind::kCopy;
  command.argument_count = 2;
  if (source.kind() != KernelArg::Kind::kBytes)
    return refuse("The source of an upload is no inline bytes; copy() takes a view.");
  if (source.size() != destination.size()) {
    return refuse("An upload brings {} bytes for a destination of {}; they must agree.",
                  source.size(), destination.size());
  }
  if (!add_plain_view(destination, Access::kWrite, "destination of an upload")) return;
  current_->list->add_bytes({source.data(), static_cast<std::size_t>(source.size())});
  if (source.has_slots() && !add_bytes_slots(source, 1)) return;
  append(command);
}

void EncoderState::native(std::span<const BufferView> reads, std::span<const BufferView> writes,
                          NativeRecorder record) {
  if (!ready()) return;
  ir::Command command = new_command(ir::CommandKind::kNative);
  if (!record) return refuse("A native callback is empty; it needs a function.");
  if (reads.size() + writes.size() > limits_->max_arguments) {
    return refuse("A native callback declares {} views; this device takes at most {}.",
                  reads.size() + writes.size(), limits_->max_arguments);
  }
  for (const BufferView& view : reads) {
    if (!add_plain_view(view, Access::kRead, "view of a native callback")) return;
  }
  for (const BufferView& view : writes) {
    if (!add_plain_view(view, Access::kWrite, "view of a native callback")) return;
  }
  command.argument_count = static_cast<std::uint8_t>(reads.size() + writes.size());
  command.native_callback = current_->list->add_native_callback(
      [record = std::move(record)](const ir::NativeContext& context) {
        const DeviceThreadScope scope;
        record(context.object);
      });
  append(command);
}

// Barriers and footprints.

void EncoderState::memory_barrier() {
  if (!ready()) return;
  append(new_command(ir::CommandKind::kBarrier));
}

void EncoderState::barrier_between(std::span<const BufferView> reads,
                                   std::span<const BufferView> writes) {
  if (!ready()) return;
  scratch_ranges_.clear();
  const auto gather = [&](std::span<const BufferView> views, Access access) {
    for (const BufferView& view : views) {
      if (!check_usable(view.buffer().state(), access, "range of barrier_between()")) return false;
      scratch_ranges_.push_back(
          view.buffer().state()->range(view.offset_bytes(), view.size_bytes(), access));
    }
    return true;
  };
  if (!gather(reads, Access::kRead) || !gather(writes, Access::kWrite)) return;
  place_barrier_between();
  set_pending_ranges(reads, writes);
}

/// A barrier, by hand, if scratch_ranges_ conflict with commands since the last one.
void EncoderState::place_barrier_between() {
  const bool placed =
      current_->planner.barrier_between(*current_->list, scratch_ranges_, *current_->plan);
  // In a graph the barrier must outlive the plan, so it becomes a node; the planner has it already.
  if (placed && is_capturing()) current_->list->append(new_command(ir::CommandKind::kBarrier));
}

void EncoderState::set_pending_ranges(std::span<const BufferView> reads,
                                      std::span<const BufferView> writes) {
  if (!ready()) return;
  pending_reads_.assign(reads.begin(), reads.end());
  pending_writes_.assign(writes.begin(), writes.end());
}

void EncoderState::fill_missing_ranges(std::span<const BufferView> reads,
                                       std::span<const BufferView> writes) {
  if (!ready()) return;
  if (!is_capturing()) {
    return refuse(ErrorCode::kInvalidState,
                  "Missing ranges can be filled in while capturing only.");
  }
  ir::CommandList& list = *current_->list;
  const std::span<ir::Command> commands = list.mutable_commands();
  std::size_t index = commands.size();
  while (index > 0 && !commands[index - 1].is_dispatch()) --index;
  if (index == 0)
    return refuse(ErrorCode::kInvalidState,
                  "The capture has no dispatch whose ranges could be filled in.");
  ir::Command& command = commands[--index];
  if (!command.unannotated) return;  // the signature or the dispatch says it all

  const std::vector<ir::Argument> own(list.explicit_ranges(command).begin(),
                                      list.explicit_ranges(command).end());
  std::uint16_t read_count = 0, write_count = 0;
  const auto keep_or_add = [&](bool keep, Access access, std::span<const BufferView> views,
                               std::uint16_t& count) {
    if (!keep) return add_explicit_ranges(views, access, count);
    for (const ir::Argument& range : own) {
      if (range.access != access) continue;
      list.add_explicit_range(*range.storage, range.offset, range.size, access);
      ++count;
    }
  };
  keep_or_add(command.explicit_reads || reads.empty(), Access::kRead, reads, read_count);
  keep_or_add(command.explicit_writes || writes.empty(), Access::kWrite, writes, write_count);
  if (command.kind == ir::CommandKind::kDispatchIndirect && !command.explicit_reads &&
      read_count != 0) {  // the device reads its group counts whatever the caller says
    const ir::Argument counts = list.arguments(command).back();
    list.add_explicit_range(*counts.storage, counts.offset, counts.size, Access::kRead);
    ++write_count;
  }
  if (error_) return;
  list.set_explicit_ranges(static_cast<std::uint32_t>(index), read_count, write_count);
  command.explicit_reads |= !reads.empty();
  command.explicit_writes |= !writes.empty();
  if (command.explicit_reads && command.explicit_writes) {
    command.unannotated = false;
    --current_->unannotated;
  }
}

void EncoderState::set_op_kind(OpKind kind) {
  if (ready()) pending_op_ = kind;
}

}  // namespace segue::runtime
