// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "backends/metal/context.hpp"
#include "backends/metal/residency.hpp"
#include "hal/hal.hpp"

namespace segue::metal {

/// One MTLBuffer, which is also what `native` of its storages points to.
class MetalMemory final : public hal::Memory {
 public:
  explicit MetalMemory(Retained<id<MTLBuffer>> buffer) : buffer_(std::move(buffer)) {
    host = static_cast<std::byte*>([buffer_.get() contents]);
    host_cached = host != nullptr;
    native = buffer_.get();
    handle = {"MTLBuffer", buffer_.get(), 0};
  }
  MetalMemory(const MetalMemory&) = delete;
  MetalMemory& operator=(const MetalMemory&) = delete;
  ~MetalMemory() override;

  [[nodiscard]] id<MTLBuffer> buffer() const { return buffer_.get(); }
  /// Adds the buffer to the device's residency set, or takes it out.
  void set_resident(const std::shared_ptr<Residency>& residency, bool resident);

 private:
  Retained<id<MTLBuffer>> buffer_;
  std::shared_ptr<Residency> residency_;  ///< Null: it was in none so far.
  bool resident_ = false;
};

/// Bytes of a buffer as a kernel finds them.
struct BufferPlace {
  id<MTLBuffer> buffer = nil;
  NSUInteger offset = 0;
};

[[nodiscard]] inline BufferPlace place_of(const ir::Storage& storage, std::uint64_t offset) {
  return {static_cast<id<MTLBuffer>>(storage.native), storage.native_offset + offset};
}
[[nodiscard]] inline BufferPlace place_of(const ir::Argument& view) {
  return place_of(*view.storage, view.offset);
}

/// Memory that host and device share, or of the device alone where they have none in common and
/// nobody needs it. Content is undefined.
///
/// Metal does not track hazards of it: a fence orders the passes of a queue, and events order
/// queues, so that memory which is imported twice is safe as well.
///
/// @error kOutOfMemory
[[nodiscard]] Result<std::unique_ptr<MetalMemory>> allocate_memory(const Context& context,
                                                                   std::uint64_t size_bytes,
                                                                   bool host_access,
                                                                   std::string_view label);

/// Memory of the caller, whose address and size are multiples of a page.
///
/// @error kUnsupported  The driver refuses it.
[[nodiscard]] Result<std::unique_ptr<MetalMemory>> import_memory(const Context& context,
                                                                 std::byte* data,
                                                                 std::uint64_t size_bytes);

}  // namespace segue::metal
