// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "backends/vulkan/vulkan_kernel.hpp"
#include "ir/plan.hpp"

namespace segue::vulkan {

/// Descriptor sets of the dispatches of a plan whose views are slots, which may be updated after
/// they were bound: a new view reaches recorded commands without recording them again.
class SlotSets {
 public:
  explicit SlotSets(ContextPointer context) : context_(std::move(context)) {}
  SlotSets(const SlotSets&) = delete;
  SlotSets& operator=(const SlotSets&) = delete;
  ~SlotSets();

  /// A set for each dispatch that needs one, if the device updates sets after binding; else none.
  Result<> allocate(const ir::CommandList& list);
  /// By command; empty if there are none at all.
  [[nodiscard]] std::span<const VkDescriptorSet> sets() const { return sets_; }
  /// Writes the view that an argument has now. False: this argument is not in a set, or cannot be
  /// bound where it is.
  bool update(const ir::CommandList& list, const ir::SlotUse& use);

 private:
  ContextPointer context_;
  VkDescriptorPool pool_ = VK_NULL_HANDLE;
  std::vector<VkDescriptorSet> sets_;
};

}  // namespace segue::vulkan
