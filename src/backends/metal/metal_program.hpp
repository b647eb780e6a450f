// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/metal/indirect_commands.hpp"
#include "backends/metal/plan_encoder.hpp"
#include "hal/hal.hpp"

namespace segue::metal {

/// One parameter set of a program: its commands as steps, with all inline bytes in a parameter
/// block, and, where the device has them, an indirect command buffer that remembers the steps. A
/// replay then tells the device once for each barrier group what to run; without, it tells it each
/// step, with nothing left to look up.
///
/// A new value of inline bytes is a write to the block. A new grid or view makes the steps of the
/// commands that take it anew, and with them their indirect commands.
class ProgramInstance {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ProgramInstance>> create(
      const ContextPointer& context, const InternalKernels& internal,
      const hal::ProgramInstance& instance);

  Result<> update(std::span<const ir::SlotUse> uses);
  /// Encodes what a submission runs.
  ///
  /// @param one_by_one  Each command by itself, so that the pass can be timed.
  Result<> encode(PassWriter& pass, std::span<const hal::SlotLoad> loads, bool one_by_one);

 private:
  /// A command of the list.
  struct Item {
    std::vector<Step> steps;
    std::vector<Step> clamp;  ///< None, or what keeps its group counts within their bound.
    Placement clamped;
    std::int64_t first_indirect = -1;  ///< Of its steps in the indirect command buffer; -1: none.
  };
  /// A barrier group.
  struct Group {
    NSRange indirect = NSMakeRange(0, 0);
    std::vector<std::uint32_t> direct;   ///< Commands that the encoder is told.
    std::vector<std::uint32_t> counted;  ///< Indirect dispatches, whose counts are clamped first.
  };

  ProgramInstance(const ContextPointer& context, const InternalKernels& internal,
                  const hal::ProgramInstance& instance)
      : context_(context),
        list_(*instance.list),
        plan_(*instance.plan),
        arena_(context),
        load_arena_(context),
        builder_(context, internal) {}
  Result<> build_steps();
  Result<> build_item(std::uint32_t index);
  Result<> make_indirect();
  void place_in_indirect(Group& group, std::uint32_t index, std::uint32_t& next);
  void set_indirect(std::uint32_t index);
  /// Where the value of a slot of bytes is in the parameter block; nil: nothing runs that reads it.
  [[nodiscard]] BufferPlace place_of_bytes(const ir::SlotUse& use) const;
  void write_bytes(const ir::SlotUse& use);
  void leave_indirect(std::uint32_t index);
  Result<> encode_group(std::size_t g, PassWriter& pass, bool one_by_one);
  Result<> encode_item(std::uint32_t index, PassWriter& pass);
  Result<> load_slots(std::span<const hal::SlotLoad> loads);
  Result<> prepare_indirect(PassWriter& pass);
  Result<> make_warm_up();
  [[nodiscard]] bool fits_indirect(const Item& item) const;
  void add_uses(const Item& item);
  void remove_uses(const Item& item);

  ContextPointer context_;
  ir::CommandList& list_;
  const ir::Plan& plan_;
  Arena arena_;
  Arena load_arena_;
  StepBuilder builder_;
  std::vector<Item> items_;    // by command of the list
  std::vector<Group> groups_;  // of the plan
  std::optional<IndirectCommands> indirect_;
  // What the indirect commands use, and how often.
  std::map<id<MTLResource>, std::uint32_t> uses_;
  std::vector<id<MTLResource>> resources_;  // the keys of uses_, unless it is empty
  Placement no_groups_;
  std::vector<Step> warm_up_;  // one for each pipeline, with a grid of zero
  // Slots that the device loads.
  std::vector<hal::SlotLoad> loads_;
  std::vector<Step> load_steps_;
};

class MetalProgram final : public hal::Program {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MetalProgram>> create(
      const ContextPointer& context, const InternalKernels& internal,
      std::span<const hal::ProgramInstance> instances);

  Result<> update(unsigned instance, std::span<const ir::SlotUse> uses) override;
  /// For the queue: encodes what `job` runs.
  Result<> encode(const hal::Job& job, PassWriter& pass, bool one_by_one);

 private:
  std::vector<std::unique_ptr<ProgramInstance>> instances_;
};

}  // namespace segue::metal
