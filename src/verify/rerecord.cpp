// SPDX-License-Identifier: Apache-2.0
#include "verify/rerecord.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "base/fail.hpp"

namespace segue::verify {
namespace {

/// The sizes that a dispatch has to give; fixed ones come with the kernel.
std::vector<SharedMemorySize> shared_sizes(const GraphNode& node) {
  std::vector<SharedMemorySize> sizes;
  const std::vector<Parameter>& parameters = node.kernel.signature().parameters;
  const std::size_t first = parameters.size() - node.shared_memory.size();
  for (std::size_t i = 0; i < node.shared_memory.size(); ++i) {
    if (parameters[first + i].sizing == SharedSizing::kLaunch)
      sizes.push_back({static_cast<std::uint32_t>(first + i), node.shared_memory[i]});
  }
  return sizes;
}

void rerecord_dispatch(CommandEncoder& encoder, const GraphNode& node,
                       std::span<const KernelArg> args, const BufferView& last_view) {
  const std::vector<SharedMemorySize> sizes = shared_sizes(node);
  DispatchOptions options;
  options.shared_memory = sizes;
  options.group_size = node.group_size;
  options.op = node.op;
  options.label = node.label;
  if (node.kind == NodeKind::kDispatch)
    return encoder.dispatch(node.kernel, args, node.grid, options);
  encoder.dispatch_indirect(node.kernel, args.first(args.size() - 1), last_view, node.grid.extent,
                            options);
}

}  // namespace

std::string obstacle(const GraphNode& node) {
  if (node.kind == NodeKind::kNative)
    return "A native callback names its views in code, so they cannot be moved.";
  for (const BufferView& view : node.explicit_views) {
    const MemoryId memory = view.range(Access::kRead).memory;
    const bool named = std::ranges::any_of(node.arguments, [memory](const NodeArgument& argument) {
      return argument.view && argument.view.range(Access::kRead).memory == memory;
    });
    if (!named && view.size_bytes() != 0) {
      return fmt::format(
          "It declares buffer \"{}\", which no argument names, so it cannot be moved.",
          view.buffer().label());
    }
  }
  return {};
}

Result<> rerecord(CommandEncoder& encoder, const GraphNode& node, const MoveView& move) {
  std::vector<BufferView> views(node.arguments.size());  // what `args` borrow from
  std::vector<KernelArg> args;
  for (std::size_t i = 0; i < node.arguments.size(); ++i) {
    const NodeArgument& argument = node.arguments[i];
    if (argument.view) {
      SEGUE_TRY_ASSIGN(views[i], move(argument.view));
      args.emplace_back(views[i]);
    } else {
      args.push_back(KernelArg::bytes(std::span<const std::byte>(argument.bytes)));
    }
  }
  switch (node.kind) {
    case NodeKind::kDispatch:
    case NodeKind::kDispatchIndirect:
      rerecord_dispatch(encoder, node, args, views.empty() ? BufferView() : views.back());
      break;
    case NodeKind::kFill: encoder.fill(args[0], node.fill_value); break;
    case NodeKind::kCopy: encoder.copy(args[0], args[1]); break;
    case NodeKind::kUpload: encoder.upload(args[0], args[1]); break;
    case NodeKind::kNative:
    case NodeKind::kBarrier: break;
  }
  return {};
}

}  // namespace segue::verify
