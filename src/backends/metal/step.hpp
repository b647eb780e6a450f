// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "backends/metal/metal_kernel.hpp"
#include "backends/metal/metal_memory.hpp"

namespace segue::metal {

inline constexpr std::size_t kMaxThreadgroupArguments = 8;

/// What one entry of the buffer table gets. Without initialisers, since a step has many of them.
struct Binding {
  id<MTLBuffer> buffer;  ///< Nil: `data` is copied into the command buffer at once.
  NSUInteger offset;
  std::byte* data;     ///< Of inline bytes: where the host writes them; else null.
  std::uint32_t size;  ///< Of inline bytes.
};

/// One dispatch with everything looked up: what a command encoder is told, and an indirect command
/// buffer remembers.
struct Step {
  const Pipeline* pipeline = nullptr;  ///< Null: nothing runs.
  std::uint32_t binding_count = 0;
  std::uint32_t threadgroup_count = 0;
  bool exact_threads = false;  ///< `grid` counts threads, and groups at the edge may be smaller.
  MTLSize grid;
  MTLSize group;
  BufferPlace indirect;  ///< Where the group counts are, in place of `grid`; nil: nowhere.
  std::array<Binding, kBufferTableSize> bindings;
  std::array<std::uint32_t, kMaxThreadgroupArguments> threadgroup_index;
  std::array<std::uint32_t, kMaxThreadgroupArguments> threadgroup_bytes;
  // Bytes of bindings that the builder makes up, until they are copied into a command buffer.
  std::array<std::uint32_t, 4> grid_words;
  std::array<std::uint32_t, kBufferTableSize> view_size_words;
  std::array<std::uint32_t, 8> param_words;
};

}  // namespace segue::metal
