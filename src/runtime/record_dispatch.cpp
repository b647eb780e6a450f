// SPDX-License-Identifier: Apache-2.0
//
// The hot path: from a dispatch call to a planned command. Checks come first and leave no trace
// when they refuse.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"

namespace segue::runtime {
namespace {

constexpr std::uint64_t ceil_div(std::uint64_t value, std::uint64_t divisor) {
  return (value + divisor - 1) / divisor;
}

struct Axis {
  char name;
  std::uint32_t Extent3::* extent;
};
constexpr Axis kAxes[] = {{'x', &Extent3::x}, {'y', &Extent3::y}, {'z', &Extent3::z}};

}  // namespace

inline bool EncoderState::is_usable(const BufferState* state, Access access) const {
  return state != nullptr && state->core.get() == core_ && (state->writable || !writes(access));
}

bool EncoderState::check_usable(const BufferState* state, Access access, std::string_view role) {
  if (is_usable(state, access)) return true;
  if (state == nullptr) {
    refuse("The {} is an empty view; it needs a buffer.", role);
  } else if (state->core.get() != core_) {
    refuse("Buffer \"{}\" belongs to another device than this encoder.", state->label);
  } else {
    refuse("The {} writes buffer \"{}\", which was imported as read-only.", role, state->label);
  }
  return false;
}

/// Says what is wrong with a view; false.
bool EncoderState::refuse_view_argument(const Parameter& parameter, std::size_t i,
                                        const KernelArg& arg, Access access,
                                        std::uint32_t alignment) {
  const BufferState* state = arg.state();
  const std::string role = fmt::format("argument {} ({})", i, parameter.name);
  if (!check_usable(state, access, role) || !check_view(*state, arg, alignment, role)) return false;
  refuse(
      "Argument {} ({}) has {} bytes but Limits::max_view_bytes, which one argument binds, is {}.",
      i, parameter.name, arg.size(), limits_->max_view_bytes);
  return false;
}

inline bool EncoderState::add_view_argument(const Parameter& parameter, std::size_t i,
                                            const KernelArg& arg) {
  BufferState* state = arg.state();
  const Access access = parameter.access_known ? parameter.access : Access::kReadWrite;
  const std::uint32_t alignment = std::max(parameter.alignment, limits_->view_offset_alignment);
  const std::uint64_t offset = arg.offset();
  const std::uint64_t size = arg.size();
  if (!is_usable(state, access) || offset > state->size_bytes ||
      size > state->size_bytes - offset ||
      ((state->native_offset + offset) & (alignment - 1)) != 0 || size > limits_->max_view_bytes)
      [[unlikely]] {
    return refuse_view_argument(parameter, i, arg, access, alignment);
  }
  if (replaces_reads_ || replaces_writes_) [[unlikely]] {
    current_->list->add_view(*state, offset, size, access, parameter.access_known, replaces_reads_,
                             replaces_writes_);
  } else {
    current_->list->add_view(*state, offset, size, access, parameter.access_known);
  }
  // An empty view is read and written for nothing: the next range takes its place.
  building_ranges_[building_range_count_] = state->range(offset, size, access);
  building_range_count_ += size != 0 ? 1 : 0;
  return !arg.has_slots() || add_view_slot(arg, i, access, alignment);
}

inline bool EncoderState::add_arguments(const ir::Kernel& kernel, std::span<const KernelArg> args,
                                        ir::Command& command) {
  if (args.size() != kernel.argument_count) [[unlikely]] {
    refuse("Kernel \"{}\" takes {} arguments but the dispatch gives {}.", kernel.name,
           kernel.argument_count, args.size());
    return false;
  }
  const Parameter* parameters = kernel.signature.parameters.data();
  for (std::size_t i = 0; i < args.size(); ++i) {
    const Parameter& parameter = parameters[i];
    const KernelArg& arg = args[i];
    if (parameter.kind == ParameterKind::kBuffer) {
      if (arg.kind() != KernelArg::Kind::kView) [[unlikely]] {
        refuse("Argument {} ({}) of kernel \"{}\" is {}, but the kernel takes a buffer view.", i,
               parameter.name, kernel.name,
               arg.kind() == KernelArg::Kind::kBytes ? "inline bytes" : "missing");
        return false;
      }
      if (!add_view_argument(parameter, i, arg)) return false;
      command.unannotated |= !parameter.access_known;
    } else {
      if (arg.kind() != KernelArg::Kind::kBytes) [[unlikely]] {
        refuse("Argument {} ({}) of kernel \"{}\" is {}, but the kernel takes inline bytes.", i,
               parameter.name, kernel.name,
               arg.kind() == KernelArg::Kind::kView ? "a buffer view" : "missing");
        return false;
      }
      const std::uint64_t wanted = parameter.size_bytes;
      if (arg.size() == 0 || (wanted != 0 && arg.size() != wanted) ||
          arg.size() > limits_->max_inline_bytes) [[unlikely]] {
        refuse("Argument {} ({}) of kernel \"{}\" has {} inline bytes; it takes {}{}.", i,
               parameter.name, kernel.name, arg.size(), wanted != 0 ? "exactly " : "1 to ",
               wanted != 0 ? wanted : limits_->max_inline_bytes);
        return false;
      }
      current_->list->add_bytes({arg.data(), static_cast<std::size_t>(arg.size())});
      if (arg.has_slots() && !add_bytes_slots(arg, i)) [[unlikely]]
        return false;
    }
  }
  command.argument_count = static_cast<std::uint8_t>(args.size());
  return true;
}

inline bool EncoderState::add_shared_sizes(const ir::Kernel& kernel,
                                           std::span<const SharedMemorySize> sizes,
                                           ir::Command& command) {
  const std::vector<Parameter>& parameters = kernel.signature.parameters;
  if (parameters.size() == kernel.argument_count && sizes.empty()) [[likely]]
    return true;
  for (const SharedMemorySize& size : sizes) {
    if (size.parameter < kernel.argument_count || size.parameter >= parameters.size() ||
        parameters[size.parameter].sizing != SharedSizing::kLaunch) {
      refuse("Parameter {} of kernel \"{}\" is no shared memory that the dispatch sizes.",
             size.parameter, kernel.name);
      return false;
    }
    if (std::ranges::count(sizes, size.parameter, &SharedMemorySize::parameter) > 1) {
      refuse("Shared parameter {} of kernel \"{}\" is given a size twice.", size.parameter,
             kernel.name);
      return false;
    }
  }
  std::uint64_t total = 0;
  for (std::uint32_t i = kernel.argument_count; i < parameters.size(); ++i) {
    std::uint32_t bytes = parameters[i].size_bytes;
    if (parameters[i].sizing == SharedSizing::kLaunch) {
      const auto given = std::ranges::find(sizes, i, &SharedMemorySize::parameter);
      if (given == sizes.end() || given->size_bytes == 0) {
        refuse(
            "Shared parameter {} ({}) of kernel \"{}\" needs a size of at least 1 byte from the "
            "dispatch.",
            i, parameters[i].name, kernel.name);
        return false;
      }
      bytes = given->size_bytes;
    }
    total += bytes;
    current_->list->add_shared_size(bytes);
    ++command.shared_count;
  }
  if (total > limits_->max_shared_memory_bytes) {
    refuse(
        "Kernel \"{}\" asks for {} bytes of shared memory; a group of this device has at most {}.",
        kernel.name, total, limits_->max_shared_memory_bytes);
    return false;
  }
  return true;
}

/// Groups of the kernel's own size, all within the limits. False: there is more to look at.
inline bool EncoderState::set_usual_grid(const ir::Kernel& kernel, Grid grid,
                                         ir::Command& command) const {
  const Extent3 group = kernel.signature.group_size;
  const Extent3 most_threads = limits_->max_group_size;
  const Extent3 most_groups = limits_->max_group_count;
  const Extent3 count = grid.extent;
  const std::uint64_t x = std::uint64_t{count.x} * group.x;
  const std::uint64_t y = std::uint64_t{count.y} * group.y;
  const std::uint64_t z = std::uint64_t{count.z} * group.z;
  const bool usual = (grid.kind == GridKind::kGroups) & (group.x <= most_threads.x) &
                     (group.y <= most_threads.y) & (group.z <= most_threads.z) &
                     (group.count() - 1 < limits_->max_group_threads) & (count.x <= most_groups.x) &
                     (count.y <= most_groups.y) & (count.z <= most_groups.z) &
                     ((x | y | z) <= UINT32_MAX);
  command.grid_kind = GridKind::kGroups;
  command.group_size = group;
  command.group_count = count;
  command.thread_count = {static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y),
                          static_cast<std::uint32_t>(z)};
  return usual;
}

bool EncoderState::set_grid(const ir::Kernel& kernel, Grid grid, Extent3 group_size,
                            ir::Command& command) {
  if (group_size == Extent3{0, 0, 0} && set_usual_grid(kernel, grid, command)) [[likely]]
    return true;
  const Extent3 own = kernel.signature.group_size;
  const bool chosen = group_size != Extent3{0, 0, 0};
  const Extent3 group = chosen ? group_size : own;
  if (chosen && kernel.signature.fixed_group_size && group != own) [[unlikely]] {
    refuse("Kernel \"{}\" has the fixed group size {}x{}x{} but the dispatch asks for {}x{}x{}.",
           kernel.name, own.x, own.y, own.z, group.x, group.y, group.z);
    return false;
  }
  if (group.empty() || group.count() > limits_->max_group_threads) [[unlikely]] {
    refuse("The group size {}x{}x{} of kernel \"{}\" has {} threads; this device takes 1 to {}.",
           group.x, group.y, group.z, kernel.name, group.count(), limits_->max_group_threads);
    return false;
  }
  command.grid_kind = grid.kind;
  command.group_size = group;
  for (const Axis& axis : kAxes) {
    const std::uint64_t extent = grid.extent.*axis.extent;
    const std::uint64_t size = group.*axis.extent;
    if (size > limits_->max_group_size.*axis.extent) [[unlikely]] {
      refuse("Group size {} in {} of kernel \"{}\" exceeds this device's {}.", size, axis.name,
             kernel.name, limits_->max_group_size.*axis.extent);
      return false;
    }
    const bool ragged = grid.kind == GridKind::kThreads && size != 1 && extent % size != 0;
    if (ragged && !kernel.signature.guards_ragged_edges && !ragged_groups_) [[unlikely]] {
      refuse(
          "The {} threads in {} do not divide into groups of {}, kernel \"{}\" does not say that "
          "it "
          "guards ragged edges, and this device has no ragged groups.",
          extent, axis.name, size, kernel.name);
      return false;
    }
    const std::uint64_t count =
        grid.kind == GridKind::kGroups || size == 1 ? extent : ceil_div(extent, size);
    const std::uint64_t thread_count = grid.kind == GridKind::kGroups ? extent * size : extent;
    if (count > limits_->max_group_count.*axis.extent) [[unlikely]] {
      refuse("Kernel \"{}\" is given {} groups in {}; this device takes at most {}.", kernel.name,
             count, axis.name, limits_->max_group_count.*axis.extent);
      return false;
    }
    if (thread_count > UINT32_MAX) [[unlikely]] {
      refuse("Kernel \"{}\" is given {} threads in {}; a kernel counts at most {}.", kernel.name,
             thread_count, axis.name, UINT32_MAX);
      return false;
    }
    command.group_count.*axis.extent = static_cast<std::uint32_t>(count);
    command.thread_count.*axis.extent = static_cast<std::uint32_t>(thread_count);
  }
  return true;
}

void EncoderState::add_explicit_ranges(std::span<const BufferView> views, Access access,
                                       std::uint16_t& count) {
  for (const BufferView& view : views) {
    if (!check_usable(view.buffer().state(), access, "explicit range")) return;
    current_->list->add_explicit_range(*view.buffer().state(), view.offset_bytes(),
                                       view.size_bytes(), access);
    ++count;
  }
}

/// Precedence: ranges in the dispatch, then pending ones, then the signature; for reads and writes
/// apart.
void EncoderState::set_footprint(const DispatchOptions& options, ir::Command& command) {
  if (replaces_reads_) [[unlikely]] {
    command.explicit_reads = true;
    add_explicit_ranges(options.reads ? *options.reads : pending_reads_, Access::kRead,
                        command.read_count);
  }
  if (replaces_writes_) [[unlikely]] {
    command.explicit_writes = true;
    add_explicit_ranges(options.writes ? *options.writes : pending_writes_, Access::kWrite,
                        command.write_count);
  }
  if (command.explicit_reads && command.explicit_writes) command.unannotated = false;
  if ((command.explicit_reads || command.explicit_writes) && has_view_slot_) [[unlikely]] {
    refuse(
        "A dispatch has a slot for a view and explicit ranges; ranges of a slot follow its view, "
        "so one of the two has to go.");
  }
}

bool EncoderState::build_dispatch(ir::CommandKind kind, ir::Kernel* kernel,
                                  std::span<const KernelArg> args, Grid grid,
                                  const DispatchOptions& options, ir::Command& command) {
  start_command(command, kind, options.label);
  has_view_slot_ = false;
  building_range_count_ = 0;
  replaces_reads_ = options.reads || !pending_reads_.empty();
  replaces_writes_ = options.writes || !pending_writes_.empty();
  if (options.op)
    command.op = *options.op;
  else if (pending_op_)
    command.op = *pending_op_;
  pending_op_.reset();
  if (kernel == nullptr) [[unlikely]] {
    refuse("The dispatch has no kernel.");
    return false;
  }
  if (kernel->compiled_by != &core_->hal()) [[unlikely]] {
    refuse("Kernel \"{}\" belongs to another device than this encoder.", kernel->name);
    return false;
  }
  if (kernel->argument_count > limits_->max_arguments) [[unlikely]] {
    refuse("Kernel \"{}\" takes {} arguments; this device binds at most {}.", kernel->name,
           kernel->argument_count, limits_->max_arguments);
    return false;
  }
  command.kernel = kernel;
  return add_arguments(*kernel, args, command) &&
         set_grid(*kernel, grid, options.group_size, command) &&
         add_shared_sizes(*kernel, options.shared_memory, command) &&
         (options.grid_slot.empty() || add_grid_slot(options.grid_slot, command));
}

void EncoderState::finish_dispatch(ir::Command& command) {
  if (command.group_count.empty()) [[unlikely]] {  // nothing runs, so nothing is touched
    command.explicit_reads = command.explicit_writes = true;
    command.read_count = command.write_count = 0;
    command.unannotated = false;
  }
  pending_reads_.clear();
  pending_writes_.clear();
  if (error_) [[unlikely]]
    return current_->list->drop_unowned();
  if (command.explicit_reads || command.explicit_writes) [[unlikely]]
    return append(command);
  append_tracked(command);
}

void EncoderState::dispatch(ir::Kernel* kernel, std::span<const KernelArg> args, Grid grid,
                            const DispatchOptions& options) {
  if (!ready()) [[unlikely]]
    return;
  ir::Command command;
  if (!build_dispatch(ir::CommandKind::kDispatch, kernel, args, grid, options, command))
      [[unlikely]]
    return;
  set_footprint(options, command);
  finish_dispatch(command);
}

void EncoderState::dispatch_indirect(ir::Kernel* kernel, std::span<const KernelArg> args,
                                     const BufferView& group_counts, Extent3 bound,
                                     const DispatchOptions& options) {
  if (!ready()) return;
  ir::Command command;
  if (!build_dispatch(ir::CommandKind::kDispatchIndirect, kernel, args, {GridKind::kGroups, bound},
                      options, command)) {
    return;
  }
  constexpr std::uint64_t kCountsBytes = 3 * sizeof(std::uint32_t);
  if (group_counts.size_bytes() < kCountsBytes ||
      group_counts.offset_bytes() % sizeof(std::uint32_t) != 0) {
    return refuse(
        "An indirect dispatch reads its group counts from {} bytes at offset {}; it needs {} bytes "
        "at a "
        "multiple of 4.",
        group_counts.size_bytes(), group_counts.offset_bytes(), kCountsBytes);
  }
  if (!check_usable(group_counts.buffer().state(), Access::kRead, "view of group counts")) return;
  const BufferState& counts = *group_counts.buffer().state();
  current_->list->add_view(*group_counts.buffer().state(), group_counts.offset_bytes(),
                           kCountsBytes, Access::kRead);
  building_ranges_[building_range_count_++] =
      counts.range(group_counts.offset_bytes(), kCountsBytes, Access::kRead);
  ++command.argument_count;
  set_footprint(options, command);
  // Explicit reads speak of the kernel; the device reads the counts whatever they say.
  if (command.explicit_reads) {
    current_->list->add_explicit_range(*group_counts.buffer().state(), group_counts.offset_bytes(),
                                       kCountsBytes, Access::kRead);
    ++command.write_count;  // stands behind the explicit writes; each range carries its own access
  }
  finish_dispatch(command);
}

}  // namespace segue::runtime
