// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/plan_encoder.hpp"

namespace segue::metal {

DebugGroup::DebugGroup(const MetalOptions& options, const ir::CommandList& list,
                       const ir::Command& command, PassWriter& pass) {
  const bool named = command.label != ir::NameId::kNone || command.scope != ir::NameId::kNone;
  if (!options.debug_groups || !named) [[likely]]
    return;
  pass_ = &pass;
  pass.push_group(list.label_path(command));
}

DebugGroup::~DebugGroup() {
  if (pass_ != nullptr) pass_->pop_group();
}

bool takes_counts(const ir::Command& command) {
  return command.kind == ir::CommandKind::kDispatchIndirect && !command.group_count.empty();
}

Result<> call_native(const ir::CommandList& list, const ir::Command& command, PassWriter& pass) {
  const ir::NativeCallback& callback = list.native_callback(command);
  if (!callback) return {};
  SEGUE_TRY_ASSIGN(const id<MTLComputeCommandEncoder> encoder, pass.encoder());
  callback(ir::NativeContext{encoder});
  pass.forget_bindings();
  return {};
}

Result<> PlanEncoder::encode(const ir::Plan& plan, Arena& arena, PassWriter& pass) {
  list_ = plan.list;
  pass_ = &pass;
  builder_.begin(*list_, arena, BytesMode::kInCommandBuffer);
  for (std::size_t g = 0; g < plan.group_count(); ++g) {
    if (g != 0) pass.barrier(true);
    SEGUE_TRY(encode_group(plan.group(g)));
  }
  return {};
}

Result<> PlanEncoder::encode_group(std::span<const std::uint32_t> group) {
  SEGUE_TRY(clamp_counts(group));
  std::size_t next_clamped = 0;
  for (const std::uint32_t index : group) {
    const ir::Command& command = list_->commands()[index];
    const Placement counts = takes_counts(command) ? clamped_[next_clamped++] : Placement{};
    pass_->begin_command(index);
    SEGUE_TRY(encode_command(index, counts));
    pass_->end_command();
  }
  return {};
}

Result<> PlanEncoder::encode_command(std::uint32_t index, const Placement& counts) {
  const ir::Command& command = list_->commands()[index];
  const DebugGroup group(context_->options, *list_, command, *pass_);
  if (command.kind == ir::CommandKind::kNative) return call_native(*list_, command, *pass_);
  return builder_.build(index, {}, counts,
                        [this](const Step& step) { return pass_->dispatch(step); });
}

Result<> PlanEncoder::clamp_counts(std::span<const std::uint32_t> group) {
  clamped_.clear();
  for (const std::uint32_t index : group) {
    if (!takes_counts(list_->commands()[index])) [[likely]]
      continue;
    Placement counts;
    SEGUE_TRY(builder_.clamp_step(index, nullptr, counts,
                                  [this](const Step& step) { return pass_->dispatch(step); }));
    clamped_.push_back(counts);
  }
  if (!clamped_.empty()) pass_->barrier(false);
  return {};
}

}  // namespace segue::metal
