// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/residency.hpp"

#include "backends/metal/metal_errors.hpp"

namespace segue::metal {

Result<> Residency::prepare(const Context& context) {
  if (!context.traits.residency_sets) return {};
  if (SEGUE_ON_MACOS_15) {
    const auto descriptor = adopt([[MTLResidencySetDescriptor alloc] init]);
    [descriptor.get() setLabel:@"segue"];
    NSError* error = nil;
    set_ = Retained<id>::adopt([context.device.get() newResidencySetWithDescriptor:descriptor.get()
                                                                             error:&error]);
    if (!set_) {
      return std::unexpected(
          make_error(ErrorCode::kOutOfMemory, "The device gives no residency set.", error));
    }
  }
  return {};
}

void Residency::add_to(id<MTLCommandQueue> queue) const {
  if (!set_) return;
  if (SEGUE_ON_MACOS_15) [queue addResidencySet:set_.get()];
}

void Residency::remove_from(id<MTLCommandQueue> queue) const {
  if (!set_) return;
  if (SEGUE_ON_MACOS_15) [queue removeResidencySet:set_.get()];
}

void Residency::set(id<MTLBuffer> buffer, bool resident) {
  if (!set_) return;
  const std::lock_guard lock(mutex_);
  if (SEGUE_ON_MACOS_15) {
    const id<MTLResidencySet> set = set_.get();
    if (resident) {
      [set addAllocation:buffer];
    } else {
      [set removeAllocation:buffer];
    }
  }
  changed_.store(true, std::memory_order_release);
}

void Residency::flush() {
  if (!changed_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  if (SEGUE_ON_MACOS_15) {
    const id<MTLResidencySet> set = set_.get();
    [set commit];
    [set requestResidency];
  }
  changed_.store(false, std::memory_order_release);
}

}  // namespace segue::metal
