// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/vulkan.hpp"

namespace segue::test {

/// Messages of validation layers and drivers. Thread-safe.
class ValidationMessages {
 public:
  [[nodiscard]] std::function<void(vulkan::Severity, std::string_view)> handler();
  [[nodiscard]] std::vector<std::string> all() const;
  /// How many contain `text`.
  [[nodiscard]] std::size_t count(std::string_view text) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

/// Whether this machine has the validation layer.
[[nodiscard]] bool has_validation();

/// Turns synchronization validation on, across submissions too, and software drivers to one thread,
/// for devices that this process opens from now on, unless its environment says something else.
void prepare_vulkan_environment();

/// Options of a device whose every message makes the running test fail; with validation where there
/// is the layer.
[[nodiscard]] vulkan::VulkanOptions validated_options();

[[nodiscard]] Result<Device> open_validated_vulkan(const DeviceOptions& options);

}  // namespace segue::test
