// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "backends/host/kernel_program.hpp"
#include "segue/host.hpp"

// Calls the functions of host kernels directly: no device, recording or queue.

namespace segue::test {

/// The kernel `name`, which must be there.
inline const KernelSource& find_kernel(std::span<const KernelSource> kernels,
                                       std::string_view name) {
  for (const KernelSource& kernel : kernels) {
    if (kernel.name == name) return kernel;
  }
  throw std::out_of_range("No kernel is named " + std::string(name) + ".");
}

/// A buffer argument.
template <class T>
host::KernelArgument buffer_argument(std::span<T> data) {
  using Byte = std::remove_const_t<T>;
  return {static_cast<std::byte*>(static_cast<void*>(const_cast<Byte*>(data.data()))),
          data.size_bytes()};
}
template <class T>
host::KernelArgument buffer_argument(const std::vector<T>& data) {
  return buffer_argument(std::span<const T>(data));
}

/// Inline bytes; `value` outlives the call.
template <class T>
host::KernelArgument bytes_argument(const T& value) {
  return buffer_argument(std::span<const T>(&value, 1));
}

/// Runs groups `[begin, end)` of a grid of `group_count` groups.
inline void run_host_groups(const KernelSource& kernel, std::span<const host::KernelArgument> args,
                            Extent3 group_count, std::uint64_t begin, std::uint64_t end) {
  const auto& program = *static_cast<const host::KernelProgram*>(kernel.native.get());
  host::KernelContext work;
  work.arguments = args;
  work.group_size = kernel.signature.group_size;
  work.group_count = group_count;
  work.thread_count = {group_count.x * work.group_size.x, group_count.y * work.group_size.y,
                       group_count.z * work.group_size.z};
  work.group_begin = begin;
  work.group_end = end;
  program.function(work);
}

/// Runs a whole grid in one call.
inline void run_host_kernel(const KernelSource& kernel, std::span<const host::KernelArgument> args,
                            Extent3 group_count) {
  run_host_groups(kernel, args, group_count, 0, group_count.count());
}

/// Groups that make `items` outputs.
inline Extent3 groups_for(const KernelSource& kernel, std::uint64_t items) {
  const std::uint64_t per_group = kernel.signature.items_per_group;
  return {static_cast<std::uint32_t>((items + per_group - 1) / per_group), 1, 1};
}

}  // namespace segue::test
