// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "segue/error.hpp"

namespace segue::runtime {

/// Whether a slot fills argument `argument` of a command with a view.
[[nodiscard]] bool is_view_slot(const ir::CommandList& list, std::uint32_t command,
                                std::uint32_t argument);

/// Knows which bytes a plan took for separate, and says whether they still are when slots name
/// other views: commands that touch the same bytes, one of them writing, must stand in different
/// groups, in recorded order.
class SlotGuard {
 public:
  SlotGuard() = default;
  /// @param original  By position in the plan's list: position in the recorded list.
  SlotGuard(const ir::Plan& plan, std::vector<std::uint32_t> original);

  /// Checks all views of slots together.
  ///
  /// @param views  By slot; of slots that are no views, nothing is read.
  /// @error kInvalidArgument  Names both ranges.
  [[nodiscard]] Result<> check(std::span<const ir::Argument> views) const;

 private:
  struct Touch {
    AccessRange range;
    const ir::Storage* storage = nullptr;
    std::uint32_t command = 0;
  };
  struct SlotTouch {
    std::uint32_t slot = 0;
    std::uint32_t command = 0;
    Access access = Access::kRead;
  };
  [[nodiscard]] bool ordered(std::uint32_t a, std::uint32_t b) const;
  [[nodiscard]] Result<> check_pair(const SlotTouch& slot, const ir::Argument& view,
                                    const Touch& other) const;

  const ir::CommandList* list_ = nullptr;
  std::vector<std::uint32_t> original_;
  std::vector<std::uint32_t> group_;
  std::vector<Touch> fixed_;  // by memory
  std::vector<SlotTouch> slots_;
};

}  // namespace segue::runtime
