// SPDX-License-Identifier: Apache-2.0
#include "metal_double/core/encoder.hpp"

#include <utility>

namespace metal_double {
namespace {

constexpr std::uint64_t kMaxInlineBytes = 4096;
constexpr unsigned long kScopeBuffers = 1;
constexpr unsigned long kScopeTextures = 2;

std::string scope_name(unsigned long scope) {
  std::string name;
  if ((scope & kScopeBuffers) != 0) name += "buffers";
  if ((scope & kScopeTextures) != 0) name += name.empty() ? "textures" : "|textures";
  return name.empty() ? "nothing" : name;
}

}  // namespace

ComputeEncoder::ComputeEncoder(std::shared_ptr<CommandBufferCore> buffer, bool concurrent,
                               std::vector<Pass::Samples> samples)
    : Named(buffer->shared_device(), "computeCommandEncoder"),
      buffer_(std::move(buffer)),
      pass_(std::make_shared<Pass>()) {
  pass_->concurrent = concurrent;
  pass_->samples = std::move(samples);
  buffer_->encoder_open = true;
  buffer_->items.emplace_back(pass_);
}

bool ComputeEncoder::usable(std::string_view call) const {
  if (buffer_->commit_called) {
    violation("{} is called on {} after its command buffer was committed.", call, title());
    return false;
  }
  if (ended_) {
    violation("{} is called on {} after endEncoding.", call, title());
    return false;
  }
  return true;
}

bool ComputeEncoder::check_object(std::string_view call, const Named* object) const {
  if (object == nullptr) {
    violation("{} is called with nil.", call);
    return false;
  }
  if (&object->device() == &device()) return true;
  violation("{}: {} belongs to another device.", call, object->title());
  return false;
}

void ComputeEncoder::set_pipeline(std::shared_ptr<PipelineCore> pipeline) {
  constexpr std::string_view kCall = "setComputePipelineState";
  if (!usable(kCall) || !check_object(kCall, pipeline.get())) return;
  device().record("setComputePipelineState {}", pipeline->name());
  bindings_.pipeline = std::move(pipeline);
}

void ComputeEncoder::set_buffer(std::shared_ptr<BufferCore> buffer, std::uint64_t offset,
                                unsigned long index) {
  if (!usable("setBuffer") || !check_index("setBuffer", index) ||
      !check_buffer("setBuffer", buffer.get(), offset)) {
    return;
  }
  if (!buffer) {
    device().record("setBuffer nil @{}", index);
    bindings_.buffers[index] = {};
    return;
  }
  if (!check_object("setBuffer", buffer.get())) return;
  device().record("setBuffer {}+{} @{}", buffer->name(), offset, index);
  buffer_->uses.insert(buffer);
  bindings_.buffers[index] = {std::move(buffer), offset, nullptr};
}

void ComputeEncoder::set_buffer_offset(std::uint64_t offset, unsigned long index) {
  if (!usable("setBufferOffset") || !check_index("setBufferOffset", index)) return;
  Slot& slot = bindings_.buffers[index];
  if (!slot.buffer) {
    violation("setBufferOffset: no buffer is bound at index {}.", index);
    return;
  }
  if (!check_buffer("setBufferOffset", slot.buffer.get(), offset)) return;
  device().record("setBufferOffset {} @{}", offset, index);
  slot.offset = offset;
}

void ComputeEncoder::set_bytes(const void* bytes, std::uint64_t length, unsigned long index) {
  if (!usable("setBytes") || !check_index("setBytes", index)) return;
  if (length == 0 || length > kMaxInlineBytes) {
    violation("setBytes: {} bytes are given; 1 to {} are allowed.", length, kMaxInlineBytes);
    return;
  }
  if (bytes == nullptr) {
    violation("setBytes: the pointer is null.");
    return;
  }
  device().record("setBytes {} @{}", length, index);
  const auto* const first = static_cast<const std::byte*>(bytes);
  bindings_.buffers[index] = {
      nullptr, 0, std::make_shared<const std::vector<std::byte>>(first, first + length)};
}

void ComputeEncoder::set_threadgroup_length(std::uint64_t length, unsigned long index) {
  constexpr std::string_view kCall = "setThreadgroupMemoryLength";
  if (!usable(kCall) || !check_index(kCall, index) || !check_threadgroup_length(kCall, length)) {
    return;
  }
  device().record("setThreadgroupMemoryLength {} @{}", length, index);
  bindings_.threadgroup_bytes[index] = length;
}

void ComputeEncoder::dispatch(const DispatchRequest& request) {
  const std::string_view call = request.by_threads ? "dispatchThreads" : "dispatchThreadgroups";
  if (!usable(call)) return;
  device().record("{} {} by {}", call, to_string(request.grid), to_string(request.group_size));
  auto checked = check_dispatch(call, bindings_, request);
  if (!checked) return;
  note_uses(*buffer_, *checked);
  pass_->commands.emplace_back(std::move(*checked));
}

void ComputeEncoder::dispatch_indirect(std::shared_ptr<BufferCore> buffer, std::uint64_t offset,
                                       GridSize group_size) {
  constexpr std::string_view kCall = "dispatchThreadgroupsWithIndirectBuffer";
  constexpr std::uint64_t kArgumentBytes = 12;
  if (!usable(kCall) || !check_object(kCall, buffer.get())) return;
  device().record("{} {}+{} by {}", kCall, buffer->name(), offset, to_string(group_size));
  if (offset % 4 != 0) {
    violation("{}: offset {} is no multiple of 4.", kCall, offset);
    return;
  }
  if (offset > buffer->size || buffer->size - offset < kArgumentBytes) {
    violation("{}: the arguments at offset {} need {} bytes, but {} has {}.", kCall, offset,
              kArgumentBytes, buffer->title(), buffer->size);
    return;
  }
  const DispatchRequest request{{}, group_size, false, {std::move(buffer), offset, nullptr}};
  auto checked = check_dispatch(kCall, bindings_, request);
  if (!checked) return;
  note_uses(*buffer_, *checked);
  pass_->commands.emplace_back(std::move(*checked));
}

void ComputeEncoder::use(const std::shared_ptr<Named>& resource, bool writes) {
  if (!usable("useResource") || !check_object("useResource", resource.get())) return;
  device().record("useResource {} {}", resource->name(), writes ? "write" : "read");
  buffer_->uses.insert(resource);
  if (auto buffer = std::dynamic_pointer_cast<BufferCore>(resource)) {
    pass_->used[std::move(buffer)] |= writes;
  }
}

void ComputeEncoder::execute(std::shared_ptr<IndirectCore> commands, std::uint64_t first,
                             std::uint64_t count) {
  constexpr std::string_view kCall = "executeCommandsInBuffer";
  if (!usable(kCall) || !check_object(kCall, commands.get())) return;
  device().record("executeCommandsInBuffer {} [{}, {})", commands->name(), first, first + count);
  const std::uint64_t size = commands->commands.size();
  if (count == 0 || first > size || count > size - first) {
    violation("executeCommandsInBuffer: range [{}, {}) does not fit {}, which has {} commands.",
              first, first + count, commands->title(), size);
    return;
  }
  if (commands->inherits_pipeline && !bindings_.pipeline) {
    violation("executeCommandsInBuffer: {} inherits the pipeline, but none is set.",
              commands->title());
    return;
  }
  ExecuteIndirect execute{commands, first, count, bindings_, {}, {}};
  for (const auto& [buffer, writes] : pass_->used) execute.resident.insert(buffer.get());
  buffer_->uses.insert(std::move(commands));
  pass_->commands.emplace_back(std::move(execute));
}

void ComputeEncoder::barrier(unsigned long scope) {
  if (!usable("memoryBarrierWithScope")) return;
  device().record("memoryBarrier {}", scope_name(scope));
  // In a serial encoder there is nothing to order; textures are none of the buffers' business.
  if ((scope & kScopeBuffers) != 0) pass_->commands.emplace_back(Barrier{});
}

bool ComputeEncoder::check_fence(std::string_view call, FenceCore* fence) const {
  if (!usable(call) || !check_object(call, fence)) return false;
  const std::uint64_t queue = buffer_->queue->id();
  std::uint64_t first_queue = 0;
  if (!fence->queue.compare_exchange_strong(first_queue, queue) && first_queue != queue) {
    violation("{}: {} is used by two queues; a fence orders passes of one.", call, fence->title());
    return false;
  }
  return true;
}

void ComputeEncoder::wait_fence(std::shared_ptr<FenceCore> fence) {
  if (!check_fence("waitForFence", fence.get())) return;
  device().record("waitForFence {}", fence->name());
  if (updated_.contains(fence)) {
    violation("waitForFence: {} is updated by the same encoder before.", fence->title());
    return;
  }
  buffer_->uses.insert(fence);
  pass_->commands.emplace_back(WaitFence{std::move(fence)});
}

void ComputeEncoder::update_fence(std::shared_ptr<FenceCore> fence) {
  if (!check_fence("updateFence", fence.get())) return;
  device().record("updateFence {}", fence->name());
  updated_.insert(fence);
  buffer_->uses.insert(fence);
  pass_->commands.emplace_back(UpdateFence{std::move(fence)});
}

void ComputeEncoder::push_group(std::string_view name) {
  if (!usable("pushDebugGroup")) return;
  device().record("pushDebugGroup {}", name);
  ++open_groups_;
}

void ComputeEncoder::pop_group() {
  if (!usable("popDebugGroup")) return;
  device().record("popDebugGroup");
  if (open_groups_ == 0) {
    violation("popDebugGroup is called on {} without a group.", title());
    return;
  }
  --open_groups_;
}

void ComputeEncoder::signpost(std::string_view name) {
  if (!usable("insertDebugSignpost")) return;
  device().record("insertDebugSignpost {}", name);
  pass_->signposts.emplace_back(name);
}

void ComputeEncoder::end() {
  if (!usable("endEncoding")) {
    ended_ = true;
    return;
  }
  device().record("endEncoding");
  if (open_groups_ != 0) {
    violation("endEncoding is called on {} with {} debug groups open.", title(), open_groups_);
  }
  pass_->label = label();
  ended_ = true;
  buffer_->encoder_open = false;
}

void ComputeEncoder::freed() {
  if (ended_) return;
  violation("{} is freed without endEncoding.", title());
  ended_ = true;
  buffer_->encoder_open = false;
}

}  // namespace metal_double
