// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/pass_writer.hpp"

#include <chrono>

#include "backends/metal/metal_errors.hpp"

namespace segue::metal {
namespace {

/// The hand-over to the driver alone, so that profilers see it by name.
[[gnu::noinline]] void issue_barrier(id<MTLComputeCommandEncoder> encoder) {
  [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
}

}  // namespace

Result<id<MTLComputeCommandEncoder>> PassWriter::encoder() {
  if (encoder_) [[likely]]
    return encoder_.get();
  const bool timed = timer_ != nullptr && in_command_;
  if (timed) {
    const Retained<MTLComputePassDescriptor*> pass = timer_->next_pass(command_);
    encoder_ = share([commands_ computeCommandEncoderWithDescriptor:pass.get()]);
  } else {
    encoder_ = share([commands_ computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent]);
  }
  if (!encoder_) {
    return std::unexpected(
        make_error(ErrorCode::kOutOfMemory, "The device gives no compute command encoder.", nil));
  }
  opened_ = true;
  threadgroup_bytes_.fill(0);
  [encoder_.get() setLabel:to_ns(label_.empty() ? "segue" : label_)];
  if (order_.updated) [encoder_.get() waitForFence:order_.fence.get()];
  if (!group_.empty()) {
    [encoder_.get() pushDebugGroup:to_ns(group_)];
    group_pushed_ = true;
  }
  return encoder_.get();
}

void PassWriter::bind(const Step& step) {
  const id<MTLComputeCommandEncoder> encoder = encoder_.get();
  if (step.pipeline->state.get() != bound_) {
    bound_ = step.pipeline->state.get();
    [encoder setComputePipelineState:bound_];
  }
  for (std::uint32_t i = 0; i < step.binding_count; ++i) {
    const Binding& binding = step.bindings[i];
    if (binding.buffer != nil) {
      [encoder setBuffer:binding.buffer offset:binding.offset atIndex:i];
    } else {
      [encoder setBytes:binding.data length:binding.size atIndex:i];
    }
  }
  set_threadgroup_memory(step);
}

/// Lengths stay until they change, and count even where a kernel has no such argument.
void PassWriter::set_threadgroup_memory(const Step& step) {
  std::array<std::uint32_t, kBufferTableSize> wanted{};
  for (std::uint32_t i = 0; i < step.threadgroup_count; ++i)
    wanted[step.threadgroup_index[i]] = step.threadgroup_bytes[i];
  if (wanted == threadgroup_bytes_) [[likely]]
    return;
  for (std::uint32_t i = 0; i < kBufferTableSize; ++i) {
    if (wanted[i] != threadgroup_bytes_[i])
      [encoder_.get() setThreadgroupMemoryLength:wanted[i] atIndex:i];
  }
  threadgroup_bytes_ = wanted;
}

Result<> PassWriter::dispatch(const Step& step) {
  if (step.pipeline == nullptr) return {};
  SEGUE_TRY_ASSIGN(const id<MTLComputeCommandEncoder> encoder, this->encoder());
  bind(step);
  if (step.indirect.buffer != nil) {
    [encoder dispatchThreadgroupsWithIndirectBuffer:step.indirect.buffer
                               indirectBufferOffset:step.indirect.offset
                              threadsPerThreadgroup:step.group];
  } else if (step.exact_threads) {
    [encoder dispatchThreads:step.grid threadsPerThreadgroup:step.group];
  } else {
    [encoder dispatchThreadgroups:step.grid threadsPerThreadgroup:step.group];
  }
  return {};
}

Result<> PassWriter::execute(id<MTLIndirectCommandBuffer> indirect, NSRange range) {
  SEGUE_TRY_ASSIGN(const id<MTLComputeCommandEncoder> encoder, this->encoder());
  [encoder executeCommandsInBuffer:indirect withRange:range];
  bound_ = nil;  // what it leaves bound is undefined
  return {};
}

void PassWriter::barrier(bool planned) {
  if (planned) ++barriers_;
  if (!encoder_) return;  // the end of a pass is one, too
  if (!times_barriers_ || !planned) return issue_barrier(encoder_.get());
  const auto start = std::chrono::steady_clock::now();
  issue_barrier(encoder_.get());
  const std::chrono::nanoseconds spent = std::chrono::steady_clock::now() - start;
  barrier_ns_ += static_cast<std::uint64_t>(spent.count());
}

void PassWriter::forget_bindings() {
  bound_ = nil;
  threadgroup_bytes_.fill(0);  // what a kernel needs is told again
}

void PassWriter::begin_command(std::uint32_t index) {
  if (timer_ == nullptr) [[likely]]
    return;
  finish();
  command_ = index;
  in_command_ = true;
}

void PassWriter::end_command() {
  if (timer_ == nullptr) [[likely]]
    return;
  finish();
  in_command_ = false;
}

void PassWriter::push_group(const std::string& name) {
  group_ = name;
  if (!encoder_) return;  // encoder() does it
  [encoder_.get() pushDebugGroup:to_ns(group_)];
  group_pushed_ = true;
}

void PassWriter::pop_group() {
  group_.clear();
  if (group_pushed_ && encoder_) [encoder_.get() popDebugGroup];
  group_pushed_ = false;
}

void PassWriter::finish() {
  if (!encoder_) return;
  if (group_pushed_) [encoder_.get() popDebugGroup];
  group_pushed_ = false;
  [encoder_.get() updateFence:order_.fence.get()];
  [encoder_.get() endEncoding];
  order_.updated = true;
  encoder_ = {};
  bound_ = nil;
}

}  // namespace segue::metal
