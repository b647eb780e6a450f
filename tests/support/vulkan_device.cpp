// SPDX-License-Identifier: Apache-2.0
#include "support/vulkan_device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "backends/vulkan/api.hpp"

namespace segue::test {
namespace {

/// Some drivers cannot be loaded and unloaded many times in one process: one instance stays.
void keep_drivers_loaded() {
  static const VkInstance kept = [] {
    vulkan::Api api;
    VkInstance instance = VK_NULL_HANDLE;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    if (api.load_global()) static_cast<void>(api.CreateInstance(&info, nullptr, &instance));
    return instance;
  }();
  static_cast<void>(kept);
}

}  // namespace

std::function<void(vulkan::Severity, std::string_view)> ValidationMessages::handler() {
  return [this](vulkan::Severity /*severity*/, std::string_view message) {
    const std::lock_guard lock(mutex_);
    messages_.emplace_back(message);
  };
}

std::vector<std::string> ValidationMessages::all() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

std::size_t ValidationMessages::count(std::string_view text) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      messages_, [text](const std::string& message) { return message.contains(text); }));
}

bool has_validation() {
  static const bool found = [] {
    vulkan::Api api;
    if (!api.load_global()) return false;
    std::uint32_t count = 0;
    if (api.EnumerateInstanceLayerProperties(&count, nullptr) != VK_SUCCESS) return false;
    std::vector<VkLayerProperties> layers(count);
    if (api.EnumerateInstanceLayerProperties(&count, layers.data()) != VK_SUCCESS) return false;
    return std::ranges::any_of(layers, [](const VkLayerProperties& layer) {
      return std::string_view(layer.layerName) == "VK_LAYER_KHRONOS_validation";
    });
  }();
  return found;
}

void prepare_vulkan_environment() {
  setenv("LP_NUM_THREADS", "0", 0);
  // The separator is a colon on Linux; with a comma nothing is on.
  setenv("VK_LAYER_ENABLES",
         "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT:"
         "VALIDATION_CHECK_ENABLE_SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT",
         0);
}

vulkan::VulkanOptions validated_options() {
  prepare_vulkan_environment();
  keep_drivers_loaded();
  vulkan::VulkanOptions options;
  options.validation = has_validation();
  options.on_message = [](vulkan::Severity /*severity*/, std::string_view message) {
    // The layer gave up waiting for its own bookkeeping, as the host's waits for values that
    // nobody signals exactly make it do before version 1.3.297 (its issues 4968 and 8476, its pull
    // request 8519). It says nothing about the caller.
    if (message.find("UNASSIGNED-VkSemaphore-state-timeout") != std::string_view::npos) return;
    ADD_FAILURE() << message;
  };
  return options;
}

Result<Device> open_validated_vulkan(const DeviceOptions& options) {
  return vulkan::create_device(options, validated_options());
}

}  // namespace segue::test
