// SPDX-License-Identifier: Apache-2.0
//
// From nothing to a device: which there are, what they lack, what they can do.
#include "backends/metal/context.hpp"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "backends/metal/pass_timer.hpp"
#include "base/fail.hpp"

namespace segue::metal {
namespace {

// Sums over SIMD groups need one of these families, and both have groups of any size at the edge of
// a grid (Metal feature set tables: "SIMD-scoped reduction operations", "Nonuniform threadgroup
// size").
bool reduces_in_simd_groups(id<MTLDevice> device) {
  return [device supportsFamily:MTLGPUFamilyApple7] || [device supportsFamily:MTLGPUFamilyMac2];
}

/// Why a device cannot be used; nothing if it can.
std::optional<std::string> find_defect(id<MTLDevice> device) {
  if (!reduces_in_simd_groups(device))
    return "it is of no GPU family that sums over SIMD groups (Apple 7, Mac 2)";
  return std::nullopt;
}

std::vector<Retained<id<MTLDevice>>> all_devices() {
  std::vector<Retained<id<MTLDevice>>> devices;
  // The default one first: it is the best for most work.
  auto first = adopt(MTLCreateSystemDefaultDevice());
  if (first) devices.push_back(first);
  const auto all = adopt(MTLCopyAllDevices());
  for (id<MTLDevice> device in all.get()) {
    if (!first || [device registryID] != [first.get() registryID]) devices.push_back(share(device));
  }
  return devices;
}

DeviceTraits traits_of(id<MTLDevice> device) {
  DeviceTraits traits;
  traits.unified_memory = [device hasUnifiedMemory] != NO;
  // Compute commands in indirect command buffers: Apple 3 and Mac 2 (Metal feature set tables).
  traits.indirect_command_buffers =
      [device supportsFamily:MTLGPUFamilyApple3] || [device supportsFamily:MTLGPUFamilyMac2];
  traits.indirect_needs_pipelines =
      [device supportsFamily:MTLGPUFamilyApple7] && ![device supportsFamily:MTLGPUFamilyApple9];
  if (SEGUE_ON_MACOS_14) traits.indirect_threadgroup_memory = true;
  if (SEGUE_ON_MACOS_15) {
    traits.residency_sets =
        [device supportsFamily:MTLGPUFamilyApple6] || [device supportsFamily:MTLGPUFamilyMetal3];
  }
  traits.pass_timestamps = timestamp_counters(device) != nil;
  traits.page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return traits;
}

Limits limits_of(id<MTLDevice> device, const DeviceTraits& traits) {
  Limits limits;
  limits.max_buffer_bytes = [device maxBufferLength];
  limits.max_view_bytes = limits.max_buffer_bytes;
  limits.view_offset_alignment = 1;
  limits.direct_view_alignment = 1;
  limits.max_arguments = kBufferTableSize - 2;  // the exact grid and the sizes of views
  limits.max_inline_bytes = 64 * 1024;
  limits.max_shared_memory_bytes = static_cast<std::uint32_t>([device maxThreadgroupMemoryLength]);
  const MTLSize most = [device maxThreadsPerThreadgroup];
  const auto clip = [](NSUInteger value) {
    return static_cast<std::uint32_t>(
        std::min<NSUInteger>(value, std::numeric_limits<std::uint32_t>::max()));
  };
  limits.max_group_threads = clip(most.width);
  limits.max_group_size = {clip(most.width), clip(most.height), clip(most.depth)};
  // No limit is documented but that positions in a grid are 32-bit numbers.
  const std::uint32_t most_groups = UINT32_MAX / std::max(limits.max_group_threads, 1U);
  limits.max_group_count = {most_groups, 65535, 65535};
  limits.host_import_alignment = static_cast<std::uint32_t>(traits.page_bytes);
  limits.max_submissions_in_flight = 64;
  return limits;
}

Features features_of(const DeviceTraits& traits) {
  Features features;
  features.unified_memory = traits.unified_memory;
  features.ragged_groups = true;
  features.indirect_dispatch = true;
  features.residency_sets = traits.residency_sets;
  features.gpu_timestamps = traits.pass_timestamps;
  features.shared_timelines = true;
#if defined(SEGUE_CHECK_LIFETIMES)
  features.lifetime_checks = true;
#endif
  return features;
}

}  // namespace

Result<> Context::check_alive() const {
  if (!lost()) [[likely]]
    return {};
  return base::fail(ErrorCode::kDeviceLost, "Device \"{}\" is lost; open it anew.", name);
}

Result<ContextPointer> create_context(const MetalOptions& options) {
  std::string reasons;
  unsigned usable = 0;
  for (const Retained<id<MTLDevice>>& device : all_devices()) {
    const std::string name = to_string([device.get() name]);
    if (const auto defect = find_defect(device.get())) {
      reasons += fmt::format(" Device \"{}\" is rejected: {}.", name, *defect);
      continue;
    }
    if (usable++ != options.index) continue;
    auto context = std::make_shared<Context>();
    context->device = device;
    context->options = options;
    context->name = name;
    context->traits = traits_of(device.get());
    if (!options.indirect_command_buffers) context->traits.indirect_command_buffers = false;
    context->limits = limits_of(device.get(), context->traits);
    context->features = features_of(context->traits);
    return context;
  }
  if (usable != 0) {
    return base::fail(ErrorCode::kNotFound,
                      "Metal device {} is asked for, but {} qualify, counted from 0.{}",
                      options.index, usable, reasons);
  }
  if (reasons.empty()) reasons = " The system reports none.";
  return base::fail(ErrorCode::kUnsupported, "No Metal device can be used.{}", reasons);
}

}  // namespace segue::metal
