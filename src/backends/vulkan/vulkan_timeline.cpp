// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/vulkan_timeline.hpp"

#include <algorithm>
#include <utility>

#include "backends/vulkan/wait_time.hpp"
#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

constexpr const char* kHandleType = "vulkan.timeline_fd";
// How long the driver waits before fail() is noticed, which does not raise the number to whatever
// the host waits for.
constexpr std::chrono::milliseconds kLookUp{50};

}  // namespace

Result<std::unique_ptr<VulkanTimeline>> VulkanTimeline::create(ContextPointer context,
                                                               std::uint64_t initial,
                                                               std::string_view label) {
  std::unique_ptr<VulkanTimeline> timeline(new VulkanTimeline(std::move(context)));
  const Context& device = *timeline->context_;
  VkExportSemaphoreCreateInfo exported{VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO};
  exported.handleTypes = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
  VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  type.initialValue = initial;
  if (device.traits.external_semaphore_fd) type.pNext = &exported;
  VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
  info.pNext = &type;
  VkSemaphore semaphore = VK_NULL_HANDLE;
  SEGUE_VK_TRY(device, CreateSemaphore, device.device, &info, nullptr, &semaphore);
  timeline->semaphore_ = semaphore;
  device.set_name(VK_OBJECT_TYPE_SEMAPHORE, timeline->semaphore_, label);
  return timeline;
}

Result<std::unique_ptr<VulkanTimeline>> VulkanTimeline::import(ContextPointer context,
                                                               const NativeHandle& handle,
                                                               std::string_view label) {
  if (!context->traits.external_semaphore_fd) {
    return base::fail(ErrorCode::kUnsupported,
                      "Device \"{}\" imports no timelines: it has no VK_KHR_external_semaphore_fd.",
                      context->name);
  }
  if (handle.type != kHandleType) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "A timeline is imported from a handle of type \"{}\"; \"{}\" is allowed.",
                      handle.type, kHandleType);
  }
  SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanTimeline> timeline, create(std::move(context), 0, label));
  const Context& device = *timeline->context_;
  VkImportSemaphoreFdInfoKHR info{VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR};
  info.semaphore = timeline->semaphore_;
  info.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
  info.fd = static_cast<int>(handle.value);
  SEGUE_VK_TRY(device, ImportSemaphoreFdKHR, device.device, &info);
  return timeline;
}

VulkanTimeline::~VulkanTimeline() {
  if (semaphore_ != VK_NULL_HANDLE)
    context_->api.DestroySemaphore(context_->device, semaphore_, nullptr);
}

Result<std::uint64_t> VulkanTimeline::value() {
  std::uint64_t value = 0;
  SEGUE_VK_TRY(*context_, GetSemaphoreCounterValue, context_->device, semaphore_, &value);
  return value;
}

Result<> VulkanTimeline::raise(std::uint64_t value) {
  VkSemaphoreSignalInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
  info.semaphore = semaphore_;
  info.value = value;
  SEGUE_VK_TRY(*context_, SignalSemaphore, context_->device, &info);
  return {};
}

Result<> VulkanTimeline::signal(std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  return raise(value);
}

Result<bool> VulkanTimeline::wait(std::uint64_t value,
                                  std::optional<std::chrono::steady_clock::time_point> deadline) {
  for (;;) {
    auto until = std::chrono::steady_clock::now() + kLookUp;
    if (deadline) until = std::min(until, *deadline);
    SEGUE_TRY_ASSIGN(const bool reached, wait_semaphore(*context_, semaphore_, value, until));
    if (auto error = failure(value)) return std::unexpected(*std::move(error));
    if (reached || until == deadline) return reached;
  }
}

std::optional<Error> VulkanTimeline::failure(std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  return error_ && value > reached_at_failure_ ? error_ : std::nullopt;
}

void VulkanTimeline::fail(std::uint64_t value, const Error& error) noexcept {
  const std::lock_guard lock(mutex_);
  const Result<std::uint64_t> now = this->value();
  if (!error_) {
    error_ = error;
    reached_at_failure_ = now ? *now : 0;
  }
  // On a lost device every wait ends by itself.
  if (now && *now < value) static_cast<void>(raise(value));
}

NativeHandle VulkanTimeline::native_handle() const { return {"VkSemaphore", semaphore_, 0}; }

Result<NativeHandle> VulkanTimeline::export_handle() {
  if (!context_->traits.external_semaphore_fd) {
    return base::fail(ErrorCode::kUnsupported,
                      "Device \"{}\" exports no timelines: it has no VK_KHR_external_semaphore_fd.",
                      context_->name);
  }
  VkSemaphoreGetFdInfoKHR info{VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR};
  info.semaphore = semaphore_;
  info.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
  int file = -1;
  SEGUE_VK_TRY(*context_, GetSemaphoreFdKHR, context_->device, &info, &file);
  return NativeHandle{kHandleType, nullptr, static_cast<std::uint64_t>(file)};
}

}  // namespace segue::vulkan
