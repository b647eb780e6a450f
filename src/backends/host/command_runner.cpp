// SPDX-License-Identifier: Apache-2.0
#include "backends/host/command_runner.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "backends/host/kernel_program.hpp"

namespace segue::host {
namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t{64} << 10;  // of fills and copies

std::byte* address(const ir::Argument& view) { return view.storage->host + view.offset; }

/// The counts that an indirect dispatch finds in memory, at most those of its bound.
Extent3 read_group_count(const ir::CommandList& list, const ir::Command& command) {
  std::array<std::uint32_t, 3> counts{};
  std::memcpy(counts.data(), address(list.arguments(command).back()), sizeof(counts));
  return {std::min(counts[0], command.group_count.x), std::min(counts[1], command.group_count.y),
          std::min(counts[2], command.group_count.z)};
}

struct Part {
  std::uint64_t offset;
  std::uint64_t size;
};

/// The bytes of blocks `[begin, end)` of `size` bytes.
Part block_range(std::uint64_t size, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t blocks = (size + kBlockBytes - 1) / kBlockBytes;
  const std::uint64_t first = std::min(begin, blocks) * kBlockBytes;
  const std::uint64_t last = end >= blocks ? size : end * kBlockBytes;
  return {first, last > first ? last - first : 0};
}

std::span<const KernelArgument> bind_arguments(const ir::CommandList& list,
                                               std::span<const ir::Argument> arguments,
                                               Scratch& scratch) {
  KernelArgument* bound = scratch.arguments;
  for (const ir::Argument& argument : arguments) {
    // Inline bytes are the list's own and only read; the type is shared with views.
    bound->data =
        argument.is_view() ? address(argument) : const_cast<std::byte*>(list.bytes(argument));
    bound->size_bytes = argument.size;
    ++bound;
  }
  return {scratch.arguments, arguments.size()};
}

std::span<const KernelArgument> bind_shared(std::span<const std::uint32_t> sizes,
                                            Scratch& scratch) {
  const auto round_up = [](std::size_t size) {
    return (size + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
  };
  std::size_t total = 0;
  for (const std::uint32_t size : sizes) total += round_up(size);
  std::byte* memory = scratch.shared_memory(total);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    scratch.shared[i] = {memory, sizes[i]};
    memory += round_up(sizes[i]);
  }
  return {scratch.shared, sizes.size()};
}

void call_kernel(const ir::CommandList& list, const ir::Command& command,
                 std::span<const ir::Argument> arguments, Extent3 group_count, Extent3 thread_count,
                 std::uint64_t begin, std::uint64_t end, Scratch& scratch) {
  end = std::min(end, group_count.count());
  if (begin >= end) return;
  const auto& kernel = static_cast<const CompiledKernel&>(*command.kernel);
  const KernelContext context{
      .arguments = bind_arguments(list, arguments, scratch),
      .shared = command.shared_count == 0 ? std::span<const KernelArgument>()
                                          : bind_shared(list.shared_sizes(command), scratch),
      .constants = kernel.constants,
      .thread_count = thread_count,
      .group_size = command.group_size,
      .group_count = group_count,
      .group_begin = begin,
      .group_end = end,
  };
  kernel.function(context);
}

void dispatch_indirect(const ir::CommandList& list, const ir::Command& command, std::uint64_t begin,
                       std::uint64_t end, Scratch& scratch) {
  const std::span<const ir::Argument> arguments = list.arguments(command);
  const Extent3 groups = read_group_count(list, command);
  const Extent3 size = command.group_size;
  const Extent3 threads{groups.x * size.x, groups.y * size.y, groups.z * size.z};
  call_kernel(list, command, arguments.first(arguments.size() - 1), groups, threads, begin, end,
              scratch);
}

void fill(const ir::Argument& destination, std::uint8_t value, std::uint64_t begin,
          std::uint64_t end) {
  const Part part = block_range(destination.size, begin, end);
  if (part.size != 0) std::memset(address(destination) + part.offset, value, part.size);
}

void copy(const std::byte* source, const ir::Argument& destination, std::uint64_t begin,
          std::uint64_t end) {
  const Part part = block_range(destination.size, begin, end);
  if (part.size != 0)
    std::memcpy(address(destination) + part.offset, source + part.offset, part.size);
}

}  // namespace

std::uint64_t part_count(const ir::CommandList& list, const ir::Command& command) {
  switch (command.kind) {
    case ir::CommandKind::kDispatch: return command.group_count.count();
    case ir::CommandKind::kDispatchIndirect: return read_group_count(list, command).count();
    case ir::CommandKind::kFill:
    case ir::CommandKind::kUpload:
      return (list.arguments(command)[0].size + kBlockBytes - 1) / kBlockBytes;
    case ir::CommandKind::kCopy:
      return (list.arguments(command)[1].size + kBlockBytes - 1) / kBlockBytes;
    case ir::CommandKind::kNative: return 1;
    case ir::CommandKind::kBarrier: return 0;
  }
  return 0;
}

std::uint64_t work_bytes(const ir::CommandList& list, const ir::Command& command) {
  std::uint64_t bytes = 0;
  for (const ir::Argument& argument : list.arguments(command)) bytes += argument.size;
  return bytes;
}

void run_parts(const ir::CommandList& list, const ir::Command& command, std::uint64_t begin,
               std::uint64_t end, Scratch& scratch) {
  const std::span<const ir::Argument> arguments = list.arguments(command);
  switch (command.kind) {
    case ir::CommandKind::kDispatch:
      call_kernel(list, command, arguments, command.group_count, command.thread_count, begin, end,
                  scratch);
      return;
    case ir::CommandKind::kDispatchIndirect:
      dispatch_indirect(list, command, begin, end, scratch);
      return;
    case ir::CommandKind::kFill: fill(arguments[0], command.fill_byte, begin, end); return;
    case ir::CommandKind::kCopy: copy(address(arguments[0]), arguments[1], begin, end); return;
    case ir::CommandKind::kUpload: copy(list.bytes(arguments[1]), arguments[0], begin, end); return;
    case ir::CommandKind::kNative: {
      const ir::NativeCallback& callback = list.native_callback(command);
      if (begin == 0 && callback) callback(ir::NativeContext{nullptr});
      return;
    }
    case ir::CommandKind::kBarrier: return;  // Plans leave them out.
  }
}

}  // namespace segue::host
