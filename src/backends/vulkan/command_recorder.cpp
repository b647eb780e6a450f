// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/command_recorder.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

constexpr std::uint64_t kWordBytes = 4;
constexpr std::uint64_t kExtentBytes = 3 * kWordBytes;

/// The hand-over to the driver alone, so that profilers see it by name.
[[gnu::noinline]] void issue_barrier(const Api& api, VkCommandBuffer commands,
                                     const VkDependencyInfo& dependency) {
  api.CmdPipelineBarrier2(commands, &dependency);
}

struct Place {
  VkBuffer buffer;
  VkDeviceSize offset;
};

Place place_of(const ir::Storage& storage, std::uint64_t offset) {
  const BufferRange& range = range_of(storage);
  return {range.buffer, range.offset + storage.native_offset + offset};
}

Place place_of(const ir::Argument& view) { return place_of(*view.storage, view.offset); }

void write_extent(void* target, Extent3 extent) {
  const std::uint32_t words[3] = {extent.x, extent.y, extent.z};
  std::memcpy(target, words, sizeof(words));
}

bool has_grid_slot(const ir::CommandList& list, std::uint32_t index) {
  return std::ranges::any_of(list.slot_uses(index), [&list](const ir::SlotUse& use) {
    return list.slots()[use.slot].kind == ir::SlotKind::kGrid;
  });
}

bool same_view(const ir::Argument& a, const ir::Argument& b) {
  return a.storage == b.storage && a.offset == b.offset && a.size == b.size;
}

/// The bytes of a view, as what conflicts with everything that touches them.
AccessRange written_range(const ir::Argument& view) {
  AccessRange range = view.range();
  range.access = Access::kWrite;
  return range;
}

}  // namespace

CommandRecorder::CommandRecorder(ContextPointer context, const InternalKernels& internal)
    : context_(std::move(context)),
      internal_(internal),
      plain_(*context_),
      barrier_(memory_barrier(barrier_before_, barrier_after_)) {
  for (VkWriteDescriptorSet& write : writes_) {
    write = VkWriteDescriptorSet{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
  }
}

Result<RecordCounts> CommandRecorder::record(VkCommandBuffer commands, const ir::Plan& plan,
                                             Arena& arena, Arena& scratch,
                                             const RecordOptions& options) {
  list_ = plan.list;
  arena_ = &arena;
  scratch_ = &scratch;
  options_ = &options;
  counts_ = {};
  next_query_ = 2;
  if (options.keep_parameters) {
    parameters_.commands.assign(list_->size(), {});
    parameters_.arguments.assign(list_->argument_total(), {});
  }
  SEGUE_TRY(begin(commands, !options.keep_parameters));
  plain_.begin(commands, *list_, arena);
  timestamp(VK_PIPELINE_STAGE_2_TOP_OF_PIPE_BIT, 0);

  StageSet used = StageSet::kNone;
  StageSet before = StageSet::kNone;
  for (std::size_t g = 0; g < plan.group_count(); ++g) {
    const std::span<const std::uint32_t> group = plan.group(g);
    StageSet after = StageSet::kNone;
    for (const std::uint32_t index : group) after |= stages(list_->commands()[index]);
    // The barrier before this recording knows nothing of what a callback may use.
    if (g == 0 && has(after, StageSet::kNative)) barrier(StageSet::kNative, StageSet::kNative);
    if (g != 0) {
      barrier(before, after, options.time_barriers);
      ++counts_.barriers;
    }
    SEGUE_TRY(record_group(group, after));
    before = after;
    used |= after;
  }
  // The boundary: whatever this queue runs next, and the host, find everything done and visible.
  if (used != StageSet::kNone) {
    barrier(used, StageSet::kDispatch | StageSet::kParameters | StageSet::kIndirect |
                      StageSet::kTransfer | StageSet::kHost);
  }
  timestamp(VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, 1);
  SEGUE_VK_TRY(*context_, EndCommandBuffer, commands_);
  return counts_;
}

Result<> CommandRecorder::begin(VkCommandBuffer commands, bool once) {
  commands_ = commands;
  bound_ = VK_NULL_HANDLE;
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  if (once) info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  return context_->check("vkBeginCommandBuffer",
                         context_->api.BeginCommandBuffer(commands_, &info));
}

Result<> CommandRecorder::record_group(std::span<const std::uint32_t> group, StageSet stages) {
  if (has(stages, StageSet::kIndirect)) SEGUE_TRY(clamp_counts(group));
  const bool plain = !options_->keep_parameters && !options_->time_commands;
  for (const std::uint32_t index : group) {
    const ir::Command& command = list_->commands()[index];
    if (plain && !is_labelled(command) && plain_.record(command, bound_)) [[likely]]
      continue;
    SEGUE_TRY(record_command(index));
  }
  return {};
}

/// Whether native tools are to see a label around the command.
bool CommandRecorder::is_labelled(const ir::Command& command) const {
  return (command.label != ir::NameId::kNone || command.scope != ir::NameId::kNone) &&
         context_->debug_names;
}

Result<> CommandRecorder::record_command(std::uint32_t index) {
  const ir::Command& command = list_->commands()[index];
  const bool labelled = is_labelled(command);
  if (labelled) [[unlikely]]
    begin_label(command);
  if (options_->time_commands) [[unlikely]]
    timestamp(VK_PIPELINE_STAGE_2_TOP_OF_PIPE_BIT, next_query_++);
  Result<> recorded;
  switch (command.kind) {
    case ir::CommandKind::kDispatch:
    case ir::CommandKind::kDispatchIndirect: recorded = dispatch(index, command); break;
    case ir::CommandKind::kFill: recorded = fill(command); break;
    case ir::CommandKind::kCopy: copy(command); break;
    case ir::CommandKind::kUpload: recorded = upload(command); break;
    case ir::CommandKind::kNative:
      if (const ir::NativeCallback& callback = list_->native_callback(command))
        callback(ir::NativeContext{commands_});
      bound_ = VK_NULL_HANDLE;  // it may have bound others
      break;
    case ir::CommandKind::kBarrier: break;  // plans leave them out
  }
  if (options_->time_commands) [[unlikely]]
    timestamp(VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, next_query_++);
  if (labelled) [[unlikely]]
    end_label();
  return recorded;
}

/// What a command is to a barrier. One whose views are copied is a transfer, too.
StageSet CommandRecorder::stages(const ir::Command& command) const {
  const StageSet own = stages_of(command.kind);
  if (!command.is_dispatch()) return own;
  for (const ir::Argument& argument : list_->arguments(command))
    if (argument.is_view() && !is_bindable(argument)) return own | StageSet::kTransfer;
  return own;
}

// Dispatches.

/// Allocations themselves begin where descriptors may.
bool CommandRecorder::is_bindable(const ir::Argument& view) const {
  const std::uint64_t mask = context_->traits.storage_alignment - 1;
  assert((range_of(*view.storage).offset & mask) == 0);
  return ((view.storage->native_offset + view.offset) & mask) == 0;
}

Result<> CommandRecorder::dispatch(std::uint32_t index, const ir::Command& command) {
  auto& kernel = static_cast<CompiledKernel&>(*command.kernel);
  const bool indirect = command.kind == ir::CommandKind::kDispatchIndirect;
  const bool slotted = options_->keep_parameters && !indirect && has_grid_slot(*list_, index);
  if (command.group_count.empty() && !slotted) return {};
  const VkDescriptorSet set = options_->sets.empty() ? VK_NULL_HANDLE : options_->sets[index];
  const BindingMode mode =
      set == VK_NULL_HANDLE ? BindingMode::kPush : BindingMode::kUpdateAfterBind;
  SEGUE_TRY_ASSIGN(const Pipeline* const pipeline,
                   kernel.pipeline(command.group_size, list_->shared_sizes(command), mode));
  std::span<const ir::Argument> arguments = list_->arguments(command);
  if (indirect) arguments = arguments.first(arguments.size() - 1);
  SEGUE_TRY(gather(command, kernel, arguments));
  if (!copied_.empty()) [[unlikely]] {
    copy_views_in();
    if (options_->keep_parameters) parameters_.commands[index].copies_views = true;
  }
  auto count = static_cast<std::uint32_t>(arguments.size());
  Placement counts;
  if (indirect) {
    const ClampedCounts& clamped = clamped_[next_clamped_++];
    counts = clamped.groups;
    if (kernel.wants_grid())
      infos_[count++] = {clamped.threads.buffer, clamped.threads.offset, kExtentBytes};
  } else {
    if (kernel.wants_grid()) {
      SEGUE_TRY_ASSIGN(const Placement grid, place_extent(command.thread_count));
      infos_[count++] = {grid.buffer, grid.offset, kExtentBytes};
      if (options_->keep_parameters) parameters_.commands[index].grid = grid;
    }
    if (slotted) {
      SEGUE_TRY_ASSIGN(counts, place_extent(command.group_count));
      parameters_.commands[index].indirect = counts;
    }
  }
  bind(pipeline->handle);
  bind_arguments(kernel, *pipeline, set, count);
  if (counts.data != nullptr || indirect)
    context_->api.CmdDispatchIndirect(commands_, counts.buffer, counts.offset);
  else
    context_->api.CmdDispatch(commands_, command.group_count.x, command.group_count.y,
                              command.group_count.z);
  if (!copied_.empty()) [[unlikely]]
    copy_views_out();
  return {};
}

/// Descriptors of the arguments in infos_; inline bytes go to the parameter block on the way.
Result<> CommandRecorder::gather(const ir::Command& command, const CompiledKernel& kernel,
                                 std::span<const ir::Argument> arguments) {
  const std::span<const Binding> bindings = kernel.bindings();
  copied_.clear();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const ir::Argument& argument = arguments[i];
    if (argument.is_view() && argument.size != 0) [[likely]] {
      const Place place = place_of(argument);
      infos_[i] = {place.buffer, place.offset, argument.size};
      if (!is_bindable(argument)) [[unlikely]] {
        SEGUE_TRY_ASSIGN(const Placement copy,
                         copy_of(command, argument, kernel.signature.parameters[i]));
        infos_[i] = {copy.buffer, copy.offset, argument.size};
      }
      continue;
    }
    // A view of no bytes needs a descriptor as well: it gets bytes that nobody reads.
    const std::uint64_t size = std::max<std::uint64_t>({argument.size, bindings[i].min_range, 1});
    SEGUE_TRY_ASSIGN(const Placement placed, arena_->place(size));
    if (!argument.is_view()) {
      std::memcpy(placed.data, list_->bytes(argument), argument.size);
      if (options_->keep_parameters) parameters_.arguments[command.first_argument + i] = placed;
    }
    infos_[i] = {placed.buffer, placed.offset, size};
  }
  return {};
}

/// The copy of a view, which one view that is several arguments shares.
Result<Placement> CommandRecorder::copy_of(const ir::Command& command, const ir::Argument& view,
                                           const Parameter& parameter) {
  const bool written = !parameter.access_known || writes(parameter.access);
  if (written && command.explicit_writes) {
    // The copy would bring back bytes that the ranges leave to others.
    return base::fail(
        ErrorCode::kUnsupported,
        "Argument \"{}\" of kernel \"{}\" begins at byte {} of its buffer, and its writes are "
        "given "
        "as ranges; with those it must begin at a multiple of {} (Limits::direct_view_alignment).",
        parameter.name, command.kernel->name, view.offset, context_->limits.direct_view_alignment);
  }
  for (const ir::Argument& other : list_->arguments(command)) {
    const bool one_is_written = written || (other.is_view() && writes(other.access));
    if (!other.is_view() || same_view(other, view) || !one_is_written) continue;
    if (!conflicts(other.range(), written_range(view))) continue;
    // The kernel would see two states of the bytes that they share.
    return base::fail(ErrorCode::kUnsupported,
                      "Argument \"{}\" of kernel \"{}\" begins at byte {} of its buffer and "
                      "overlaps another one; "
                      "then it must begin at a multiple of {} (Limits::direct_view_alignment).",
                      parameter.name, command.kernel->name, view.offset,
                      context_->limits.direct_view_alignment);
  }
  for (CopiedView& other : copied_) {
    if (!same_view(*other.view, view)) continue;
    other.written |= written;
    return other.copy;
  }
  SEGUE_TRY_ASSIGN(const Placement copy, scratch_->place(view.size));
  copied_.push_back({&view, copy, written});
  return copy;
}

/// Also views that are only written: the kernel may leave bytes of them as they are.
void CommandRecorder::copy_views_in() {
  for (const CopiedView& copied : copied_) {
    const Place place = place_of(*copied.view);
    const VkBufferCopy region{place.offset, copied.copy.offset, copied.view->size};
    context_->api.CmdCopyBuffer(commands_, place.buffer, copied.copy.buffer, 1, &region);
  }
  barrier(StageSet::kTransfer, StageSet::kDispatch);
}

void CommandRecorder::copy_views_out() {
  barrier(StageSet::kDispatch, StageSet::kTransfer);
  for (const CopiedView& copied : copied_) {
    if (!copied.written) continue;
    const Place place = place_of(*copied.view);
    const VkBufferCopy region{copied.copy.offset, place.offset, copied.view->size};
    context_->api.CmdCopyBuffer(commands_, copied.copy.buffer, place.buffer, 1, &region);
  }
}

/// Sets the first `count` bindings from infos_: neighbours of one type in one write.
void CommandRecorder::bind_arguments(const CompiledKernel& kernel, const Pipeline& pipeline,
                                     VkDescriptorSet set, std::uint32_t count) {
  const std::span<const Binding> bindings = kernel.bindings();
  const auto type_of = [&](std::uint32_t i) {
    return i < bindings.size() ? bindings[i].type : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
  };
  std::uint32_t runs = 0;
  for (std::uint32_t i = 0; i < count;) {
    VkWriteDescriptorSet& write = writes_[runs++];
    write.dstSet = set;
    write.dstBinding = i;
    write.descriptorType = type_of(i);
    write.pBufferInfo = &infos_[i];
    std::uint32_t end = i + 1;
    while (end < count && type_of(end) == write.descriptorType) ++end;
    write.descriptorCount = end - i;
    i = end;
  }
  const Api& api = context_->api;
  if (set == VK_NULL_HANDLE) [[likely]] {
    if (runs != 0) {
      api.CmdPushDescriptorSetKHR(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0,
                                  runs, writes_.data());
    }
    return;
  }
  api.UpdateDescriptorSets(context_->device, runs, writes_.data(), 0, nullptr);
  api.CmdBindDescriptorSets(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set,
                            0, nullptr);
}

Result<Placement> CommandRecorder::place_extent(Extent3 extent) {
  SEGUE_TRY_ASSIGN(const Placement placed, arena_->place(kExtentBytes));
  write_extent(placed.data, extent);
  return placed;
}

void CommandRecorder::bind(VkPipeline pipeline) {
  if (pipeline == bound_) return;
  context_->api.CmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  bound_ = pipeline;
}

/// The device does not keep group counts within a bound by itself, so a kernel does it first.
Result<> CommandRecorder::clamp_counts(std::span<const std::uint32_t> group) {
  clamped_.clear();
  next_clamped_ = 0;
  SEGUE_TRY_ASSIGN(CompiledKernel* const clamp, internal_.get(InternalKernel::kClampCounts));
  for (const std::uint32_t index : group) {
    const ir::Command& command = list_->commands()[index];
    const bool runs = !command.group_count.empty();  // else dispatch() takes no counts
    if (command.kind != ir::CommandKind::kDispatchIndirect || !runs) continue;
    const bool wants_threads = static_cast<const CompiledKernel&>(*command.kernel).wants_grid();
    ClampedCounts clamped;
    SEGUE_TRY_ASSIGN(clamped.groups, arena_->place(kExtentBytes));
    infos_[1] = {clamped.groups.buffer, clamped.groups.offset, kExtentBytes};
    ClampCountsParams params{};
    if (wants_threads) {
      // Both in one descriptor: the thread counts follow at the next aligned place.
      SEGUE_TRY_ASSIGN(clamped.threads, arena_->place(kExtentBytes));
      if (clamped.threads.buffer != clamped.groups.buffer ||
          clamped.threads.offset < clamped.groups.offset) {
        SEGUE_TRY_ASSIGN(clamped.groups, arena_->place(kExtentBytes));
        SEGUE_TRY_ASSIGN(clamped.threads, arena_->place(kExtentBytes));
      }
      const VkDeviceSize distance = clamped.threads.offset - clamped.groups.offset;
      params.thread_word = static_cast<std::uint32_t>(distance / kWordBytes);
      infos_[1] = {clamped.groups.buffer, clamped.groups.offset, distance + kExtentBytes};
    }
    write_extent(params.bound, command.group_count);
    write_extent(params.group_size, command.group_size);
    const ir::Argument& counts = list_->arguments(command).back();
    params.first_word = bind_words(0, *counts.storage, counts.offset, kExtentBytes);
    SEGUE_TRY(dispatch_internal(*clamp, params, {1, 1, 1}));
    clamped_.push_back(clamped);
  }
  barrier(StageSet::kDispatch, StageSet::kIndirect | StageSet::kParameters);
  return {};
}

/// Binds words at any multiple of 4 as descriptor `binding`, which begins where descriptors may;
/// returns how many words before the first one that is.
std::uint32_t CommandRecorder::bind_words(std::uint32_t binding, const ir::Storage& storage,
                                          std::uint64_t offset, std::uint64_t size) {
  const Place place = place_of(storage, offset);
  const VkDeviceSize before = place.offset % context_->traits.storage_alignment;
  infos_[binding] = {place.buffer, place.offset - before, before + size};
  return static_cast<std::uint32_t>(before / kWordBytes);
}

/// Dispatches one of the backend's kernels: infos_ has all bindings but the last, which is
/// `params`.
template <class Params>
Result<> CommandRecorder::dispatch_internal(CompiledKernel& kernel, const Params& params,
                                            Extent3 groups) {
  SEGUE_TRY_ASSIGN(const Pipeline* const pipeline,
                   kernel.pipeline(kernel.signature.group_size, {}, BindingMode::kPush));
  SEGUE_TRY_ASSIGN(const Placement placed, arena_->place(sizeof(params)));
  std::memcpy(placed.data, &params, sizeof(params));
  const auto last = static_cast<std::uint32_t>(kernel.bindings().size() - 1);
  infos_[last] = {placed.buffer, placed.offset, sizeof(params)};
  bind(pipeline->handle);
  bind_arguments(kernel, *pipeline, VK_NULL_HANDLE, last + 1);
  context_->api.CmdDispatch(commands_, groups.x, groups.y, groups.z);
  return {};
}

// Slots that the device fills by itself.

Result<> CommandRecorder::record_loads(VkCommandBuffer commands, const ir::CommandList& list,
                                       const PlanParameters& parameters,
                                       std::span<const hal::SlotLoad> loads, Arena& arena) {
  arena_ = &arena;
  SEGUE_TRY(begin(commands, false));
  for (const hal::SlotLoad& load : loads) SEGUE_TRY(load_slot(list, parameters, load));
  barrier(StageSet::kParameters, StageSet::kParameters | StageSet::kTransfer);
  return context_->check("vkEndCommandBuffer", context_->api.EndCommandBuffer(commands_));
}

/// One dispatch for each buffer that has uses of the slot; a parameter block is nearly always one.
Result<> CommandRecorder::load_slot(const ir::CommandList& list, const PlanParameters& parameters,
                                    const hal::SlotLoad& load) {
  SEGUE_TRY_ASSIGN(CompiledKernel* const kernel, internal_.get(InternalKernel::kLoadSlot));
  const ir::Slot& slot = list.slots()[load.slot];
  std::map<VkBuffer, std::vector<VkDeviceSize>> targets;
  for (const ir::SlotUse& use : list.slot_uses()) {
    if (use.slot != load.slot) continue;
    const ir::Command& command = list.commands()[use.command];
    const Placement& placed = parameters.arguments[command.first_argument + use.argument];
    if (placed.data != nullptr) targets[placed.buffer].push_back(placed.offset + use.offset);
  }
  for (auto& [buffer, offsets] : targets) {
    const auto [first, last] = std::ranges::minmax(offsets);
    const VkDeviceSize base = first - first % context_->traits.storage_alignment;
    SEGUE_TRY_ASSIGN(const Placement table, arena_->place(kWordBytes * offsets.size()));
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const auto word = static_cast<std::uint32_t>((offsets[i] - base) / kWordBytes);
      std::memcpy(table.data + kWordBytes * i, &word, kWordBytes);
    }
    LoadSlotParams params{};
    params.first_word = bind_words(0, *load.source, load.offset, slot.size);
    params.words = static_cast<std::uint32_t>(slot.size / kWordBytes);
    params.targets = static_cast<std::uint32_t>(offsets.size());
    params.max = slot.max;
    infos_[1] = {buffer, base, last - base + slot.size};
    infos_[2] = {table.buffer, table.offset, kWordBytes * offsets.size()};
    const std::uint32_t group = kernel->signature.group_size.x;
    const std::uint32_t words = params.words * params.targets;
    SEGUE_TRY(dispatch_internal(*kernel, params, {(words + group - 1) / group, 1, 1}));
  }
  return {};
}

// Transfers.

/// The driver fills whole words only; what is left of one at either end is copied.
Result<> CommandRecorder::fill(const ir::Command& command) {
  const ir::Argument& view = list_->arguments(command)[0];
  const Place place = place_of(view);
  const VkDeviceSize end = place.offset + view.size;
  const VkDeviceSize first_word = std::min((place.offset + 3) & ~VkDeviceSize{3}, end);
  const VkDeviceSize last_word = std::max(end & ~VkDeviceSize{3}, first_word);
  SEGUE_TRY(fill_by_copy(place.buffer, place.offset, first_word, command.fill_byte));
  if (last_word > first_word) {
    context_->api.CmdFillBuffer(commands_, place.buffer, first_word, last_word - first_word,
                                command.fill_byte * 0x01010101U);
  }
  return fill_by_copy(place.buffer, last_word, end, command.fill_byte);
}

Result<> CommandRecorder::fill_by_copy(VkBuffer buffer, VkDeviceSize begin, VkDeviceSize end,
                                       std::uint8_t value) {
  if (begin == end) return {};
  SEGUE_TRY_ASSIGN(const Placement bytes, arena_->place(end - begin));
  std::memset(bytes.data, value, end - begin);
  const VkBufferCopy region{bytes.offset, begin, end - begin};
  context_->api.CmdCopyBuffer(commands_, bytes.buffer, buffer, 1, &region);
  return {};
}

void CommandRecorder::copy(const ir::Command& command) {
  const std::span<const ir::Argument> views = list_->arguments(command);
  if (views[1].size == 0) return;
  const Place from = place_of(views[0]);
  const Place to = place_of(views[1]);
  const VkBufferCopy region{from.offset, to.offset, views[1].size};
  context_->api.CmdCopyBuffer(commands_, from.buffer, to.buffer, 1, &region);
}

Result<> CommandRecorder::upload(const ir::Command& command) {
  const std::span<const ir::Argument> arguments = list_->arguments(command);
  if (arguments[0].size == 0) return {};
  SEGUE_TRY_ASSIGN(const Placement bytes, arena_->place(arguments[1].size));
  std::memcpy(bytes.data, list_->bytes(arguments[1]), arguments[1].size);
  if (options_->keep_parameters) parameters_.arguments[command.first_argument + 1] = bytes;
  const Place to = place_of(arguments[0]);
  const VkBufferCopy region{bytes.offset, to.offset, arguments[0].size};
  context_->api.CmdCopyBuffer(commands_, bytes.buffer, to.buffer, 1, &region);
  return {};
}

// What surrounds commands.

void CommandRecorder::barrier(StageSet before, StageSet after, bool timed) {
  if (before != barrier_before_ || after != barrier_after_) {
    barrier_ = memory_barrier(before, after);
    barrier_before_ = before;
    barrier_after_ = after;
  }
  VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &barrier_;
  if (!timed) [[likely]]
    return issue_barrier(context_->api, commands_, dependency);
  const auto start = std::chrono::steady_clock::now();
  issue_barrier(context_->api, commands_, dependency);
  const std::chrono::nanoseconds spent = std::chrono::steady_clock::now() - start;
  counts_.barrier_ns += static_cast<std::uint64_t>(spent.count());
}

void CommandRecorder::timestamp(VkPipelineStageFlags2 stage, std::uint32_t query) {
  if (options_->queries == VK_NULL_HANDLE) return;
  context_->api.CmdWriteTimestamp2(commands_, stage, options_->queries, query);
}

void CommandRecorder::begin_label(const ir::Command& command) {
  const std::string text = list_->label_path(command);
  VkDebugUtilsLabelEXT label{VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT};
  label.pLabelName = text.c_str();
  context_->api.CmdBeginDebugUtilsLabelEXT(commands_, &label);
}

void CommandRecorder::end_label() { context_->api.CmdEndDebugUtilsLabelEXT(commands_); }

}  // namespace segue::vulkan
