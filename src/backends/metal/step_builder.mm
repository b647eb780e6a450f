// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/step_builder.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/fail.hpp"

namespace segue::metal {
namespace {

constexpr std::uint32_t kWordBytes = 4;
// Of the thread counts behind the group counts of an indirect dispatch: what offsets of `constant`
// arguments divide by everywhere.
constexpr std::uint32_t kThreadCountsOffset = 256;
// setThreadgroupMemoryLength:atIndex: takes multiples of this.
constexpr std::uint32_t kThreadgroupUnit = 16;
// Our kernels count bytes in 32 bits.
constexpr std::uint64_t kMostBytesAtOnce = std::uint64_t{1} << 30;
constexpr std::uint64_t kBytesPerThread = 16;

MTLSize size_of(Extent3 extent) { return MTLSizeMake(extent.x, extent.y, extent.z); }

/// The same place from a multiple of 16 on, and how many bytes behind that it is.
std::uint32_t align(BufferPlace& place) {
  const auto behind = static_cast<std::uint32_t>(place.offset % kBytesPerThread);
  place.offset -= behind;
  return behind;
}

void forget(Step& step) {
  step.pipeline = nullptr;
  step.binding_count = 0;
  step.threadgroup_count = 0;
  step.exact_threads = false;
  step.indirect = {};
}

}  // namespace

void StepBuilder::begin(const ir::CommandList& list, Arena& arena, BytesMode mode) {
  list_ = &list;
  arena_ = &arena;
  mode_ = mode;
  previous_ = {};
  next_previous_ = 0;
  old_ = nullptr;
}

void StepBuilder::begin_step() {
  begin_step(next_previous_ < previous_.size() ? &previous_[next_previous_++] : nullptr);
}

void StepBuilder::begin_step(const Step* old) {
  old_ = old;
  forget(step_);
}

Result<> StepBuilder::build(std::uint32_t index, std::span<const Step> previous,
                            const Placement& clamped, const Sink& sink) {
  previous_ = previous;
  next_previous_ = 0;
  const ir::Command& command = list_->commands()[index];
  const std::span<const ir::Argument> arguments = list_->arguments(command);
  switch (command.kind) {
    case ir::CommandKind::kDispatch:
    case ir::CommandKind::kDispatchIndirect: return dispatch(command, clamped, sink);
    case ir::CommandKind::kFill:
      return fill_steps(place_of(arguments[0]), arguments[0].size, command.fill_byte, sink);
    case ir::CommandKind::kCopy:
      return copy_steps(place_of(arguments[0]), place_of(arguments[1]), arguments[1].size, sink);
    case ir::CommandKind::kUpload: return upload(command, sink);
    case ir::CommandKind::kNative:
    case ir::CommandKind::kBarrier: break;
  }
  return {};
}

// Bindings.

void StepBuilder::bind_place(std::uint32_t index, const BufferPlace& place) {
  step_.bindings[index] = {place.buffer, place.offset, nullptr, 0};
  step_.binding_count = std::max(step_.binding_count, index + 1);
}

/// Inline bytes, at least as many as the kernel wants; what is missing is undefined.
Result<> StepBuilder::bind_bytes(std::uint32_t index, const void* bytes, std::uint32_t size) {
  const std::uint32_t wanted = std::max(size, step_.pipeline->min_bytes[index]);
  Binding& binding = step_.bindings[index];
  step_.binding_count = std::max(step_.binding_count, index + 1);
  if (mode_ == BytesMode::kInCommandBuffer && wanted == size && size <= kMaxSetBytes) {
    binding = {nil, 0, static_cast<std::byte*>(const_cast<void*>(bytes)), size};
    return {};
  }
  if (old_ != nullptr && old_->binding_count > index && old_->bindings[index].data != nullptr) {
    binding = old_->bindings[index];
  } else {
    SEGUE_TRY_ASSIGN(const Placement placed, arena_->place(wanted));
    binding = {placed.buffer, placed.offset, placed.data, size};
  }
  std::memcpy(binding.data, bytes, size);
  return {};
}

/// For an empty view, which may begin where its buffer ends.
Result<> StepBuilder::bind_nothing(std::uint32_t index) {
  const std::array<std::byte, kBytesPerThread> zeros{};
  const BytesMode mode = std::exchange(mode_, BytesMode::kInBlock);
  const Result<> bound = bind_bytes(index, zeros.data(), zeros.size());
  mode_ = mode;
  return bound;
}

template <class Params>
Result<> StepBuilder::bind_params(std::uint32_t index, const Params& params) {
  static_assert(sizeof(params) <= sizeof(step_.param_words));
  step_.param_words.fill(0);
  std::memcpy(step_.param_words.data(), &params, sizeof(params));
  return bind_bytes(index, step_.param_words.data(), sizeof(step_.param_words));
}

void StepBuilder::set_line(std::uint64_t threads) {
  const NSUInteger group = step_.group.width;
  step_.grid = MTLSizeMake((threads + group - 1) / group, 1, 1);
}

// Dispatches of kernels.

Result<> StepBuilder::dispatch(const ir::Command& command, const Placement& clamped,
                               const Sink& sink) {
  begin_step();
  auto& kernel = static_cast<MetalKernel&>(*command.kernel);
  std::span<const ir::Argument> arguments = list_->arguments(command);
  if (command.kind == ir::CommandKind::kDispatchIndirect)
    arguments = arguments.first(arguments.size() - 1);
  if (command.group_count.empty()) {
    if (old_ != nullptr) {  // so that a later grid finds the places again
      step_ = *old_;
      step_.pipeline = nullptr;
    }
    return sink(step_);
  }
  SEGUE_TRY_ASSIGN(step_.pipeline, kernel.pipeline());
  SEGUE_TRY(gather(arguments));
  SEGUE_TRY(add_hidden(command, kernel, clamped));
  SEGUE_TRY(add_threadgroups(command, kernel));
  SEGUE_TRY(set_grid(command, kernel, clamped));
  return sink(step_);
}

Result<> StepBuilder::gather(std::span<const ir::Argument> arguments) {
  for (std::uint32_t i = 0; i < arguments.size(); ++i) {
    const ir::Argument& argument = arguments[i];
    if (!argument.is_view()) {
      SEGUE_TRY(bind_bytes(i, list_->bytes(argument), static_cast<std::uint32_t>(argument.size)));
      continue;
    }
    if (argument.size != 0) [[likely]] {
      bind_place(i, place_of(argument));
    } else {
      SEGUE_TRY(bind_nothing(i));
    }
  }
  return {};
}

/// The exact thread count, and the sizes of views.
Result<> StepBuilder::add_hidden(const ir::Command& command, const MetalKernel& kernel,
                                 const Placement& clamped) {
  if (kernel.grid_index() >= 0) {
    const auto index = static_cast<std::uint32_t>(kernel.grid_index());
    if (clamped.data != nullptr) {
      bind_place(index, {clamped.buffer, clamped.offset + kThreadCountsOffset});
    } else {
      const Extent3 threads = command.thread_count;
      step_.grid_words = {threads.x, threads.y, threads.z, 0};
      SEGUE_TRY(bind_bytes(index, step_.grid_words.data(), sizeof(step_.grid_words)));
    }
  }
  if (kernel.view_sizes_index() < 0) return {};
  const std::span<const ir::Argument> arguments = list_->arguments(command);
  const std::uint32_t count = kernel.view_sizes_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t size = i < arguments.size() ? arguments[i].size : 0;
    step_.view_size_words[i] =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(size, UINT32_MAX));
  }
  SEGUE_TRY(bind_bytes(static_cast<std::uint32_t>(kernel.view_sizes_index()),
                       step_.view_size_words.data(), count * kWordBytes));
  return {};
}

Result<> StepBuilder::add_threadgroups(const ir::Command& command, const MetalKernel& kernel) {
  const std::span<const std::uint32_t> indices = kernel.threadgroup_indices();
  const std::span<const std::uint32_t> sizes = list_->shared_sizes(command);
  if (indices.size() > kMaxThreadgroupArguments) {
    return base::fail(ErrorCode::kUnsupported,
                      "Kernel \"{}\" has {} threadgroup arguments; at most {} are allowed.",
                      kernel.name, indices.size(), kMaxThreadgroupArguments);
  }
  std::uint64_t total = [step_.pipeline->state.get() staticThreadgroupMemoryLength];
  for (std::size_t i = 0; i < indices.size() && i < sizes.size(); ++i) {
    const std::uint32_t rounded = (sizes[i] + kThreadgroupUnit - 1) & ~(kThreadgroupUnit - 1);
    step_.threadgroup_index[i] = indices[i];
    step_.threadgroup_bytes[i] = std::max(rounded, kThreadgroupUnit);
    step_.threadgroup_count = static_cast<std::uint32_t>(i) + 1;
    total += step_.threadgroup_bytes[i];
  }
  if (total > context_->limits.max_shared_memory_bytes) {
    return base::fail(ErrorCode::kUnsupported,
                      "A group of kernel \"{}\" uses {} bytes of shared memory, with those that "
                      "its code declares; at most {} are allowed.",
                      kernel.name, total, context_->limits.max_shared_memory_bytes);
  }
  return {};
}

Result<> StepBuilder::set_grid(const ir::Command& command, const MetalKernel& kernel,
                               const Placement& clamped) {
  const std::uint64_t most = [step_.pipeline->state.get() maxTotalThreadsPerThreadgroup];
  if (command.group_size.count() > most) {
    return base::fail(ErrorCode::kUnsupported,
                      "Kernel \"{}\" is dispatched with {} threads a group; its code allows at "
                      "most {} on device \"{}\".",
                      kernel.name, command.group_size.count(), most, context_->name);
  }
  step_.group = size_of(command.group_size);
  if (clamped.data != nullptr) {
    step_.indirect = {clamped.buffer, clamped.offset};
    return {};
  }
  // A kernel that guards its edges may count on whole groups.
  step_.exact_threads =
      command.grid_kind == GridKind::kThreads && !kernel.signature.guards_ragged_edges;
  step_.grid = size_of(step_.exact_threads ? command.thread_count : command.group_count);
  return {};
}

// Kernels of our own.

/// Starts a step of a kernel of ours.
Result<> StepBuilder::use_internal(InternalKernel which) {
  begin_step();
  SEGUE_TRY_ASSIGN(MetalKernel* const kernel, internal_.get(which));
  SEGUE_TRY_ASSIGN(step_.pipeline, kernel->pipeline());
  step_.group = size_of(kernel->signature.group_size);
  return {};
}

Result<> StepBuilder::clamp_step(std::uint32_t index, const Step* previous, Placement& clamped,
                                 const Sink& sink) {
  const ir::Command& command = list_->commands()[index];
  previous_ = previous == nullptr ? std::span<const Step>() : std::span(previous, 1);
  next_previous_ = 0;
  SEGUE_TRY(use_internal(InternalKernel::kClampCounts));
  if (clamped.data == nullptr) {
    SEGUE_TRY_ASSIGN(clamped, arena_->place(kThreadCountsOffset + 4 * kWordBytes));
  }
  ClampCountsParams params{};
  const Extent3 bound = command.group_count;
  const Extent3 group = command.group_size;
  std::ranges::copy(std::array{bound.x, bound.y, bound.z}, params.bound);
  std::ranges::copy(std::array{group.x, group.y, group.z}, params.group_size);
  params.thread_word = kThreadCountsOffset / kWordBytes;
  bind_place(0, place_of(list_->arguments(command).back()));
  bind_place(1, {clamped.buffer, clamped.offset});
  SEGUE_TRY(bind_params(2, params));
  set_line(1);
  return sink(step_);
}

Result<> StepBuilder::load_steps(const ir::Slot& slot, const BufferPlace& source,
                                 std::span<const BufferPlace> targets, const Sink& sink) {
  std::map<id<MTLBuffer>, std::vector<std::uint32_t>> words;
  for (const BufferPlace& target : targets)
    words[target.buffer].push_back(static_cast<std::uint32_t>(target.offset / kWordBytes));
  for (const auto& [buffer, first_words] : words) {
    SEGUE_TRY(use_internal(InternalKernel::kLoadSlot));
    SEGUE_TRY_ASSIGN(const Placement table, arena_->place(kWordBytes * first_words.size()));
    std::memcpy(table.data, first_words.data(), kWordBytes * first_words.size());
    LoadSlotParams params{};
    params.words = static_cast<std::uint32_t>(slot.size / kWordBytes);
    params.targets = static_cast<std::uint32_t>(first_words.size());
    params.max = slot.max;
    bind_place(0, source);
    bind_place(1, {buffer, 0});
    bind_place(2, {table.buffer, table.offset});
    SEGUE_TRY(bind_params(3, params));
    set_line(std::uint64_t{params.words} * params.targets);
    SEGUE_TRY(sink(step_));
  }
  return {};
}

Result<> StepBuilder::fill_steps(BufferPlace to, std::uint64_t size, std::uint8_t value,
                                 const Sink& sink) {
  while (size != 0) {
    const std::uint64_t count = std::min(size, kMostBytesAtOnce);
    BufferPlace base = to;
    FillParams params{};
    params.begin = align(base);
    params.end = params.begin + static_cast<std::uint32_t>(count);
    params.value = value;
    SEGUE_TRY(use_internal(InternalKernel::kFill));
    bind_place(0, base);
    SEGUE_TRY(bind_params(1, params));
    set_line((params.end + kBytesPerThread - 1) / kBytesPerThread);
    SEGUE_TRY(sink(step_));
    to.offset += count;
    size -= count;
  }
  return {};
}

Result<> StepBuilder::copy_steps(BufferPlace from, BufferPlace to, std::uint64_t size,
                                 const Sink& sink) {
  while (size != 0) {
    const std::uint64_t count = std::min(size, kMostBytesAtOnce);
    BufferPlace source = from;
    BufferPlace destination = to;
    CopyParams params{};
    params.from = align(source);
    params.to = align(destination);
    params.size = static_cast<std::uint32_t>(count);
    SEGUE_TRY(use_internal(InternalKernel::kCopy));
    bind_place(0, source);
    bind_place(1, destination);
    SEGUE_TRY(bind_params(2, params));
    set_line((params.to + count + kBytesPerThread - 1) / kBytesPerThread);
    SEGUE_TRY(sink(step_));
    from.offset += count;
    to.offset += count;
    size -= count;
  }
  return {};
}

/// The bytes stay where they are when the destination changes.
Result<> StepBuilder::upload(const ir::Command& command, const Sink& sink) {
  const ir::Argument& bytes = list_->arguments(command)[1];
  if (bytes.size == 0) return {};
  BufferPlace from;
  if (!previous_.empty()) {
    from = {previous_[0].bindings[0].buffer, previous_[0].bindings[0].offset};
  } else {
    SEGUE_TRY_ASSIGN(const Placement placed, arena_->place(bytes.size));
    std::memcpy(placed.data, list_->bytes(bytes), bytes.size);
    from = {placed.buffer, placed.offset};
  }
  return copy_steps(from, place_of(list_->arguments(command)[0]), bytes.size, sink);
}

}  // namespace segue::metal
