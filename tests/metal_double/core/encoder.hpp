// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "metal_double/core/command_buffer.hpp"
#include "metal_double/core/dispatch_rules.hpp"

namespace metal_double {

/// A compute encoder: checks each call, logs it, and records what it means into a pass.
class ComputeEncoder : public Named {
 public:
  ComputeEncoder(std::shared_ptr<CommandBufferCore> buffer, bool concurrent,
                 std::vector<Pass::Samples> samples);

  [[nodiscard]] const CommandBufferCore& buffer() const { return *buffer_; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool concurrent() const { return pass_->concurrent; }

  void set_pipeline(std::shared_ptr<PipelineCore> pipeline);
  void set_buffer(std::shared_ptr<BufferCore> buffer, std::uint64_t offset, unsigned long index);
  void set_buffer_offset(std::uint64_t offset, unsigned long index);
  void set_bytes(const void* bytes, std::uint64_t length, unsigned long index);
  void set_threadgroup_length(std::uint64_t length, unsigned long index);
  void dispatch(const DispatchRequest& request);
  void dispatch_indirect(std::shared_ptr<BufferCore> buffer, std::uint64_t offset,
                         GridSize group_size);
  void use(const std::shared_ptr<Named>& resource, bool writes);
  void execute(std::shared_ptr<IndirectCore> commands, std::uint64_t first, std::uint64_t count);
  void barrier(unsigned long scope);
  void wait_fence(std::shared_ptr<FenceCore> fence);
  void update_fence(std::shared_ptr<FenceCore> fence);
  void push_group(std::string_view name);
  void pop_group();
  void signpost(std::string_view name);
  void end();
  /// The object is deallocated.
  void freed();

 private:
  /// False, with a violation, if nothing can be encoded any more.
  bool usable(std::string_view call) const;
  /// False, with a violation, for nil and for an object of another device.
  bool check_object(std::string_view call, const Named* object) const;
  bool check_fence(std::string_view call, FenceCore* fence) const;

  std::shared_ptr<CommandBufferCore> buffer_;
  std::shared_ptr<Pass> pass_;
  Bindings bindings_;
  std::set<std::shared_ptr<FenceCore>> updated_;
  unsigned open_groups_ = 0;
  bool ended_ = false;
};

}  // namespace metal_double
