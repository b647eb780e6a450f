// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"

// Metal objects appear as untyped pointers here, so that this header needs no Objective-C.
// docs/kernel-abi.md says how parameters become buffer indices.

namespace segue::metal {

/// A kernel from the text of a Metal shading language file, compiled when it is first used; errors
/// carry the compiler's log.
///
/// Its signature is what Metal reflects: an argument that is only read and whose type is a struct
/// counts as inline bytes, any other one as a buffer. The group size is one SIMD group.
///
/// @param entry_point  A kernel function of the text; empty: its only one.
[[nodiscard]] KernelSource msl_kernel(std::string name, std::string text,
                                      std::string entry_point = "");
/// The same with a declared signature, which must agree with what Metal reflects.
[[nodiscard]] KernelSource msl_kernel(std::string name, Signature signature, std::string text,
                                      std::string entry_point = "");

/// A kernel from the bytes of a compiled library, a .metallib file, which are copied.
[[nodiscard]] KernelSource metallib_kernel(std::string name, std::span<const std::byte> library,
                                           std::string entry_point);
[[nodiscard]] KernelSource metallib_kernel(std::string name, Signature signature,
                                           std::span<const std::byte> library,
                                           std::string entry_point);

struct MetalOptions {
  unsigned index = 0;  ///< Among the devices that qualify, the system's default one first.
  /// Replays run from indirect command buffers where the device has them; false: every replay
  /// encodes its commands again, which is what devices without them do.
  bool indirect_command_buffers = true;
  /// Command buffers retain what they use, too. The library keeps everything alive that unfinished
  /// work uses, so this costs time and brings nothing but a second opinion.
  bool retained_references = false;
  /// Commands with a label or scope get a debug group, for captures and for errors; but for those
  /// of replays that run from indirect command buffers.
  bool debug_groups = false;
};

/// Opens a device.
///
/// @error kUnsupported      No device qualifies: the message says for each what it lacks.
/// @error kNotFound         Fewer devices than `index` + 1 qualify.
/// @error kInvalidArgument  An option or environment variable has a bad value.
[[nodiscard]] Result<Device> create_device(const DeviceOptions& options = {},
                                           const MetalOptions& metal_options = {});

/// Writes everything that `device` does from now on into a .gputrace document that Xcode opens,
/// until stop_capture(). Programs outside Xcode need MTL_CAPTURE_ENABLED=1 in their environment.
/// One capture at a time for a process.
///
/// @error kInvalidState  A capture is under way.
/// @error kUnsupported   The process may not capture to files.
/// @error kIo            The document cannot be written, such as one that exists.
[[nodiscard]] Result<> start_capture(const Device& device, const std::string& path);
/// @error kInvalidState  No capture is under way.
[[nodiscard]] Result<> stop_capture();

}  // namespace segue::metal
