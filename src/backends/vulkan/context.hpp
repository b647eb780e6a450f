// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "backends/vulkan/api.hpp"
#include "segue/error.hpp"
#include "segue/limits.hpp"
#include "segue/vulkan.hpp"

namespace segue::vulkan {

/// What a device has beyond what every device must have.
struct DeviceTraits {
  std::uint32_t api_version = 0;
  std::uint32_t subgroup_size = 32;  ///< Of compute kernels, if it can vary: the one to ask for.
  bool subgroup_size_control = false;
  bool full_subgroups = false;
  bool update_after_bind = false;  ///< Of storage and uniform buffers.
  bool float16 = false;
  bool int8 = false;
  bool int16 = false;
  bool int64 = false;
  bool vulkan_memory_model = false;
  bool integer_dot_product = false;
  bool cooperative_matrix_nv = false;  ///< F16 x F16 + F32 in 16 x 16 x 16, subgroup scope.
  bool host_import = false;
  bool memory_budget = false;
  bool memory_priority = false;
  bool calibrated_timestamps = false;
  bool device_fault = false;
  bool external_semaphore_fd = false;
  bool buffer_device_address = false;
  std::uint64_t import_alignment = 4096;
  std::uint32_t storage_alignment =
      16;  ///< Of the offset of a storage buffer's descriptor, in bytes.
  std::uint32_t uniform_alignment = 64;
  std::uint32_t uniform_range = 16384;  ///< Bytes that one uniform buffer's descriptor reaches.
  double timestamp_period = 1.0;        ///< Nanoseconds a tick.
  std::uint32_t timestamp_bits = 0;     ///< Of the queue family in use; 0: no timestamps.
};

struct QueueFamily {
  std::uint32_t index = 0;
  std::uint32_t queue_count = 1;
};

/// One of the driver's queues, which several of ours may share.
struct NativeQueue {
  VkQueue handle = VK_NULL_HANDLE;
  std::mutex mutex;  ///< Of submissions.
};

/// The instance and logical device that everything of one hal::Device shares. Thread-safe where it
/// is not immutable. Destroys both; everything made from it keeps it alive.
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  Api api;
  VkInstance instance = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  QueueFamily family;
  std::vector<std::unique_ptr<NativeQueue>> queues;
  DeviceTraits traits;
  Limits limits;
  Features features;
  std::string name;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
  VkPipelineCache pipeline_cache = VK_NULL_HANDLE;
  std::string pipeline_cache_path;            ///< Its file; empty: none.
  std::uint64_t pipeline_cache_checksum = 0;  ///< Of the data that came from the file.
  /// Gets the driver's messages; the messenger points to it.
  std::function<void(Severity, std::string_view)> message_handler;
  bool debug_names = false;  ///< VK_EXT_debug_utils is there: objects and commands get names.

  /// Error of a failed call; a lost device is remembered, and the driver's fault report added to
  /// the message.
  [[nodiscard]] Result<> check(const char* call, VkResult result) const {
    if (result == VK_SUCCESS) [[likely]]
      return {};
    return fail(call, result);
  }
  [[nodiscard]] std::unexpected<Error> fail(const char* call, VkResult result) const;
  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_acquire); }
  /// From now on the device counts as lost.
  void give_up() const { lost_.store(true, std::memory_order_release); }
  [[nodiscard]] Result<> check_alive() const;

  /// Names an object for native tools, if they listen.
  void set_name(VkObjectType type, std::uint64_t handle, std::string_view object_name) const;
  template <class Handle>
  void set_name(VkObjectType type, Handle handle, std::string_view object_name) const {
    if (debug_names) set_name(type, reinterpret_cast<std::uint64_t>(handle), object_name);
  }

 private:
  [[nodiscard]] std::string fault_report() const;
  mutable std::atomic<bool> lost_{false};
};

using ContextPointer = std::shared_ptr<Context>;

}  // namespace segue::vulkan

/// Returns the error of a Vulkan call that fails from the enclosing function. `context` is a
/// Context.
#define SEGUE_VK_TRY(context, name, ...) \
  SEGUE_TRY((context).check("vk" #name, (context).api.name(__VA_ARGS__)))
