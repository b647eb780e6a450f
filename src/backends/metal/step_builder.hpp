// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

#include "backends/metal/arena.hpp"
#include "backends/metal/internal_kernels.hpp"
#include "backends/metal/step.hpp"
#include "ir/command_list.hpp"

namespace segue::metal {

/// Where inline bytes of steps live.
enum class BytesMode : std::uint8_t {
  kInCommandBuffer,  ///< Small ones are copied by setBytes, others are in the parameter block.
  kInBlock,          ///< All in the parameter block, where a replay can change them.
};

/// Translates commands into steps. Fills, copies and uploads are dispatches of our own kernels, so
/// that they do not end the pass.
class StepBuilder {
 public:
  using Sink = std::function<Result<>(const Step&)>;

  StepBuilder(ContextPointer context, const InternalKernels& internal)
      : context_(std::move(context)), internal_(internal) {}

  /// Starts with a list, whose inline bytes go where `mode` says.
  void begin(const ir::CommandList& list, Arena& arena, BytesMode mode);

  /// Calls `sink` for each step of command `index`: one, but several for very large fills and
  /// copies, and none for native callbacks. A grid of zero gives a step that runs nothing.
  ///
  /// @param previous  Steps that the command had before a slot of it changed: their places in the
  ///                  parameter block are used again.
  /// @param clamped   Of an indirect dispatch: what clamp_step() placed.
  [[nodiscard]] Result<> build(std::uint32_t index, std::span<const Step> previous,
                               const Placement& clamped, const Sink& sink);

  /// Of an indirect dispatch: keeps its group counts within the bound, which the device does not do
  /// by itself. To run, with a barrier behind it, before the dispatch.
  ///
  /// @param previous  The step before a slot changed, or null.
  /// @param clamped   Where the counts go: placed if it is nowhere yet.
  [[nodiscard]] Result<> clamp_step(std::uint32_t index, const Step* previous, Placement& clamped,
                                    const Sink& sink);

  /// Fills slots of `list` from memory: one step for each buffer that has uses of the slot, whose
  /// places are in `targets`.
  [[nodiscard]] Result<> load_steps(const ir::Slot& slot, const BufferPlace& source,
                                    std::span<const BufferPlace> targets, const Sink& sink);
  /// For the host: `size` bytes from one buffer to another.
  [[nodiscard]] Result<> copy_steps(BufferPlace from, BufferPlace to, std::uint64_t size,
                                    const Sink& sink);
  [[nodiscard]] Result<> fill_steps(BufferPlace to, std::uint64_t size, std::uint8_t value,
                                    const Sink& sink);

 private:
  Result<> dispatch(const ir::Command& command, const Placement& clamped, const Sink& sink);
  Result<> gather(std::span<const ir::Argument> arguments);
  Result<> add_hidden(const ir::Command& command, const MetalKernel& kernel,
                      const Placement& clamped);
  Result<> add_threadgroups(const ir::Command& command, const MetalKernel& kernel);
  Result<> set_grid(const ir::Command& command, const MetalKernel& kernel,
                    const Placement& clamped);
  Result<> upload(const ir::Command& command, const Sink& sink);
  Result<> use_internal(InternalKernel which);
  Result<> bind_bytes(std::uint32_t index, const void* bytes, std::uint32_t size);
  Result<> bind_nothing(std::uint32_t index);
  template <class Params>
  Result<> bind_params(std::uint32_t index, const Params& params);
  void bind_place(std::uint32_t index, const BufferPlace& place);
  void set_line(std::uint64_t threads);
  void begin_step(const Step* old);
  void begin_step();

  ContextPointer context_;
  const InternalKernels& internal_;
  const ir::CommandList* list_ = nullptr;
  Arena* arena_ = nullptr;
  BytesMode mode_ = BytesMode::kInBlock;
  std::span<const Step> previous_;
  std::size_t next_previous_ = 0;
  const Step* old_ = nullptr;  ///< That of the step under way; null: it is new.
  /// The one under way. Inline bytes that are not in the block point to the list or into this step,
  /// so it is to be used before the next one begins.
  Step step_;
};

}  // namespace segue::metal
