// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "backends/metal/pass_writer.hpp"
#include "backends/metal/step_builder.hpp"
#include "ir/plan.hpp"

namespace segue::metal {

/// Encodes a plan that is executed once.
class PlanEncoder {
 public:
  PlanEncoder(const ContextPointer& context, const InternalKernels& internal)
      : context_(context), builder_(context, internal) {}

  /// Parameters that do not fit into the command buffer go to `arena`.
  [[nodiscard]] Result<> encode(const ir::Plan& plan, Arena& arena, PassWriter& pass);

 private:
  Result<> encode_group(std::span<const std::uint32_t> group);
  Result<> encode_command(std::uint32_t index, const Placement& counts);
  Result<> clamp_counts(std::span<const std::uint32_t> group);

  ContextPointer context_;
  StepBuilder builder_;
  const ir::CommandList* list_ = nullptr;
  PassWriter* pass_ = nullptr;
  std::vector<Placement> clamped_;  ///< Of the indirect dispatches of the group under way.
};

/// Names a command for captures and errors while it lives, if that is asked for.
class DebugGroup {
 public:
  DebugGroup(const MetalOptions& options, const ir::CommandList& list, const ir::Command& command,
             PassWriter& pass);
  DebugGroup(const DebugGroup&) = delete;
  DebugGroup& operator=(const DebugGroup&) = delete;
  ~DebugGroup();

 private:
  PassWriter* pass_ = nullptr;
};

/// Whether the command is an indirect dispatch that runs something.
[[nodiscard]] bool takes_counts(const ir::Command& command);

/// Calls a native command's callback with the encoder.
[[nodiscard]] Result<> call_native(const ir::CommandList& list, const ir::Command& command,
                                   PassWriter& pass);

}  // namespace segue::metal
