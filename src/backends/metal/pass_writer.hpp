// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "backends/metal/objc.hpp"
#include "backends/metal/pass_timer.hpp"
#include "backends/metal/step.hpp"
#include "ir/command_list.hpp"

namespace segue::metal {

/// What orders the passes of a queue one after the other: each waits for the fence first and
/// updates it last.
struct PassOrder {
  Retained<id<MTLFence>> fence;
  bool updated = false;  ///< By some pass of an earlier command buffer, or of this one.
};

/// Writes the compute pass of one command buffer, opened at the first dispatch. Goes after
/// finish(), or without it where the command buffer is given up.
class PassWriter {
 public:
  /// @param timer  If not null, each command gets a pass of its own, whose times it takes.
  PassWriter(id<MTLCommandBuffer> commands, PassOrder& order, std::string_view label,
             PassTimer* timer)
      : commands_(commands), order_(order), label_(label), timer_(timer) {}
  PassWriter(const PassWriter&) = delete;
  PassWriter& operator=(const PassWriter&) = delete;
  ~PassWriter() { finish(); }

  /// Measures the CPU time of barrier calls from now on.
  void time_barriers() { times_barriers_ = true; }
  /// The encoder that commands go to; opens the pass.
  [[nodiscard]] Result<id<MTLComputeCommandEncoder>> encoder();

  [[nodiscard]] Result<> dispatch(const Step& step);
  /// Runs commands of an indirect command buffer.
  [[nodiscard]] Result<> execute(id<MTLIndirectCommandBuffer> indirect, NSRange range);
  /// Everything so far is done, and its writes are visible, before what follows.
  ///
  /// @param planned  It is one of the plan's, and counts.
  void barrier(bool planned);

  /// What follows belongs to that command, until end_command().
  void begin_command(std::uint32_t index);
  void end_command();
  /// Names what follows, for captures and errors, until pop_group().
  void push_group(const std::string& name);
  void pop_group();

  /// The callback of a native command may have changed what is bound.
  void forget_bindings();

  /// Ends the pass, if one is open.
  void finish();
  /// Whether there was a pass.
  [[nodiscard]] bool has_opened() const { return opened_; }
  [[nodiscard]] std::uint64_t barriers() const { return barriers_; }
  [[nodiscard]] std::uint64_t barrier_ns() const { return barrier_ns_; }

 private:
  void bind(const Step& step);
  void set_threadgroup_memory(const Step& step);

  id<MTLCommandBuffer> commands_;
  PassOrder& order_;
  std::string label_;
  PassTimer* timer_;
  bool times_barriers_ = false;
  std::uint32_t command_ = 0;  ///< The one under way.
  bool in_command_ = false;
  std::string group_;  ///< To be pushed once there is an encoder.
  bool group_pushed_ = false;
  Retained<id<MTLComputeCommandEncoder>> encoder_;
  id<MTLComputePipelineState> bound_ = nil;
  bool opened_ = false;
  /// By index: threadgroup memory that the encoder was told.
  std::array<std::uint32_t, kBufferTableSize> threadgroup_bytes_{};
  std::uint64_t barriers_ = 0;
  std::uint64_t barrier_ns_ = 0;
};

}  // namespace segue::metal
