// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <filesystem>
#include <fstream>
#include <mutex>

#include "metal_double/objects/private.h"

NSErrorDomain const MTLCaptureErrorDomain = @"MTLCaptureErrorDomain";

namespace metal_double {
namespace {

/// Of the only manager.
struct CaptureState : ObjectState {
  std::mutex mutex;
  Retained<id> object;
  std::string path;
};

struct CaptureFault {
  MTLCaptureError code;
  std::string text;
};

std::optional<CaptureFault> fault_of(MTLCaptureDescriptor* descriptor, bool capturing,
                                     const std::string& path) {
  if (descriptor.destination != MTLCaptureDestinationGPUTraceDocument ||
      !World::get().options()->capture_to_file) {
    return CaptureFault{MTLCaptureErrorNotSupported, "Capturing is not supported."};
  }
  if (capturing) return CaptureFault{MTLCaptureErrorAlreadyCapturing, "Capturing already."};
  const id object = descriptor.captureObject;
  const bool known = [object isKindOfClass:[MetalDoubleDevice class]] ||
                     [object isKindOfClass:[MetalDoubleCommandQueue class]];
  if (!known || path.empty() || std::filesystem::exists(path)) {
    return CaptureFault{MTLCaptureErrorInvalidDescriptor,
                        "Capturing needs a device or queue, and a file that is not there yet."};
  }
  return std::nullopt;
}

}  // namespace
}  // namespace metal_double

using namespace metal_double;

@implementation MTLCaptureManager

+ (MTLCaptureManager*)sharedCaptureManager {
  static MTLCaptureManager* const shared = [] {
    auto* const made = make_object<CaptureState, MTLCaptureManager>();
    make_immortal(made);
    return made;
  }();
  return shared;
}
- (BOOL)supportsDestination:(MTLCaptureDestination)destination {
  return destination == MTLCaptureDestinationGPUTraceDocument &&
         World::get().options()->capture_to_file;
}
- (BOOL)isCapturing {
  auto& mine = state<CaptureState>(self);
  const std::scoped_lock lock(mine.mutex);
  return static_cast<bool>(mine.object);
}
- (BOOL)startCaptureWithDescriptor:(MTLCaptureDescriptor*)descriptor error:(NSError**)error {
  auto& mine = state<CaptureState>(self);
  const std::scoped_lock lock(mine.mutex);
  const std::string path = from_ns([descriptor.outputURL path]);
  if (const auto fault = fault_of(descriptor, static_cast<bool>(mine.object), path)) {
    set_error(error, MTLCaptureErrorDomain, fault->code, fault->text);
    return NO;
  }
  mine.object = Retained<id>(descriptor.captureObject);
  mine.path = path;
  return YES;
}
- (void)stopCapture {
  auto& mine = state<CaptureState>(self);
  const std::scoped_lock lock(mine.mutex);
  if (!mine.object) {
    violation("stopCapture is called while nothing is captured.");
    return;
  }
  mine.object = {};
  std::ofstream(mine.path) << "A trace of the Metal double.\n";
}

@end
