// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/vulkan_queue.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "backends/vulkan/vulkan_program.hpp"
#include "backends/vulkan/vulkan_timeline.hpp"
#include "backends/vulkan/wait_time.hpp"
#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

using Clock = std::chrono::steady_clock;

// A waiter asks a GPU this long before it sleeps: waking up costs tens of microseconds, which is
// much of a token. It does not yield in between, which costs a turn of the scheduler
// where others want the processor. Software devices need that processor themselves.
constexpr std::chrono::microseconds kAskBeforeSleeping{2000};
// How long the watcher sleeps before it notices what no semaphore says, such as a failure.
constexpr std::uint64_t kLookUpNs = 50'000'000;
// How long the signals of a completed job may take: they come together with its ticket.
constexpr std::chrono::seconds kMostForSignals{1};
constexpr int kAttempts = 3;  // of a question that the driver may refuse for lack of memory

bool is_complete(const hal::Job& job) { return job.completed.load(std::memory_order_acquire); }

VkSemaphoreSubmitInfo semaphore_info(VkSemaphore semaphore, std::uint64_t value) {
  VkSemaphoreSubmitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
  info.semaphore = semaphore;
  info.value = value;
  info.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  return info;
}

/// Names what is submitted while it lives, for native tools.
class QueueLabel {
 public:
  QueueLabel(const Context& context, VkQueue queue, std::string_view name)
      : context_(context), queue_(context.debug_names && !name.empty() ? queue : VK_NULL_HANDLE) {
    if (queue_ == VK_NULL_HANDLE) return;
    const std::string text(name);
    VkDebugUtilsLabelEXT label{VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT};
    label.pLabelName = text.c_str();
    context_.api.QueueBeginDebugUtilsLabelEXT(queue_, &label);
  }
  QueueLabel(const QueueLabel&) = delete;
  QueueLabel& operator=(const QueueLabel&) = delete;
  ~QueueLabel() {
    if (queue_ != VK_NULL_HANDLE) context_.api.QueueEndDebugUtilsLabelEXT(queue_);
  }

 private:
  const Context& context_;
  VkQueue queue_;
};

/// Why a value that the job waits for never comes; none if it may.
std::optional<Error> failure_of_waits(const hal::Job& job) {
  for (const hal::TimelineUse& use : job.timeline_waits) {
    if (auto error = static_cast<VulkanTimeline&>(*use.timeline).failure(use.value)) return error;
  }
  return std::nullopt;
}

VkSemaphore semaphore_of(const hal::TimelineUse& use) {
  return static_cast<const VulkanTimeline&>(*use.timeline).semaphore();
}

}  // namespace

VulkanQueue::VulkanQueue(DeviceSharedPointer device, NativeQueue& native, bool shares_native)
    : device_(std::move(device)),
      context_(*device_->context),
      native_(native),
      shares_native_(shares_native),
      progress_(std::make_shared<Progress>(device_->context)),
      recorder_(device_->context, *device_->internal) {}

Result<std::unique_ptr<VulkanQueue>> VulkanQueue::create(DeviceSharedPointer device,
                                                         NativeQueue& native, bool shares_native) {
  std::unique_ptr<VulkanQueue> queue(new VulkanQueue(std::move(device), native, shares_native));
  const Context& context = queue->context_;
  VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
  info.pNext = &type;
  VkSemaphore semaphore = VK_NULL_HANDLE;
  SEGUE_VK_TRY(context, CreateSemaphore, context.device, &info, nullptr, &semaphore);
  queue->semaphore_ = queue->progress_->semaphore = semaphore;
  context.set_name(VK_OBJECT_TYPE_SEMAPHORE, queue->semaphore_, "segue queue");
  return queue;
}

VulkanQueue::~VulkanQueue() {
  {
    Lock lock(mutex_);
    while (!submitted_.empty() || !held_.empty()) {
      const std::uint64_t last = held_.empty() ? submitted_.back().ticket : held_.back().ticket;
      lock.unlock();
      const Result<> done = wait_for_ticket(last);
      lock.lock();
      if (!done) {
        fail_all(lock, done.error());
        continue;
      }
      if (retiring_) {
        changed_.wait(lock, [this] { return !retiring_; });
      } else {
        retire(lock);
      }
    }
    stopping_ = true;
    watcher_wake_.notify_all();
  }
  if (watcher_.joinable()) watcher_.join();
}

VulkanQueue::Progress::~Progress() {
  if (semaphore != VK_NULL_HANDLE)
    context->api.DestroySemaphore(context->device, semaphore, nullptr);
}

// Submission.

Result<> VulkanQueue::submit(hal::Job& job) {
  Lock lock(mutex_);
  SEGUE_TRY(context_.check_alive());
  Entry entry;
  entry.job = &job;
  entry.ticket = last_ticket_ + 1;
  SEGUE_TRY(collect_dependencies(job, entry.dependencies));
  bool hold = !held_.empty();
  if (shares_native_) {
    for (const Dependency& dependency : entry.dependencies) hold |= !is_ready(dependency);
  }
  if (hold || !job.waited_for) SEGUE_TRY(ensure_watcher());
  Result<> prepared = prepare(entry);
  if (prepared && !hold) prepared = hand_over(entry);
  if (!prepared) {
    if (entry.frame) free_frames_.push_back(std::move(entry.frame));
    return prepared;
  }
  last_ticket_ = entry.ticket;
  job.ticket = entry.ticket;
  job.ticket_queue = this;
  (hold ? held_ : submitted_).push_back(std::move(entry));
  if (hold || !job.waited_for) {
    watch_wanted_ = true;
    watcher_wake_.notify_one();
  }
  return {};
}

/// Records what the job runs.
Result<> VulkanQueue::prepare(Entry& entry) {
  const hal::Job& job = *entry.job;
  if (job.program != nullptr) {
    SEGUE_TRY_ASSIGN(entry.commands, static_cast<VulkanProgram&>(*job.program).prepare(job));
    return {};
  }
  if (free_frames_.empty()) {
    entry.frame = std::make_unique<CommandFrame>(device_);
  } else {
    entry.frame = std::move(free_frames_.back());
    free_frames_.pop_back();
  }
  RecordOptions options;
  options.time_barriers = job.time_barriers;
  options.time_commands = job.time_commands;
  SEGUE_TRY(entry.frame->record(*device_, recorder_, *job.plan, options));
  entry.commands.buffers[entry.commands.count++] = entry.frame->commands.handle();
  return {};
}

Result<> VulkanQueue::collect_dependencies(const hal::Job& job,
                                           std::vector<Dependency>& dependencies) const {
  for (const hal::Job* other : job.waits) {
    if (is_complete(*other)) continue;
    const auto& queue = static_cast<const VulkanQueue&>(*other->ticket_queue);
    dependencies.push_back({queue.semaphore_, other->ticket, queue.progress_});
  }
  for (const hal::TimelineUse& use : job.timeline_waits)
    dependencies.push_back({semaphore_of(use), use.value, nullptr});
  return {};
}

bool VulkanQueue::is_ready(const Dependency& dependency) const {
  if (dependency.queue != nullptr)
    return dependency.queue->handed_over.load(std::memory_order_acquire) >= dependency.value;
  std::uint64_t value = 0;
  return context_.api.GetSemaphoreCounterValue(context_.device, dependency.semaphore, &value) ==
             VK_SUCCESS &&
         value >= dependency.value;
}

Result<> VulkanQueue::hand_over(const Entry& entry) {
  waits_.clear();
  signals_.clear();
  std::array<VkCommandBufferSubmitInfo, 2> buffers{};
  if (!entry.error) {
    for (const Dependency& dependency : entry.dependencies)
      waits_.push_back(semaphore_info(dependency.semaphore, dependency.value));
    for (const hal::TimelineUse& use : entry.job->timeline_signals)
      signals_.push_back(semaphore_info(semaphore_of(use), use.value));
    for (std::uint32_t i = 0; i < entry.commands.count; ++i) {
      buffers[i].sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
      buffers[i].commandBuffer = entry.commands.buffers[i];
    }
  }
  signals_.push_back(semaphore_info(semaphore_, entry.ticket));
  VkSubmitInfo2 info{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  info.waitSemaphoreInfoCount = static_cast<std::uint32_t>(waits_.size());
  info.pWaitSemaphoreInfos = waits_.data();
  info.commandBufferInfoCount = entry.error ? 0 : entry.commands.count;
  info.pCommandBufferInfos = buffers.data();
  info.signalSemaphoreInfoCount = static_cast<std::uint32_t>(signals_.size());
  info.pSignalSemaphoreInfos = signals_.data();
  const std::lock_guard native_lock(native_.mutex);
  const QueueLabel label(context_, native_.handle, entry.job->name);
  SEGUE_VK_TRY(context_, QueueSubmit2, native_.handle, 1, &info, VK_NULL_HANDLE);
  progress_->handed_over.store(entry.ticket, std::memory_order_release);
  return {};
}

/// Gives the driver what is held back and has nothing to wait for any more.
void VulkanQueue::release_held(Lock& lock) {
  while (!held_.empty()) {
    Entry& entry = held_.front();
    entry.error = failure_of_waits(*entry.job);
    for (const Dependency& dependency : entry.dependencies) {
      if (!entry.error && !is_ready(dependency)) return;
    }
    Result<> handed = hand_over(entry);
    if (!handed) {
      // It fails unrun, but its place in the order is signalled all the same.
      entry.error = std::move(handed).error();
      handed = hand_over(entry);
    }
    if (!handed) return fail_all(lock, handed.error());
    submitted_.push_back(std::move(entry));
    held_.pop_front();
  }
}

// Completion.

Result<std::uint64_t> VulkanQueue::reached() const {
  SEGUE_TRY(context_.check_alive());
  VkResult result = VK_SUCCESS;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint64_t value = 0;
    result = context_.api.GetSemaphoreCounterValue(context_.device, semaphore_, &value);
    // A lost device may report any value, the largest among them.
    if (result == VK_SUCCESS && value != UINT64_MAX) return value;
    if (result == VK_SUCCESS) result = VK_ERROR_DEVICE_LOST;
    if (result == VK_ERROR_DEVICE_LOST) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return context_.fail("vkGetSemaphoreCounterValue", result);
}

/// Completes what is done, in order, without the lock.
void VulkanQueue::retire(Lock& lock) {
  assert(!retiring_);
  retiring_ = true;
  for (;;) {
    const Result<std::uint64_t> value = reached();
    if (!value) {
      fail_entries(lock, value.error());
      break;
    }
    if (submitted_.empty() || submitted_.front().ticket > *value) break;
    while (!submitted_.empty() && submitted_.front().ticket <= *value) {
      Entry entry = std::move(submitted_.front());
      submitted_.pop_front();
      complete(std::move(entry), lock);
    }
  }
  retiring_ = false;
  changed_.notify_all();
}

/// Of a job whose ticket is reached. The signals of one submission come in any order.
void VulkanQueue::wait_for_signals(const hal::Job& job) const {
  const Clock::time_point give_up = Clock::now() + kMostForSignals;
  for (const hal::TimelineUse& use : job.timeline_signals) {
    while (!context_.lost() && Clock::now() < give_up) {
      const Result<std::uint64_t> value = use.timeline->value();
      if (value && *value >= use.value) break;
      std::this_thread::yield();
    }
  }
}

/// Unlocks meanwhile.
void VulkanQueue::complete(Entry entry, Lock& lock) {
  lock.unlock();
  hal::Job& job = *entry.job;
  hal::Outcome outcome;
  if (entry.error) {
    outcome.error = std::move(entry.error);
  } else if (wait_for_signals(job); job.program != nullptr) {
    outcome = static_cast<const VulkanProgram&>(*job.program).outcome(job);
  } else {
    outcome = entry.frame->outcome(*device_);
  }
  job.complete(std::move(outcome));  // the job may be gone now
  lock.lock();
  if (entry.frame) free_frames_.push_back(std::move(entry.frame));
  changed_.notify_all();
}

/// The device is gone, or takes and tells nothing any more: nothing will finish. Unlocks meanwhile.
void VulkanQueue::fail_all(Lock& lock, const Error& error) {
  changed_.wait(lock, [this] { return !retiring_; });
  retiring_ = true;
  fail_entries(lock, error);
  retiring_ = false;
  changed_.notify_all();
}

/// Call with retiring_ set.
void VulkanQueue::fail_entries(Lock& lock, const Error& error) {
  assert(retiring_);
  // Whatever the reason, the device counts as lost from here on: tickets that are never reached
  // would hold up other queues.
  context_.give_up();
  if (error.code != ErrorCode::kDeviceLost) {
    std::vector<std::unique_lock<std::mutex>> natives;
    for (const auto& native : context_.queues) natives.emplace_back(native->mutex);
    static_cast<void>(context_.api.DeviceWaitIdle(context_.device));
  }
  // The watcher may sleep with a semaphore of a job that goes.
  changed_.wait(lock, [this] { return !watcher_sleeps_; });
  std::deque<Entry> failed = std::exchange(submitted_, {});
  std::ranges::move(held_, std::back_inserter(failed));
  held_.clear();
  for (Entry& entry : failed) {
    entry.error = error;
    complete(std::move(entry), lock);
  }
}

Result<> VulkanQueue::wait_for_ticket(std::uint64_t ticket) const {
  SEGUE_TRY_ASSIGN(const bool done, wait_for_ticket(ticket, std::nullopt));
  static_cast<void>(done);
  return {};
}

/// Asks for a while, then sleeps. A driver that cannot sleep is asked on.
Result<bool> VulkanQueue::wait_for_ticket(std::uint64_t ticket,
                                          std::optional<Clock::time_point> deadline) const {
  const bool software = context_.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  const Clock::time_point ask_until =
      Clock::now() + (software ? std::chrono::microseconds(0) : kAskBeforeSleeping);
  for (;;) {
    SEGUE_TRY_ASSIGN(const std::uint64_t value, reached());
    if (value >= ticket) return true;
    const Clock::time_point now = Clock::now();
    if (deadline && now >= *deadline) return false;
    if (now < ask_until) continue;
    const Result<bool> slept = wait_semaphore(context_, semaphore_, ticket, deadline);
    if (slept) return slept;
    if (slept.error().code == ErrorCode::kDeviceLost) return slept;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool VulkanQueue::wait(hal::Job& job, std::optional<Clock::time_point> deadline) {
  if (is_complete(job)) return true;
  const Result<bool> done = wait_for_ticket(job.ticket, deadline);
  if (done && !*done) return false;
  Lock lock(mutex_);
  if (!done && !is_complete(job)) fail_all(lock, done.error());
  while (!is_complete(job)) {
    if (!retiring_) {
      retire(lock);
      continue;
    }
    const auto over = [&] { return !retiring_ || is_complete(job); };
    if (!deadline) {
      changed_.wait(lock, over);
    } else if (!changed_.wait_until(lock, *deadline, over)) {
      return false;
    }
  }
  return true;
}

// The thread that watches jobs nobody waits for at once.

/// Call with the mutex held.
Result<> VulkanQueue::ensure_watcher() {
  if (watcher_.joinable()) return {};
  try {
    watcher_ = std::thread([this] { watch(); });
  } catch (const std::system_error& error) {
    auto failure = base::fail(ErrorCode::kOutOfMemory,
                              "The system refuses a watching thread for a Vulkan queue.");
    failure.error().native = NativeError{"vulkan", error.code().value(), error.what()};
    return failure;
  }
  return {};
}

void VulkanQueue::watch() {
  Lock lock(mutex_);
  for (;;) {
    watcher_wake_.wait(lock, [this] { return stopping_ || watch_wanted_; });
    if (stopping_) return;
    sleep_until_something_happens(lock);
    release_held(lock);
    if (retiring_) {
      changed_.wait(lock, [this] { return !retiring_; });
    } else {
      retire(lock);
    }
    watch_wanted_ = !submitted_.empty() || !held_.empty();
  }
}

/// Until the first submitted job is done, or what the first one held back waits for has come.
void VulkanQueue::sleep_until_something_happens(Lock& lock) {
  std::array<VkSemaphore, 2> semaphores{};
  std::array<std::uint64_t, 2> values{};
  std::uint32_t count = 0;
  const auto add = [&](VkSemaphore semaphore, std::uint64_t value) {
    semaphores[count] = semaphore;
    values[count++] = value;
  };
  if (!submitted_.empty()) add(semaphore_, submitted_.front().ticket);
  if (!held_.empty()) {
    const auto& all = held_.front().dependencies;
    const auto missing =
        std::ranges::find_if_not(all, [this](const Dependency& each) { return is_ready(each); });
    if (missing == all.end()) return;
    add(missing->semaphore, missing->value);
  }
  if (count == 0) return;
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.flags = count > 1 ? VK_SEMAPHORE_WAIT_ANY_BIT : 0;
  info.semaphoreCount = count;
  info.pSemaphores = semaphores.data();
  info.pValues = values.data();
  watcher_sleeps_ = true;
  lock.unlock();
  const VkResult result = context_.api.WaitSemaphores(context_.device, &info, kLookUpNs);
  if (result == VK_ERROR_DEVICE_LOST) {
    static_cast<void>(context_.check("vkWaitSemaphores", result));
  } else if (result != VK_SUCCESS && result != VK_TIMEOUT) {
    // Without memory to sleep with, ask now and then.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  lock.lock();
  watcher_sleeps_ = false;
  changed_.notify_all();
}

}  // namespace segue::vulkan
