// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "backends/vulkan/command_frame.hpp"
#include "backends/vulkan/vulkan_program.hpp"
#include "hal/hal.hpp"

namespace segue::vulkan {

/// A queue of ours on one of the driver's. Its timeline semaphore counts its jobs: job n is done
/// when it reaches n. Nobody but a waiter or, for jobs that nobody waits for at once, a thread of
/// the queue notices that.
///
/// A job that waits for something which the driver has not been given yet is held back, with those
/// behind it, if other queues of ours share the driver's queue: it would block what it waits for.
class VulkanQueue final : public hal::Queue {
 public:
  [[nodiscard]] static Result<std::unique_ptr<VulkanQueue>> create(DeviceSharedPointer device,
                                                                   NativeQueue& native,
                                                                   bool shares_native);
  ~VulkanQueue() override;

  Result<> submit(hal::Job& job) override;
  bool wait(hal::Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) override;
  [[nodiscard]] NativeHandle native_handle(const hal::Job& job) const override {
    return {"VkSemaphore", semaphore_, job.ticket};
  }

 private:
  using Lock = std::unique_lock<std::mutex>;
  /// What other queues ask of this one: its jobs may wait for what goes before them.
  struct Progress {
    explicit Progress(ContextPointer device) : context(std::move(device)) {}
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();

    ContextPointer context;
    VkSemaphore semaphore = VK_NULL_HANDLE;     ///< Counts the jobs that are done.
    std::atomic<std::uint64_t> handed_over{0};  ///< Up to which ticket the driver has the jobs.
  };
  struct Dependency {
    VkSemaphore semaphore;
    std::uint64_t value;
    std::shared_ptr<const Progress> queue;  ///< Null: a timeline.
  };
  struct Entry {
    hal::Job* job = nullptr;
    std::uint64_t ticket = 0;
    std::unique_ptr<CommandFrame> frame;  ///< Null for a job of a program.
    RecordedCommands commands;
    std::vector<Dependency> dependencies;
    std::optional<Error> error;
  };

  VulkanQueue(DeviceSharedPointer device, NativeQueue& native, bool shares_native);
  Result<> prepare(Entry& entry);
  Result<> collect_dependencies(const hal::Job& job, std::vector<Dependency>& dependencies) const;
  bool is_ready(const Dependency& dependency) const;
  Result<> hand_over(const Entry& entry);
  void release_held(Lock& lock);
  void retire(Lock& lock);
  void complete(Entry entry, Lock& lock);
  void wait_for_signals(const hal::Job& job) const;
  Result<std::uint64_t> reached() const;
  Result<> wait_for_ticket(std::uint64_t ticket) const;
  Result<bool> wait_for_ticket(std::uint64_t ticket,
                               std::optional<std::chrono::steady_clock::time_point> deadline) const;
  Result<> ensure_watcher();
  void watch();
  void sleep_until_something_happens(Lock& lock);
  void fail_all(Lock& lock, const Error& error);
  void fail_entries(Lock& lock, const Error& error);

  DeviceSharedPointer device_;
  const Context& context_;
  NativeQueue& native_;
  bool shares_native_;
  std::shared_ptr<Progress> progress_;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;  ///< That of progress_.

  std::mutex mutex_;
  std::condition_variable changed_;  ///< A job completed, or one of the flags below went.
  CommandRecorder recorder_;
  std::uint64_t last_ticket_ = 0;
  std::deque<Entry> submitted_;
  std::deque<Entry> held_;
  bool retiring_ = false;
  std::vector<std::unique_ptr<CommandFrame>> free_frames_;
  std::vector<VkSemaphoreSubmitInfo> waits_, signals_;

  std::thread watcher_;
  std::condition_variable watcher_wake_;
  bool watch_wanted_ = false;
  bool watcher_sleeps_ = false;  ///< Without the lock.
  bool stopping_ = false;
};

}  // namespace segue::vulkan
