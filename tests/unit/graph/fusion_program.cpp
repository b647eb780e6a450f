// SPDX-License-Identifier: Apache-2.0
#include "unit/graph/fusion_program.hpp"

#include <array>
#include <bit>
#include <utility>

namespace segue::test {

std::uint32_t FusionProgram::add_buffer(std::string_view label, bool transient, std::uint64_t bytes,
                                        std::uint64_t memory) {
  base::Ref<ir::Storage> storage(new ir::Storage);
  storage->index = static_cast<std::uint32_t>(storages_.size());
  storage->memory = MemoryId{memory != 0 ? memory : 1000 + storages_.size()};
  storage->size_bytes = bytes;
  storage->transient = transient;
  storage->label = label;
  storages_.push_back(std::move(storage));
  return static_cast<std::uint32_t>(storages_.size() - 1);
}

Kernel FusionProgram::add_kernel(std::string_view name, std::string_view parameters) {
  base::Ref<ir::Kernel> kernel(new ir::Kernel);
  kernel->name = name;
  kernel->index = static_cast<std::uint32_t>(kernels_.size());
  kernel->compiled_by = this;
  for (const char letter : parameters) {
    Parameter parameter;
    parameter.name = std::string("p") + std::to_string(kernel->signature.parameters.size());
    parameter.kind =
        letter == 'b' || letter == 'p' ? ParameterKind::kBytes : ParameterKind::kBuffer;
    parameter.size_bytes = letter == 'b' ? 4 : 0;
    parameter.access = letter == 'r'   ? Access::kRead
                       : letter == 'w' ? Access::kWrite
                                       : Access::kReadWrite;
    parameter.access_known = letter != '?';
    kernel->signature.parameters.push_back(parameter);
  }
  kernel->argument_count = static_cast<std::uint32_t>(kernel->signature.parameters.size());
  kernels_.emplace_back(std::move(kernel));
  return kernels_.back();
}

std::uint32_t FusionProgram::add_slot(std::string_view name, ir::SlotKind kind,
                                      std::uint32_t value) {
  ir::Slot slot;
  slot.kind = kind;
  slot.size = 4;
  if (kind == ir::SlotKind::kBytes) {
    const ir::Command holder = start(ir::CommandKind::kDispatch);
    list_.add_bytes(std::as_bytes(std::span(&value, 1)));
    ir::Command one = holder;
    one.argument_count = 1;
    slot.bytes = list_.arguments(one).front().offset;
    list_.drop_unowned();
  }
  return list_.add_slot(name, slot);
}

ir::Command FusionProgram::start(ir::CommandKind kind) const {
  ir::Command command;
  command.kind = kind;
  command.first_argument = list_.argument_total();
  command.first_range = list_.range_total();
  command.first_shared = list_.shared_total();
  command.thread_count = command.group_count = {1, 1, 1};
  return command;
}

std::uint32_t FusionProgram::dispatch(OpKind op, const Kernel& kernel, const std::vector<Arg>& args,
                                      const Options& options) {
  ir::Command command =
      start(options.indirect ? ir::CommandKind::kDispatchIndirect : ir::CommandKind::kDispatch);
  command.op = op;
  command.kernel = kernel.impl();
  command.unannotated = options.unannotated;
  command.grid_kind = options.grid.kind;
  command.thread_count = command.group_count = options.grid.extent;
  command.argument_count = static_cast<std::uint8_t>(args.size());
  for (std::size_t i = 0; i < args.size(); ++i) {
    const Parameter& parameter = kernel.signature().parameters[i];
    if (const View* view = std::get_if<View>(&args[i])) {
      list_.add_view(*storages_[view->buffer], view->begin, view->end - view->begin,
                     parameter.access, parameter.access_known);
    } else if (const Bytes* bytes = std::get_if<Bytes>(&args[i])) {
      list_.add_bytes(*bytes);
    } else {
      list_.add_bytes(std::as_bytes(std::span(&std::get<std::uint32_t>(args[i]), 1)));
    }
  }
  if (options.reads) {
    command.explicit_reads = true;
    command.read_count = static_cast<std::uint16_t>(options.reads->size());
    for (const View& view : *options.reads) {
      list_.add_explicit_range(*storages_[view.buffer], view.begin, view.end - view.begin,
                               Access::kRead);
    }
  }
  for (const SlotUse& use : options.slots) list_.add_slot_use(use.slot, use.argument, use.offset);
  if (!options.label.empty()) command.label = list_.add_name(options.label);
  if (!options.scope.empty()) command.scope = list_.add_name(options.scope);
  list_.append(command);
  return static_cast<std::uint32_t>(list_.size() - 1);
}

void FusionProgram::copy(View from, View to) {
  ir::Command command = start(ir::CommandKind::kCopy);
  command.argument_count = 2;
  list_.add_view(*storages_[from.buffer], from.begin, from.end - from.begin, Access::kRead);
  list_.add_view(*storages_[to.buffer], to.begin, to.end - to.begin, Access::kWrite);
  list_.append(command);
}

void FusionProgram::barrier() { list_.append(start(ir::CommandKind::kBarrier)); }

void FusionProgram::clear() {
  list_.clear();
  storages_.clear();
}

FusionTest::FusionTest()
    : silu_kernel(program.add_kernel("silu", "rw")),
      mul_kernel(program.add_kernel("mul", "rrw")),
      add_kernel(program.add_kernel("add", "rrw")),
      norm_kernel(program.add_kernel("norm", "rw")),
      product_kernel(program.add_kernel("product", "rrw")),
      silu_mul_kernel(program.add_kernel("silu_then_mul", "rrw")),
      add_norm_kernel(program.add_kernel("add_norm", "rrww")),
      product2_kernel(program.add_kernel("product2", "rrrww")),
      x{program.add_buffer("x", false)},
      y{program.add_buffer("y", false)},
      z{program.add_buffer("z", false)},
      weights{program.add_buffer("weights", false)},
      out{program.add_buffer("out", false)},
      spare{program.add_buffer("spare", false)},
      temp{program.add_buffer("temp", true)},
      other_temp{program.add_buffer("other temp", true)} {
  using Nodes = std::span<const FusionNode>;
  const auto take = &FusedArgument::take;
  eliminates.name = "silu then mul";
  eliminates.steps = {{OpKind::kSilu}, {OpKind::kElemMul}};
  eliminates.links = {{FusionFlow::kEliminated, {0, 1}, {1, 0}}};
  eliminates.fuse = [take, kernel = silu_mul_kernel](Nodes nodes) {
    return FusedDispatch{
        kernel, OpKind::kSiluMul, nodes[1].grid(), {take(0, 0), take(1, 1), take(1, 2)}};
  };
  keeps.name = "add and norm";
  keeps.steps = {{OpKind::kElemAdd}, {OpKind::kRmsNorm}};
  keeps.links = {{FusionFlow::kKept, {0, 2}, {1, 0}}};
  keeps.fuse = [take, kernel = add_norm_kernel](Nodes) {
    return FusedDispatch{
        kernel, OpKind::kOther, groups(1), {take(0, 0), take(0, 1), take(0, 2), take(1, 1)}};
  };
  shares.name = "two products";
  shares.steps = {{OpKind::kMatVec}, {OpKind::kMatVec}};
  shares.links = {{FusionFlow::kShared, {0, 1}, {1, 1}}};
  shares.fuse = [take, kernel = product2_kernel](Nodes) {
    return FusedDispatch{kernel,
                         OpKind::kOther,
                         groups(1),
                         {take(0, 0), take(1, 0), take(0, 1), take(0, 2), take(1, 2)}};
  };
}

graph::FusionResult FusionTest::fuse(const std::vector<FusionPattern>& patterns) {
  auto result = graph::fuse(program.list(), patterns);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *std::move(result) : graph::FusionResult{ir::CommandList(), {}};
}

std::string FusionTest::refusal(const FusionPattern& pattern) {
  const graph::FusionResult result = fuse({pattern});
  if (result.report.fired.empty() || result.report.fired[0].count != 0) return "The pattern fires.";
  if (result.report.refusals.size() != 1)
    return std::to_string(result.report.refusals.size()) + " refusals.";
  EXPECT_EQ(kernels(result.list), kernels(program.list()));
  return result.report.refusals[0].reason;
}

std::string FusionTest::error(const FusionPattern& pattern) {
  const auto result = graph::fuse(program.list(), std::span(&pattern, 1));
  if (result) return "No error.";
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  return result.error().message;
}

std::vector<std::string> FusionTest::kernels(const ir::CommandList& list) {
  std::vector<std::string> names;
  for (const ir::Command& command : list.commands()) {
    names.push_back(command.kind == ir::CommandKind::kBarrier ? "|"
                    : command.kernel != nullptr               ? command.kernel->name
                                                : std::string(to_string(command.kind)));
  }
  return names;
}

}  // namespace segue::test
