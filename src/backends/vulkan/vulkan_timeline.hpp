// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "backends/vulkan/context.hpp"
#include "hal/hal.hpp"

namespace segue::vulkan {

/// A timeline semaphore that users see.
class VulkanTimeline final : public hal::Timeline {
 public:
  [[nodiscard]] static Result<std::unique_ptr<VulkanTimeline>> create(ContextPointer context,
                                                                      std::uint64_t initial,
                                                                      std::string_view label);
  /// From a file descriptor, "vulkan.timeline_fd", which is closed with the timeline.
  [[nodiscard]] static Result<std::unique_ptr<VulkanTimeline>> import(ContextPointer context,
                                                                      const NativeHandle& handle,
                                                                      std::string_view label);
  ~VulkanTimeline() override;

  [[nodiscard]] Result<std::uint64_t> value() override;
  Result<> signal(std::uint64_t value) override;
  Result<bool> wait(std::uint64_t value,
                    std::optional<std::chrono::steady_clock::time_point> deadline) override;
  void fail(std::uint64_t value, const Error& error) noexcept override;
  /// Why `value` never comes; none if it may, or has.
  [[nodiscard]] std::optional<Error> failure(std::uint64_t value);
  [[nodiscard]] NativeHandle native_handle() const override;
  [[nodiscard]] Result<NativeHandle> export_handle() override;

  [[nodiscard]] VkSemaphore semaphore() const { return semaphore_; }

 private:
  explicit VulkanTimeline(ContextPointer context) : context_(std::move(context)) {}
  Result<> raise(std::uint64_t value);

  ContextPointer context_;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
  std::mutex mutex_;  ///< Of what follows, and of signals from the host.
  std::optional<Error> error_;
  std::uint64_t reached_at_failure_ = 0;
};

}  // namespace segue::vulkan
