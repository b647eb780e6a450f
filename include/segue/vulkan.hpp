// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"

// Vulkan objects appear as integers and untyped pointers here, so that this header needs none of
// Vulkan's own. docs/kernel-abi.md says how parameters become bindings.

namespace segue::vulkan {

/// A kernel from SPIR-V words. Its signature is read off the code.
///
/// @param entry_point  A GLCompute entry point of the module.
[[nodiscard]] KernelSource spirv_kernel(std::string name, std::span<const std::uint32_t> words,
                                        std::string entry_point = "main");
/// The same with a declared signature, which must agree with the code where the code says
/// something.
[[nodiscard]] KernelSource spirv_kernel(std::string name, Signature signature,
                                        std::span<const std::uint32_t> words,
                                        std::string entry_point = "main");

/// A compute kernel from GLSL text, compiled when it is first used; errors carry the compiler's
/// log.
[[nodiscard]] KernelSource glsl_kernel(std::string name, std::string text);
[[nodiscard]] KernelSource glsl_kernel(std::string name, Signature signature, std::string text);

/// Where messages of the driver and of validation layers go.
enum class Severity : std::uint8_t { kInfo, kWarning, kError };

struct VulkanOptions {
  unsigned index = 0;          ///< Among the devices that qualify, best first.
  bool allow_software = true;  ///< Devices of type CPU count.
  /// Turns on the validation layer with synchronization validation, and the layer's absence into an
  /// error.
  bool validation = false;
  /// Gets every message of validation layers and driver; without it, warnings and errors go to the
  /// log. Called from any thread.
  std::function<void(Severity, std::string_view message)> on_message = {};
  /// Where compiled pipelines are kept between runs, one file for each driver and device. Empty: in
  /// $XDG_CACHE_HOME/segue or ~/.cache/segue; "none": nowhere.
  std::string pipeline_cache_directory = {};
};

/// Opens a device. Libraries of Vulkan are looked for at run time.
///
/// @error kUnsupported      The machine has no Vulkan loader, or no device that qualifies: the
/// message says for each
///                          what it lacks.
/// @error kNotFound         Fewer devices than `index` + 1 qualify.
/// @error kInvalidArgument  An option or environment variable has a bad value.
[[nodiscard]] Result<Device> create_device(const DeviceOptions& options = {},
                                           const VulkanOptions& vulkan_options = {});

/// A device of this machine, and why it cannot be used, if so.
struct DeviceSummary {
  std::string name;
  std::string driver;
  bool software = false;
  bool usable = false;
  std::string reason;  ///< Of being rejected: a sentence.
};
/// All devices that drivers report, in the order in which VulkanOptions::index counts those that
/// are usable.
[[nodiscard]] Result<std::vector<DeviceSummary>> list_devices();

}  // namespace segue::vulkan
