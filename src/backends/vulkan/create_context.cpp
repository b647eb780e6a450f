// SPDX-License-Identifier: Apache-2.0
//
// From nothing to a logical device: instance, choice of the device, its queues.
#include "backends/vulkan/create_context.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "backends/vulkan/device_features.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"

namespace segue::vulkan {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
constexpr std::uint32_t kApiVersion = VK_API_VERSION_1_3;

using MessageHandler = std::function<void(Severity, std::string_view)>;

Severity severity_of(VkDebugUtilsMessageSeverityFlagBitsEXT flag) {
  if ((flag & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) != 0) return Severity::kError;
  if ((flag & VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT) != 0) return Severity::kWarning;
  return Severity::kInfo;
}

VKAPI_ATTR VkBool32 VKAPI_CALL forward_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                               VkDebugUtilsMessageTypeFlagsEXT /*types*/,
                                               const VkDebugUtilsMessengerCallbackDataEXT* data,
                                               void* user) {
  const auto& handler = *static_cast<const MessageHandler*>(user);
  handler(severity_of(severity), data->pMessage != nullptr ? data->pMessage : "");
  return VK_FALSE;
}

void log_message(Severity severity, std::string_view message) {
  static const base::Logger logger(base::LogLevel::kWarn);
  if (severity == Severity::kError) logger.error("Vulkan: {}", message);
  if (severity == Severity::kWarning) logger.warn("Vulkan: {}", message);
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(MessageHandler& handler) {
  VkDebugUtilsMessengerCreateInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                         VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT |
                     VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                     VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  info.pfnUserCallback = &forward_message;
  info.pUserData = &handler;
  return info;
}

template <class Properties>
bool has_extension(const std::vector<Properties>& all, std::string_view name) {
  return std::ranges::any_of(
      all, [name](const Properties& each) { return name == std::string_view(each.extensionName); });
}

Result<std::vector<VkExtensionProperties>> instance_extensions(const Api& api, const char* layer) {
  std::uint32_t count = 0;
  std::vector<VkExtensionProperties> all;
  VkResult result = api.EnumerateInstanceExtensionProperties(layer, &count, nullptr);
  if (result == VK_SUCCESS) {
    all.resize(count);
    result = api.EnumerateInstanceExtensionProperties(layer, &count, all.data());
    all.resize(count);
  }
  if (result != VK_SUCCESS && result != VK_INCOMPLETE)
    return std::unexpected(call_error("vkEnumerateInstanceExtensionProperties", result));
  return all;
}

Result<> check_layer(const Api& api) {
  std::uint32_t count = 0;
  std::vector<VkLayerProperties> layers;
  VkResult result = api.EnumerateInstanceLayerProperties(&count, nullptr);
  if (result == VK_SUCCESS) {
    layers.resize(count);
    result = api.EnumerateInstanceLayerProperties(&count, layers.data());
  }
  if (result != VK_SUCCESS && result != VK_INCOMPLETE)
    return std::unexpected(call_error("vkEnumerateInstanceLayerProperties", result));
  for (const VkLayerProperties& layer : layers) {
    if (std::string_view(layer.layerName) == kValidationLayer) return {};
  }
  return base::fail(ErrorCode::kUnsupported,
                    "Validation is asked for, but this machine has no layer {}.", kValidationLayer);
}

/// An instance with what it needs to listen to messages.
Result<> create_instance(Context& context, const VulkanOptions& options, const ApiHook& hook) {
  Api& api = context.api;
  SEGUE_TRY(api.load_global());
  if (hook) hook(api);
  std::uint32_t version = 0;
  SEGUE_VK_TRY(context, EnumerateInstanceVersion, &version);
  if (version < kApiVersion) {
    return base::fail(ErrorCode::kUnsupported,
                      "The Vulkan loader of this machine speaks version {}.{}; 1.3 is needed.",
                      VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
  }
  if (options.validation) SEGUE_TRY(check_layer(api));
  SEGUE_TRY_ASSIGN(auto extensions, instance_extensions(api, nullptr));
  if (options.validation) {
    SEGUE_TRY_ASSIGN(auto of_layer, instance_extensions(api, kValidationLayer));
    extensions.insert(extensions.end(), of_layer.begin(), of_layer.end());
  }
  context.debug_names = has_extension(extensions, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  context.message_handler = options.on_message ? options.on_message : MessageHandler(&log_message);

  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pEngineName = "segue";
  application.apiVersion = kApiVersion;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  std::vector<const char*> names;
  VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(context.message_handler);
  if (context.debug_names) {
    names.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    info.pNext = &messenger;
  }
  constexpr std::array kChecks{VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  VkValidationFeaturesEXT checks{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
  checks.enabledValidationFeatureCount = kChecks.size();
  checks.pEnabledValidationFeatures = kChecks.data();
  if (options.validation) {
    names.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    checks.pNext = std::exchange(info.pNext, &checks);
  }
  info.enabledExtensionCount = static_cast<std::uint32_t>(names.size());
  info.ppEnabledExtensionNames = names.data();
  if (const VkResult result = api.CreateInstance(&info, nullptr, &context.instance);
      result != VK_SUCCESS) {
    context.instance = VK_NULL_HANDLE;
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
      return base::fail(ErrorCode::kUnsupported, "This machine has no Vulkan driver ({}).",
                        to_string(result));
    }
    return std::unexpected(call_error("vkCreateInstance", result));
  }
  SEGUE_TRY(api.load_instance(context.instance));
  if (hook) hook(api);
  if (context.debug_names) {
    messenger = messenger_info(context.message_handler);
    SEGUE_VK_TRY(context, CreateDebugUtilsMessengerEXT, context.instance, &messenger, nullptr,
                 &context.messenger);
  }
  return {};
}

Result<std::vector<Candidate>> find_candidates(const Context& context) {
  std::uint32_t count = 0;
  SEGUE_VK_TRY(context, EnumeratePhysicalDevices, context.instance, &count, nullptr);
  std::vector<VkPhysicalDevice> devices(count);
  if (const VkResult result =
          context.api.EnumeratePhysicalDevices(context.instance, &count, devices.data());
      result != VK_INCOMPLETE) {
    SEGUE_TRY(context.check("vkEnumeratePhysicalDevices", result));
  }
  devices.resize(count);
  std::vector<Candidate> candidates;
  for (VkPhysicalDevice device : devices) {
    SEGUE_TRY_ASSIGN(Candidate candidate, inspect(context.api, device));
    candidates.push_back(std::move(candidate));
  }
  // std::ranges::sort need not keep the driver's order among equals, so it is a part of the key.
  std::vector<std::size_t> order(candidates.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) {
    return std::pair(rank(candidates[i].properties.deviceType), i);
  });
  std::vector<Candidate> sorted;
  for (const std::size_t i : order) sorted.push_back(std::move(candidates[i]));
  return sorted;
}

Result<const Candidate*> choose(const std::vector<Candidate>& candidates,
                                const VulkanOptions& options) {
  unsigned usable = 0;
  std::string reasons;
  for (const Candidate& candidate : candidates) {
    std::string why = candidate.rejection;
    if (why.empty() && candidate.software() && !options.allow_software)
      why = "it runs on the processor, and software devices are not allowed";
    if (why.empty()) {
      if (usable++ == options.index) return &candidate;
      continue;
    }
    reasons += fmt::format(" \"{}\": {}.", candidate.properties.deviceName, why);
  }
  if (usable != 0) {
    return base::fail(ErrorCode::kNotFound,
                      "Vulkan device {} is asked for, but {} qualify, counted from 0.{}",
                      options.index, usable, reasons);
  }
  return base::fail(ErrorCode::kUnsupported, "None of the {} Vulkan devices qualifies.{}",
                    candidates.size(), reasons);
}

Result<> create_device(Context& context, const Candidate& candidate, const ApiHook& hook) {
  context.physical = candidate.device;
  context.properties = candidate.properties;
  context.memory = candidate.memory;
  context.family = candidate.family;
  context.traits = candidate.traits;
  context.name = candidate.properties.deviceName;
  const std::vector<float> priorities(context.family.queue_count, 1.0F);
  VkDeviceQueueCreateInfo queues{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queues.queueFamilyIndex = context.family.index;
  queues.queueCount = context.family.queue_count;
  queues.pQueuePriorities = priorities.data();
  EnabledFeatures features(candidate);
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = features.chain();
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queues;
  info.enabledExtensionCount = static_cast<std::uint32_t>(features.extensions().size());
  info.ppEnabledExtensionNames = features.extensions().data();
  if (const VkResult result =
          context.api.CreateDevice(context.physical, &info, nullptr, &context.device);
      result != VK_SUCCESS) {
    context.device = VK_NULL_HANDLE;
    return std::unexpected(call_error("vkCreateDevice", result));
  }
  SEGUE_TRY(context.api.load_device(context.device));
  if (hook) hook(context.api);
  for (std::uint32_t i = 0; i < context.family.queue_count; ++i) {
    auto queue = std::make_unique<NativeQueue>();
    context.api.GetDeviceQueue(context.device, context.family.index, i, &queue->handle);
    context.set_name(VK_OBJECT_TYPE_QUEUE, queue->handle, fmt::format("queue {}", i));
    context.queues.push_back(std::move(queue));
  }
  return {};
}

}  // namespace

Result<ContextPointer> create_context(const VulkanOptions& options, const ApiHook& hook) {
  auto context = std::make_shared<Context>();
  SEGUE_TRY(create_instance(*context, options, hook));
  SEGUE_TRY_ASSIGN(const std::vector<Candidate> candidates, find_candidates(*context));
  SEGUE_TRY_ASSIGN(const Candidate* const chosen, choose(candidates, options));
  SEGUE_TRY(create_device(*context, *chosen, hook));
  context->limits = limits_of(*chosen);
  context->features = features_of(*chosen);
  return context;
}

Result<std::vector<DeviceSummary>> summarise_devices() {
  Context context;
  SEGUE_TRY(create_instance(context, {}, {}));
  SEGUE_TRY_ASSIGN(const std::vector<Candidate> candidates, find_candidates(context));
  std::vector<DeviceSummary> summaries;
  for (const Candidate& candidate : candidates) {
    summaries.push_back({candidate.properties.deviceName, candidate.driver, candidate.software(),
                         candidate.rejection.empty(), candidate.rejection});
  }
  return summaries;
}

}  // namespace segue::vulkan
