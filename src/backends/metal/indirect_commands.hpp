// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstdint>

#include "backends/metal/context.hpp"
#include "backends/metal/step.hpp"

namespace segue::metal {

/// Most commands of one: GPUs of family Mac 2 run no more at once (documentation of
/// executeCommandsInBuffer:withRange:).
inline constexpr std::uint32_t kMaxIndirectCommands = 0x4000;

/// Whether an indirect command buffer can remember the step. It can remember neither group counts
/// that lie in memory, nor inline bytes outside the parameter block, nor offsets of more than 32
/// bits, which drivers cut off.
[[nodiscard]] bool fits_indirect(const Step& step, const DeviceTraits& traits);

/// An indirect command buffer of compute commands.
class IndirectCommands {
 public:
  /// @param max_bindings  Highest number of buffer table entries of a step.
  /// @error kOutOfMemory
  [[nodiscard]] static Result<IndirectCommands> create(const Context& context, std::uint32_t count,
                                                       std::uint32_t max_bindings,
                                                       std::uint32_t max_threadgroups);

  /// Remembers a step at `index`; one that runs nothing becomes empty. Nothing uses it meanwhile.
  void set(std::uint32_t index, const Step& step) const;
  void clear(std::uint32_t index) const;
  [[nodiscard]] id<MTLIndirectCommandBuffer> native() const { return buffer_.get(); }

 private:
  Retained<id<MTLIndirectCommandBuffer>> buffer_;
};

}  // namespace segue::metal
