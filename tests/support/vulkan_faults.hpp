// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "backends/vulkan/api.hpp"

/// Native calls that fail when a test says so. Header only, for programs that link the Vulkan
/// backend.
namespace segue::test {

/// Puts itself in front of every entry point that returns a VkResult, and makes the n-th of the
/// calls that follow fail without reaching the driver. One for a process; thread-safe.
class VulkanFaults {
 public:
  /// An ApiHook: may be called again as further levels of the table are loaded.
  static void install(vulkan::Api& api);

  /// The `nth` call from now on fails, counted from 1; 0: none does.
  static void arm(std::uint64_t nth, VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY) {
    result_ = result;
    calls_ = 0;
    failing_ = nth;
    failed_ = "";
  }
  /// Every call of one entry point, such as "vkAllocateMemory", fails from now on.
  static void arm_every(const char* call, VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY) {
    arm(0, result);
    every_ = call;
  }
  /// No further call fails; how many there were since arm().
  static std::uint64_t disarm() {
    failing_ = 0;
    every_ = "";
    return calls_;
  }
  /// The entry point that failed since arm(), or an empty string.
  [[nodiscard]] static std::string failed_call() { return failed_.load(); }

  template <class Tag, class Function>
  struct Wrapped;

 private:
  [[nodiscard]] static bool fails_now(const char* name) {
    if (++calls_ != failing_ && std::string_view(name) != every_.load()) return false;
    failed_ = name;
    return true;
  }
  static inline std::atomic<std::uint64_t> calls_{0};
  static inline std::atomic<std::uint64_t> failing_{0};
  static inline std::atomic<VkResult> result_{VK_ERROR_OUT_OF_DEVICE_MEMORY};
  static inline std::atomic<const char*> failed_{""};
  static inline std::atomic<const char*> every_{""};
};

template <class Tag, class... Args>
struct VulkanFaults::Wrapped<Tag, VkResult (*)(Args...)> {
  using Function = VkResult (*)(Args...);
  static inline Function original = nullptr;

  static VkResult call(Args... args) {
    if (fails_now(Tag::text())) return result_;
    return original(args...);
  }
  static void install(Function& entry) {
    if (entry == nullptr || entry == &call) return;
    original = entry;
    entry = &call;
  }
};

/// What returns no result cannot fail.
template <class Tag, class Return, class... Args>
struct VulkanFaults::Wrapped<Tag, Return (*)(Args...)> {
  static void install(Return (*&)(Args...)) {}
};

inline void VulkanFaults::install(vulkan::Api& api) {
#define SEGUE_TEST_WRAP(name)                          \
  {                                                    \
    struct Tag {                                       \
      static const char* text() { return "vk" #name; } \
    };                                                 \
    Wrapped<Tag, PFN_vk##name>::install(api.name);     \
  }
  SEGUE_VK_ALL_FUNCTIONS(SEGUE_TEST_WRAP)
#undef SEGUE_TEST_WRAP
}

}  // namespace segue::test
