// SPDX-License-Identifier: Apache-2.0
#include "support/wrapped_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <tuple>
#include <type_traits>

namespace segue::test {
namespace {

using enum VulkanCall;
using vulkan::Api;

constexpr std::array<const char*, kVulkanCallCount + 1> kNames{
#define SEGUE_TEST_NAME(name) "vk" #name,
    SEGUE_VK_ALL_FUNCTIONS(SEGUE_TEST_NAME)
#undef SEGUE_TEST_NAME
        "no call"};

/// What makes objects that somebody must destroy, and what does. Command buffers and descriptor
/// sets go with their pools.
struct Pair {
  VulkanCall create;
  VulkanCall destroy;
};
constexpr Pair kPairs[] = {
    {kCreateInstance, kDestroyInstance},
    {kCreateDebugUtilsMessengerEXT, kDestroyDebugUtilsMessengerEXT},
    {kCreateDevice, kDestroyDevice},
    {kAllocateMemory, kFreeMemory},
    {kCreateBuffer, kDestroyBuffer},
    {kCreateSemaphore, kDestroySemaphore},
    {kCreateCommandPool, kDestroyCommandPool},
    {kCreateQueryPool, kDestroyQueryPool},
    {kCreateShaderModule, kDestroyShaderModule},
    {kCreatePipelineCache, kDestroyPipelineCache},
    {kCreateComputePipelines, kDestroyPipeline},
    {kCreatePipelineLayout, kDestroyPipelineLayout},
    {kCreateDescriptorSetLayout, kDestroyDescriptorSetLayout},
    {kCreateDescriptorPool, kDestroyDescriptorPool},
};
constexpr bool creates(VulkanCall call) {
  return std::ranges::any_of(kPairs, [call](const Pair& pair) { return pair.create == call; });
}
constexpr VulkanCall creator_of(VulkanCall destroy) {
  for (const Pair& pair : kPairs) {
    if (pair.destroy == destroy) return pair.create;
  }
  return kCount;
}

/// The calls that may return VK_ERROR_DEVICE_LOST (Vulkan 1.3 specification, return codes of each)
/// once there is a device.
constexpr VulkanCall kLosable[] = {kQueueSubmit2,        kQueueWaitIdle,
                                   kDeviceWaitIdle,      kWaitSemaphores,
                                   kGetQueryPoolResults, kGetSemaphoreCounterValue};
constexpr bool is_losable(VulkanCall call) {
  return std::ranges::find(kLosable, call) != std::end(kLosable);
}

template <class Handle>
std::uint64_t number(Handle handle) {
  if constexpr (std::is_pointer_v<Handle>) {
    return std::bit_cast<std::uintptr_t>(handle);
  } else {
    return handle;
  }
}

// One real type of memory, shown as two.

constexpr std::uint32_t kDeviceType = 0;
constexpr std::uint32_t kHostType = 1;

void split(VkPhysicalDeviceMemoryProperties& memory) {
  if (memory.memoryTypeCount != 1) return;
  memory.memoryTypeCount = 2;
  memory.memoryTypes[kDeviceType] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
  memory.memoryTypes[kHostType] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                       VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                                   1};
  memory.memoryHeapCount = 2;
  memory.memoryHeaps[1] = {memory.memoryHeaps[0].size, 0};
}
std::uint32_t split_bits(std::uint32_t bits) {
  return bits == 1 ? 1U << kDeviceType | 1U << kHostType : bits;
}

/// What a call has answered, as the split shows it.
template <VulkanCall kCall, class Tuple>
void split_answer(const Tuple& args) {
  if constexpr (kCall == kGetPhysicalDeviceMemoryProperties2) {
    split(std::get<1>(args)->memoryProperties);
  } else if constexpr (kCall == kGetBufferMemoryRequirements) {
    std::get<2>(args)->memoryTypeBits = split_bits(std::get<2>(args)->memoryTypeBits);
  } else if constexpr (kCall == kGetMemoryHostPointerPropertiesEXT) {
    if (std::get<3>(args)->memoryTypeBits == 1) std::get<3>(args)->memoryTypeBits = 1U << kHostType;
  }
}

template <VulkanCall kCall, class Function>
struct Wrapper;

template <VulkanCall kCall, class Return, class... Args>
struct Wrapper<kCall, Return(VKAPI_PTR*)(Args...)> {
  using Function = Return(VKAPI_PTR*)(Args...);
  using Tuple = std::tuple<Args...>;
  static inline Function original = nullptr;

  static Return VKAPI_CALL call(Args... args) {
    WrappedApi& api = WrappedApi::current();
    api.enter(kCall);
    if constexpr (creator_of(kCall) != kCount) note_destruction(api, Tuple(args...));
    if constexpr (std::is_same_v<Return, VkResult>) {
      if (const VkResult verdict = api.verdict(kCall); verdict != VK_SUCCESS) return verdict;
      const VkResult result = forward(api, args...);
      if (api.splits_memory()) split_answer<kCall>(Tuple(args...));
      if constexpr (creates(kCall)) {
        if (result == VK_SUCCESS) note_creation(api, Tuple(args...));
      }
      return result;
    } else if constexpr (std::is_void_v<Return>) {
      original(args...);
      if (api.splits_memory()) split_answer<kCall>(Tuple(args...));
    } else {
      return original(args...);
    }
  }
  static void install(Function& entry) {
    if (entry == nullptr || entry == &call) return;
    original = entry;
    entry = &call;
  }

 private:
  static Return forward(WrappedApi& api, Args... args) {
    if constexpr (kCall == kAllocateMemory) {
      Tuple tuple(args...);
      VkMemoryAllocateInfo info = *std::get<1>(tuple);
      if (api.splits_memory()) info.memoryTypeIndex = 0;
      std::get<1>(tuple) = &info;
      return std::apply(original, tuple);
    } else {
      return original(args...);
    }
  }
  /// The last argument is where the handles go.
  static void note_creation(WrappedApi& api, const Tuple& args) {
    std::uint32_t count = 1;
    if constexpr (kCall == kCreateComputePipelines) count = std::get<2>(args);
    const auto* const handles = std::get<sizeof...(Args) - 1>(args);
    for (std::uint32_t i = 0; i < count; ++i) api.created(kCall, number(handles[i]));
  }
  /// The allocator is last, the object is before it.
  static void note_destruction(WrappedApi& api, const Tuple& args) {
    api.destroyed(kCall, number(std::get<sizeof...(Args) - 2>(args)));
  }
};

void install(Api& api) {
#define SEGUE_TEST_WRAP(name) Wrapper<k##name, PFN_vk##name>::install(api.name);
  SEGUE_VK_ALL_FUNCTIONS(SEGUE_TEST_WRAP)
#undef SEGUE_TEST_WRAP
}

/// What a lost device had to do is over before its objects go: the driver below has not lost it.
void wait_below(VkDevice device) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  static_cast<void>(Wrapper<kDeviceWaitIdle, PFN_vkDeviceWaitIdle>::original(device));
}

}  // namespace

const char* to_string(VulkanCall call) { return kNames[static_cast<std::size_t>(call)]; }

WrappedApi::WrappedApi() {
  if (current_.exchange(this) != nullptr) std::abort();
}

WrappedApi::~WrappedApi() { current_ = nullptr; }

WrappedApi& WrappedApi::current() { return *current_.load(); }

vulkan::ApiHook WrappedApi::hook() {
  return [](Api& api) { install(api); };
}

void WrappedApi::arm(std::uint64_t nth, FaultKind kind) {
  counted_ = 0;
  hit_ = false;
  lost_ = false;
  failed_ = kCount;
  kind_ = kind;
  failing_ = nth;
}

void WrappedApi::enter(VulkanCall call) {
  last_ = call;
  ++counts_[static_cast<std::size_t>(call)];
}

VkResult WrappedApi::verdict(VulkanCall call) {
  const FaultKind kind = kind_;
  if (kind == FaultKind::kDeviceLost && !is_losable(call)) return VK_SUCCESS;
  if (lost_) return VK_ERROR_DEVICE_LOST;
  const std::uint64_t failing = failing_;
  if (failing == 0 || ++counted_ != failing) return VK_SUCCESS;
  failed_ = call;
  hit_ = true;
  switch (kind) {
    case FaultKind::kOutOfDeviceMemory: return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    case FaultKind::kOutOfHostMemory: return VK_ERROR_OUT_OF_HOST_MEMORY;
    case FaultKind::kDeviceLost: break;
  }
  lost_ = true;
  return VK_ERROR_DEVICE_LOST;
}

void WrappedApi::created(VulkanCall call, std::uint64_t handle) {
  const std::lock_guard lock(mutex_);
  ++living_[{call, handle}];
}

void WrappedApi::destroyed(VulkanCall call, std::uint64_t handle) {
  if (handle == 0) return;
  if (lost_) {
    std::uint64_t device = 0;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [object, count] : living_) {
        if (object.first == kCreateDevice) device = object.second;
      }
    }
    if (device != 0) wait_below(std::bit_cast<VkDevice>(device));
  }
  const std::lock_guard lock(mutex_);
  const auto object = living_.find({creator_of(call), handle});
  if (object == living_.end()) {
    misuse_.push_back(fmt::format("{} of {:#x}, which does not exist", to_string(call), handle));
    return;
  }
  if (--object->second == 0) living_.erase(object);
}

std::vector<std::string> WrappedApi::leaks() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [object, count] : living_)
    all.push_back(fmt::format("{} of {} ({:#x})", count, to_string(object.first), object.second));
  return all;
}

std::vector<std::string> WrappedApi::misuse() const {
  const std::lock_guard lock(mutex_);
  return misuse_;
}

}  // namespace segue::test
