// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/host/executor.hpp"
#include "backends/host/host_context.hpp"
#include "hal/hal.hpp"

namespace segue::host {

/// Jobs in the order of submission, waiting to be run. Allocates only to hold more than ever
/// before.
class JobFifo {
 public:
  void push(hal::Job& job);
  [[nodiscard]] bool empty() const { return first_ == jobs_.size(); }
  hal::Job& pop();

 private:
  std::vector<hal::Job*> jobs_;
  std::size_t first_ = 0;
};

/// Runs jobs one after another, on whichever thread comes first: one that waits for a job runs it,
/// and everything before it, itself unless the worker is awake, so that commit and wait needs no
/// other thread; otherwise a worker thread does, which is created with the first job that nobody
/// waits for at once.
///
/// A job first waits for the jobs of other queues that it depends on. Those were submitted earlier,
/// so waits form no circle. Then it waits for timelines, and holds up nothing but its own queue and
/// those who wait for it. A job that signals one is run by the worker, for nobody else may come.
class HostQueue final : public hal::Queue {
 public:
  explicit HostQueue(std::shared_ptr<HostContext> context)
      : context_(std::move(context)), executor_(*context_) {}
  HostQueue(const HostQueue&) = delete;
  HostQueue& operator=(const HostQueue&) = delete;
  ~HostQueue() override;

  /// @error kDeviceLost
  /// @error kOutOfMemory  The system refuses a worker thread.
  Result<> submit(hal::Job& job) override;
  /// With a deadline the worker runs the job, since a kernel cannot be left half-way; if the system
  /// refuses a worker, the calling thread runs it and may return late.
  bool wait(hal::Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) override;

 private:
  using Lock = std::unique_lock<std::mutex>;
  [[nodiscard]] Result<> ensure_worker();
  void work();
  void run_next(Lock& lock);
  [[nodiscard]] hal::Outcome execute(const hal::Job& job);
  void run_until_done(hal::Job& job, Lock& lock);

  std::shared_ptr<HostContext> context_;
  Executor executor_;  // used by the one thread that set running_

  std::mutex mutex_;  // guards what follows
  JobFifo jobs_;
  bool running_ = false;       // a thread runs a job
  bool worker_awake_ = false;  // the worker looks for the next job by itself
  bool worker_wanted_ =
      false;  // until jobs_ is empty: not every job in it has a thread that waits at once
  bool stopping_ = false;
  unsigned waiters_ = 0;             // threads in changed_
  std::condition_variable changed_;  // a job completed, and running_ is false
  std::condition_variable worker_wake_;
  std::thread worker_;
};

}  // namespace segue::host
