// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/vulkan/arena.hpp"
#include "backends/vulkan/barrier.hpp"
#include "backends/vulkan/internal_kernels.hpp"
#include "backends/vulkan/plain_dispatch.hpp"
#include "backends/vulkan/vulkan_kernel.hpp"

namespace segue::vulkan {

inline constexpr std::uint32_t kMaxBindings = 64;

/// Where the parameters of a command are that replays may change; without data where there are
/// none.
struct CommandParameters {
  Placement grid;             ///< The exact thread count, three words.
  Placement indirect;         ///< The group counts of a dispatch whose grid is a slot, three words.
  bool copies_views = false;  ///< A view is copied to where it can be bound, and back.
};

/// The parameter block of a recording.
struct PlanParameters {
  std::vector<CommandParameters> commands;  ///< By command of the list.
  std::vector<Placement> arguments;         ///< By argument of the list; without data for views.
};

struct RecordOptions {
  bool keep_parameters =
      false;  ///< For a replay that will change them: parameters() tells where they are.
  bool time_barriers = false;
  VkQueryPool queries = VK_NULL_HANDLE;  ///< Gets timestamps: 0 at the start, 1 at the end.
  bool time_commands =
      false;  ///< Timestamps 2 + 2i and 3 + 2i around command i of the plan's order.
  /// By command: sets to bind in place of pushed descriptors, for views that change between
  /// replays.
  std::span<const VkDescriptorSet> sets;
};

/// What recording one plan amounted to.
struct RecordCounts {
  std::uint64_t barriers = 0;
  std::uint64_t barrier_ns = 0;
};

/// Translates a plan into the commands of one command buffer. Reused from recording to recording.
class CommandRecorder {
 public:
  CommandRecorder(ContextPointer context, const InternalKernels& internal);

  /// Records the whole of `commands`, from begin to end. Parameters go to `arena`.
  ///
  /// @error  The command buffer is to be reset.
  /// `scratch` is for views that cannot be bound where they are.
  [[nodiscard]] Result<RecordCounts> record(VkCommandBuffer commands, const ir::Plan& plan,
                                            Arena& arena, Arena& scratch,
                                            const RecordOptions& options);
  /// Records what fills slots of `list` from memory when a replay starts; its parameters are at
  /// `parameters`.
  [[nodiscard]] Result<> record_loads(VkCommandBuffer commands, const ir::CommandList& list,
                                      const PlanParameters& parameters,
                                      std::span<const hal::SlotLoad> loads, Arena& arena);
  /// Valid until the next record(), if RecordOptions::keep_parameters.
  [[nodiscard]] PlanParameters& parameters() { return parameters_; }

 private:
  /// A view that cannot be bound where it is, and its copy that can.
  struct CopiedView {
    const ir::Argument* view;
    Placement copy;
    bool written;
  };
  struct ClampedCounts {
    Placement groups;
    Placement threads;
  };
  Result<> begin(VkCommandBuffer commands, bool once);
  Result<> record_group(std::span<const std::uint32_t> group, StageSet stages);
  Result<> record_command(std::uint32_t index);
  Result<> dispatch(std::uint32_t index, const ir::Command& command);
  Result<> gather(const ir::Command& command, const CompiledKernel& kernel,
                  std::span<const ir::Argument> arguments);
  [[nodiscard]] StageSet stages(const ir::Command& command) const;
  [[nodiscard]] bool is_labelled(const ir::Command& command) const;
  [[nodiscard]] bool is_bindable(const ir::Argument& view) const;
  Result<Placement> copy_of(const ir::Command& command, const ir::Argument& view,
                            const Parameter& parameter);
  void copy_views_in();
  void copy_views_out();
  void bind_arguments(const CompiledKernel& kernel, const Pipeline& pipeline, VkDescriptorSet set,
                      std::uint32_t count);
  Result<Placement> place_extent(Extent3 extent);
  void bind(VkPipeline pipeline);
  Result<> clamp_counts(std::span<const std::uint32_t> group);
  Result<> load_slot(const ir::CommandList& list, const PlanParameters& parameters,
                     const hal::SlotLoad& load);
  std::uint32_t bind_words(std::uint32_t binding, const ir::Storage& storage, std::uint64_t offset,
                           std::uint64_t size);
  template <class Params>
  Result<> dispatch_internal(CompiledKernel& kernel, const Params& params, Extent3 groups);
  Result<> fill(const ir::Command& command);
  Result<> fill_by_copy(VkBuffer buffer, VkDeviceSize begin, VkDeviceSize end, std::uint8_t value);
  void copy(const ir::Command& command);
  Result<> upload(const ir::Command& command);
  void barrier(StageSet before, StageSet after, bool timed = false);
  void timestamp(VkPipelineStageFlags2 stage, std::uint32_t query);
  void begin_label(const ir::Command& command);
  void end_label();

  ContextPointer context_;
  const InternalKernels& internal_;
  // Of the recording under way.
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  const ir::CommandList* list_ = nullptr;
  Arena* arena_ = nullptr;
  Arena* scratch_ = nullptr;
  const RecordOptions* options_ = nullptr;
  VkPipeline bound_ = VK_NULL_HANDLE;
  RecordCounts counts_;
  PlainDispatcher plain_;
  StageSet barrier_before_ = StageSet::kNone, barrier_after_ = StageSet::kNone;  // of barrier_
  VkMemoryBarrier2 barrier_;
  std::vector<CopiedView> copied_;      // of the dispatch under way
  std::vector<ClampedCounts> clamped_;  // of the group under way
  std::size_t next_clamped_ = 0;
  std::uint32_t next_query_ = 0;
  PlanParameters parameters_;
  std::array<VkDescriptorBufferInfo, kMaxBindings> infos_;
  std::array<VkWriteDescriptorSet, kMaxBindings> writes_;
};

}  // namespace segue::vulkan
