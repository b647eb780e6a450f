// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/metal_memory.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace segue::metal {

MetalMemory::~MetalMemory() {
  if (residency_ == nullptr) return;
  @autoreleasepool {
    set_resident(residency_, false);
    residency_->flush();  // the set must not name what is gone
  }
}

void MetalMemory::set_resident(const std::shared_ptr<Residency>& residency, bool resident) {
  if (resident == resident_) return;
  residency_ = residency;
  resident_ = resident;
  residency_->set(buffer_.get(), resident);
}

Result<std::unique_ptr<MetalMemory>> allocate_memory(const Context& context,
                                                     std::uint64_t size_bytes, bool host_access,
                                                     std::string_view label) {
  const bool shared = host_access || context.traits.unified_memory;
  const MTLResourceOptions options =
      (shared ? MTLResourceStorageModeShared : MTLResourceStorageModePrivate) |
      MTLResourceHazardTrackingModeUntracked;
  // Metal has no empty buffers, and kernels that load vectors want whole ones at the end.
  const NSUInteger length = std::max<std::uint64_t>((size_bytes + 15) & ~std::uint64_t{15}, 16);
  auto buffer = adopt([context.device.get() newBufferWithLength:length options:options]);
  if (!buffer) {
    return base::fail(ErrorCode::kOutOfMemory,
                      "Device \"{}\" does not give {} bytes for buffer \"{}\"; it recommends at "
                      "most {} bytes in all, and {} are in use.",
                      context.name, size_bytes, label,
                      [context.device.get() recommendedMaxWorkingSetSize],
                      [context.device.get() currentAllocatedSize]);
  }
  if (!label.empty()) [buffer.get() setLabel:to_ns(label)];
  return std::make_unique<MetalMemory>(std::move(buffer));
}

Result<std::unique_ptr<MetalMemory>> import_memory(const Context& context, std::byte* data,
                                                   std::uint64_t size_bytes) {
  const MTLResourceOptions options =
      MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked;
  auto buffer = adopt([context.device.get() newBufferWithBytesNoCopy:data
                                                              length:size_bytes
                                                             options:options
                                                         deallocator:nil]);
  if (!buffer) {
    return base::fail(ErrorCode::kUnsupported,
                      "Device \"{}\" does not import {} bytes of memory; address and size must be "
                      "multiples of {} bytes, and at most {} bytes are allowed.",
                      context.name, size_bytes, context.traits.page_bytes,
                      context.limits.max_buffer_bytes);
  }
  return std::make_unique<MetalMemory>(std::move(buffer));
}

}  // namespace segue::metal
