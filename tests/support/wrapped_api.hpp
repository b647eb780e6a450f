// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/vulkan/create_context.hpp"

namespace segue::test {

/// Every entry point of the Vulkan backend, by name.
enum class VulkanCall : std::uint8_t {
#define SEGUE_TEST_ENUMERATOR(name) k##name,
  SEGUE_VK_ALL_FUNCTIONS(SEGUE_TEST_ENUMERATOR)
#undef SEGUE_TEST_ENUMERATOR
      kCount,
};
inline constexpr auto kVulkanCallCount = static_cast<std::size_t>(VulkanCall::kCount);

/// Such as "vkCreateBuffer".
[[nodiscard]] const char* to_string(VulkanCall call);

/// How native calls fail from the chosen one on.
enum class FaultKind : std::uint8_t {
  kOutOfDeviceMemory,  ///< That one call.
  kOutOfHostMemory,    ///< That one call.
  kDeviceLost,         ///< That call and all that a lost device fails.
};

/// Stands in front of every entry point of the backend: counts the calls that may fail, lets one of
/// them fail without reaching the driver, and follows what is made and destroyed. Thread-safe; one
/// at a time in a process, since entry points are plain functions.
class WrappedApi {
 public:
  WrappedApi();
  WrappedApi(const WrappedApi&) = delete;
  WrappedApi& operator=(const WrappedApi&) = delete;
  /// Everything made through it must be gone.
  ~WrappedApi();

  /// Shows the memory of a device that has one type of it as that of a discrete GPU: a type of its
  /// own that the host does not see, and one of the host that is not the device's own.
  void split_memory() { split_ = true; }

  /// For create_hal_device().
  [[nodiscard]] static vulkan::ApiHook hook();

  /// The `nth` call that may fail in this way from now on does, counted from 1. Those are all that
  /// return a VkResult; those that the specification lets report a lost device, for kDeviceLost.
  void arm(std::uint64_t nth, FaultKind kind);
  void disarm() { arm(0, FaultKind::kOutOfDeviceMemory); }
  /// Whether a call has failed since arm(), and which one did first.
  [[nodiscard]] bool hit() const { return hit_.load(); }
  [[nodiscard]] const char* failed_call() const { return to_string(failed_.load()); }
  [[nodiscard]] VulkanCall failed() const { return failed_.load(); }
  /// The call that was entered last, by any thread.
  [[nodiscard]] const char* last_call() const { return to_string(last_.load()); }
  /// How often an entry point was called since the beginning.
  [[nodiscard]] std::uint64_t count(VulkanCall call) const {
    return counts_[static_cast<std::size_t>(call)].load();
  }

  /// Objects that exist, with the call that made them; and objects destroyed that do not.
  [[nodiscard]] std::vector<std::string> leaks() const;
  [[nodiscard]] std::vector<std::string> misuse() const;

  /// @name For the wrappers.
  /// @{
  [[nodiscard]] static WrappedApi& current();
  void enter(VulkanCall call);
  /// Whether this call fails, and how.
  [[nodiscard]] VkResult verdict(VulkanCall call);
  void created(VulkanCall call, std::uint64_t handle);
  void destroyed(VulkanCall call, std::uint64_t handle);
  [[nodiscard]] bool splits_memory() const { return split_.load(); }
  /// @}

 private:
  static inline std::atomic<WrappedApi*> current_{nullptr};

  std::atomic<std::uint64_t> counted_{0};
  std::atomic<std::uint64_t> failing_{0};
  std::atomic<FaultKind> kind_{FaultKind::kOutOfDeviceMemory};
  std::atomic<bool> hit_{false};
  std::atomic<bool> lost_{false};
  std::atomic<bool> split_{false};
  std::atomic<VulkanCall> failed_{VulkanCall::kCount};
  std::atomic<VulkanCall> last_{VulkanCall::kCount};
  std::array<std::atomic<std::uint64_t>, kVulkanCallCount> counts_{};
  mutable std::mutex mutex_;  ///< Of what follows.
  std::map<std::pair<VulkanCall, std::uint64_t>, int> living_;
  std::vector<std::string> misuse_;
};

}  // namespace segue::test
