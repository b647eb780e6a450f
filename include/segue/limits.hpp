// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "segue/grid.hpp"

namespace segue {

/// What a device can hold and run. Recording checks against these, and errors name them.
struct Limits {
  std::uint64_t max_buffer_bytes = 0;
  std::uint64_t max_view_bytes = 0;  ///< Largest view that one argument binds.
  std::uint32_t view_offset_alignment =
      1;  ///< What the offset of a kernel's view must divide by, in bytes.
  /// Views at multiples of this, in bytes, are bound as they are; the device copies others to such
  /// a place and back around each dispatch that takes them.
  std::uint32_t direct_view_alignment = 1;
  std::uint32_t max_arguments = 0;     ///< Buffers and bytes of one dispatch together.
  std::uint32_t max_inline_bytes = 0;  ///< Of one kBytes argument; at least 4096 on every backend.
  std::uint32_t max_shared_memory_bytes = 0;  ///< Of one group, all shared parameters together.
  std::uint32_t max_group_threads = 0;        ///< Product of the group size.
  Extent3 max_group_size{0, 0, 0};            ///< Each dimension of the group size.
  Extent3 max_group_count{0, 0, 0};           ///< Each dimension of the grid, in groups.
  std::uint32_t host_import_alignment =
      1;  ///< Of pointer and size given to import_host_memory(), in bytes.
  std::uint32_t max_submissions_in_flight = 0;  ///< commit() waits for the oldest beyond this.
};

/// What a device can do beyond the minimum.
struct Features {
  bool unified_memory = false;  ///< Device and host share memory: imports need no copy.
  bool ragged_groups = false;   ///< The device itself cuts off the last group of a threads() grid.
  bool indirect_dispatch =
      false;  ///< The device reads group counts; otherwise the bound is launched.
  bool residency_sets = false;
  bool pipeline_cache = false;  ///< Compiled kernels are kept on disk.
  bool gpu_timestamps = false;
  bool shared_timelines = false;  ///< Timelines can be exported and imported.
  bool lifetime_checks = false;   ///< Lifetime::kUnretained detects a buffer freed too early.
};

/// Memory of the device, in bytes; no value where the system does not say.
struct MemoryInfo {
  std::uint64_t used_bytes = 0;  ///< Allocated through this device, imports not counted.
  std::optional<std::uint64_t> budget_bytes;
};

/// A native object for people who mix Segue with direct API calls; see the backend's header for its
/// meaning.
struct NativeHandle {
  std::string type;  ///< Such as "host.pointer" or "VkBuffer".
  void* object = nullptr;
  std::uint64_t value = 0;
};

}  // namespace segue
