// SPDX-License-Identifier: Apache-2.0
#include "metal_double/core/dispatch_rules.hpp"

#include <algorithm>
#include <limits>

namespace metal_double {
namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kExecutionWidth = 32;

bool is_zero(const GridSize& size) { return size.x == 0 || size.y == 0 || size.z == 0; }

msl::Extent narrow(const GridSize& size) {
  return {static_cast<std::uint32_t>(size.x), static_cast<std::uint32_t>(size.y),
          static_cast<std::uint32_t>(size.z)};
}

bool check_group_size(std::string_view where, const PipelineCore& pipeline, const GridSize& group) {
  const auto options = World::get().options();
  if (is_zero(group)) {
    violation("{}: a threadgroup of {} threads has none.", where, to_string(group));
    return false;
  }
  const std::uint64_t most = options->max_threads_per_threadgroup;
  if (std::max({group.x, group.y, group.z}) > most) {
    violation("{}: a threadgroup of {} threads is too large; the device allows {} in a dimension.",
              where, to_string(group), most);
    return false;
  }
  const std::uint64_t threads = group.x * group.y * group.z;
  if (threads > pipeline.max_threads) {
    violation("{}: a threadgroup of {} threads is too large; {} allows {}.", where, threads,
              pipeline.title(), pipeline.max_threads);
    return false;
  }
  if (pipeline.multiple_of_width && threads % kExecutionWidth != 0) {
    violation("{}: a threadgroup of {} threads is no multiple of {}, which {} was promised.", where,
              threads, kExecutionWidth, pipeline.title());
    return false;
  }
  return true;
}

bool check_grid(std::string_view where, const DispatchRequest& request) {
  if (request.by_threads && !has_nonuniform_groups(*World::get().options())) {
    violation("{}: dispatchThreads needs nonuniform threadgroups, which the family lacks.", where);
    return false;
  }
  if (request.indirect.bound()) return true;
  if (is_zero(request.grid)) {
    violation("{}: a grid of {} has no threads.", where, to_string(request.grid));
    return false;
  }
  GridSize threads = request.grid;
  if (!request.by_threads) {
    const auto multiply = [](std::uint64_t groups, std::uint64_t size) {
      return groups > kMax32 ? groups : groups * size;
    };
    threads = {multiply(threads.x, request.group_size.x), multiply(threads.y, request.group_size.y),
               multiply(threads.z, request.group_size.z)};
  }
  if (std::max({threads.x, threads.y, threads.z}) > kMax32) {
    violation("{}: a grid of {} threads exceeds {} in a dimension.", where, to_string(threads),
              kMax32);
    return false;
  }
  return true;
}

bool check_argument(std::string_view where, const PipelineCore& pipeline,
                    const msl::Binding& binding, const Slot& slot) {
  if (!slot.bound()) {
    violation("{}: argument \"{}\" of {} at buffer index {} is not bound.", where, binding.name,
              pipeline.title(), binding.index);
    return false;
  }
  if (slot.size() < binding.data_size) {
    violation("{}: argument \"{}\" of {} at buffer index {} needs {} bytes, but {} are bound.",
              where, binding.name, pipeline.title(), binding.index, binding.data_size, slot.size());
    return false;
  }
  if (slot.buffer && binding.alignment != 0 && slot.offset % binding.alignment != 0) {
    violation(
        "{}: argument \"{}\" of {} at buffer index {} is bound at offset {}, which is no "
        "multiple of {}.",
        where, binding.name, pipeline.title(), binding.index, slot.offset, binding.alignment);
    return false;
  }
  if (slot.bytes && binding.access != msl::Access::kRead) {
    violation(
        "{}: argument \"{}\" of {} at buffer index {} is written, but inline bytes are bound.",
        where, binding.name, pipeline.title(), binding.index);
    return false;
  }
  if (slot.buffer && slot.buffer->freed()) {
    violation("{}: {} is bound at buffer index {}, but it is freed.", where, slot.buffer->title(),
              binding.index);
    return false;
  }
  return true;
}

bool check_threadgroup_memory(std::string_view where, const PipelineCore& pipeline,
                              const Bindings& bindings) {
  std::uint64_t total = pipeline.info.static_threadgroup_bytes;
  for (unsigned i = 0; i < kMaxBindings; ++i) total += bindings.threadgroup_bytes[i];
  const std::uint64_t most = World::get().options()->max_threadgroup_memory;
  if (total > most) {
    violation("{}: {} bytes of threadgroup memory are too many; the device has {}.", where, total,
              most);
    return false;
  }
  for (const msl::Binding& binding : pipeline.info.bindings) {
    if (binding.kind != msl::BindingKind::kThreadgroup) continue;
    const std::uint64_t given = bindings.threadgroup_bytes[binding.index];
    if (given == 0 || given < binding.data_size) {
      violation("{}: threadgroup argument \"{}\" of {} at index {} needs {} bytes, but has {}.",
                where, binding.name, pipeline.title(), binding.index, binding.data_size, given);
      return false;
    }
  }
  return true;
}

}  // namespace

std::string to_string(const GridSize& size) {
  return fmt::format("{}x{}x{}", size.x, size.y, size.z);
}

bool has_nonuniform_groups(const Options& options) {
  return std::ranges::any_of(options.families, [](long family) {
    const bool apple = family >= 1004 && family < 2000;
    return apple || family == 2001 || family == 2002 || family == 3003 || family == 5001;
  });
}

bool check_index(std::string_view where, unsigned long index) {
  if (index < kMaxBindings) return true;
  violation("{}: index {} is out of range; 30 is the last one.", where, index);
  return false;
}

bool check_buffer(std::string_view where, const BufferCore* buffer, std::uint64_t offset) {
  if (buffer == nullptr || offset < buffer->size) return true;
  violation("{}: offset {} is past the end of {}, which has {} bytes.", where, offset,
            buffer->title(), buffer->size);
  return false;
}

bool check_threadgroup_length(std::string_view where, std::uint64_t length) {
  if (length % 16 != 0) {
    violation("{}: {} bytes of threadgroup memory are no multiple of 16.", where, length);
    return false;
  }
  const std::uint64_t most = World::get().options()->max_threadgroup_memory;
  if (length > most) {
    violation("{}: {} bytes of threadgroup memory are too many; the device has {}.", where, length,
              most);
    return false;
  }
  return true;
}

std::optional<Dispatch> check_dispatch(std::string_view where, const Bindings& bindings,
                                       const DispatchRequest& request) {
  if (!bindings.pipeline) {
    violation("{}: no compute pipeline is set.", where);
    return std::nullopt;
  }
  const PipelineCore& pipeline = *bindings.pipeline;
  if (!check_group_size(where, pipeline, request.group_size) || !check_grid(where, request) ||
      !check_threadgroup_memory(where, pipeline, bindings)) {
    return std::nullopt;
  }
  Dispatch dispatch;
  dispatch.pipeline = bindings.pipeline;
  for (const msl::Binding& binding : pipeline.info.bindings) {
    if (binding.kind != msl::BindingKind::kBuffer) continue;
    const Slot& slot = bindings.buffers[binding.index];
    if (!check_argument(where, pipeline, binding, slot)) return std::nullopt;
    dispatch.buffers.emplace_back(binding.index, slot);
  }
  for (unsigned i = 0; i < kMaxBindings; ++i) {
    dispatch.threadgroup_bytes[i] = static_cast<std::uint32_t>(bindings.threadgroup_bytes[i]);
  }
  dispatch.group_size = narrow(request.group_size);
  dispatch.indirect = request.indirect;
  if (!request.indirect.bound()) {
    GridSize threads = request.grid;
    if (!request.by_threads) {
      threads = {threads.x * request.group_size.x, threads.y * request.group_size.y,
                 threads.z * request.group_size.z};
    }
    dispatch.threads = narrow(threads);
  }
  return dispatch;
}

}  // namespace metal_double
