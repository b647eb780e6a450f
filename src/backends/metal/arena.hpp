// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/metal/metal_memory.hpp"

namespace segue::metal {

/// Bytes of an arena.
struct Placement {
  std::byte* data = nullptr;  ///< Null: nothing is placed.
  id<MTLBuffer> buffer = nil;
  NSUInteger offset = 0;
  NSUInteger size = 0;
};

/// Memory of one recording for inline bytes, grids and bytes of uploads, given away piece by piece
/// and taken back as a whole. Grows in chunks, which stay where they are; reset() keeps them.
class Arena {
 public:
  explicit Arena(ContextPointer context) : context_(std::move(context)) {}

  /// Room for `size` bytes, aligned for any address space; content is undefined.
  ///
  /// @error kOutOfMemory
  [[nodiscard]] Result<Placement> place(std::uint64_t size);
  /// Everything placed is void.
  void reset();

 private:
  ContextPointer context_;
  std::vector<std::unique_ptr<MetalMemory>> chunks_;
  std::size_t current_ = 0;  ///< Chunk in use; chunks_.size(): none.
  std::uint64_t used_ = 0;   ///< Of that chunk.
};

}  // namespace segue::metal
