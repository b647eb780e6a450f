// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <memory>
#include <utility>

#include "backends/metal/metal_device.hpp"
#include "backends/metal/metal_errors.hpp"
#include "backends/metal/objc.hpp"
#include "base/fail.hpp"
#include "runtime/device_state.hpp"
#include "segue/metal.hpp"

namespace segue::metal {

Result<Device> create_device(const DeviceOptions& options, const MetalOptions& metal_options) {
  SEGUE_TRY_ASSIGN(std::shared_ptr<hal::Device> device, create_hal_device(metal_options));
  SEGUE_TRY_ASSIGN(std::shared_ptr<runtime::DeviceState> state,
                   runtime::DeviceState::create(std::move(device), options));
  return Device(std::move(state));
}

Result<> start_capture(const Device& device, const std::string& path) {
  @autoreleasepool {
    const NativeHandle handle = device.native_handle();
    if (handle.type != "MTLDevice") {
      return base::fail(ErrorCode::kInvalidArgument,
                        "A capture is asked for of a device of type \"{}\"; \"MTLDevice\" is "
                        "allowed.",
                        handle.type);
    }
    MTLCaptureManager* const manager = [MTLCaptureManager sharedCaptureManager];
    if ([manager isCapturing])
      return base::fail(ErrorCode::kInvalidState, "A capture of this process is under way.");
    if (![manager supportsDestination:MTLCaptureDestinationGPUTraceDocument]) {
      return base::fail(ErrorCode::kUnsupported,
                        "This process may not capture to files; set MTL_CAPTURE_ENABLED=1 in its "
                        "environment.");
    }
    const auto descriptor = adopt([[MTLCaptureDescriptor alloc] init]);
    [descriptor.get() setCaptureObject:static_cast<id<MTLDevice>>(handle.object)];
    [descriptor.get() setDestination:MTLCaptureDestinationGPUTraceDocument];
    [descriptor.get() setOutputURL:[NSURL fileURLWithPath:to_ns(path)]];
    NSError* error = nil;
    if (![manager startCaptureWithDescriptor:descriptor.get() error:&error]) {
      return std::unexpected(make_error(
          ErrorCode::kIo, fmt::format("No capture can be written to \"{}\".", path), error));
    }
    return {};
  }
}

Result<> stop_capture() {
  @autoreleasepool {
    MTLCaptureManager* const manager = [MTLCaptureManager sharedCaptureManager];
    if (![manager isCapturing])
      return base::fail(ErrorCode::kInvalidState, "No capture of this process is under way.");
    [manager stopCapture];
    return {};
  }
}

}  // namespace segue::metal
