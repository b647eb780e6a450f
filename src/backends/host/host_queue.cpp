// SPDX-License-Identifier: Apache-2.0
#include "backends/host/host_queue.hpp"

#include <cassert>
#include <system_error>
#include <utility>

#include "backends/host/spin.hpp"
#include "backends/host/system_info.hpp"

namespace segue::host {
namespace {

// Before a thread sleeps for a job that another one runs; such jobs take tens to hundreds of
// microseconds.
constexpr SpinLimits kJobWait{200, 50};

bool is_complete(const hal::Job& job) { return job.completed.load(std::memory_order_acquire); }

/// Waits for a job of another queue, which some thread runs or is about to run.
void wait_for_other_queue(const hal::Job& job) {
  if (!spin_until(kJobWait, [&] { return is_complete(job); }))
    job.completed.wait(false, std::memory_order_acquire);
}

}  // namespace

void JobFifo::push(hal::Job& job) {
  if (first_ != 0 && jobs_.size() == jobs_.capacity()) {
    jobs_.erase(jobs_.begin(), jobs_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  jobs_.push_back(&job);
}

hal::Job& JobFifo::pop() {
  assert(!empty());
  hal::Job& job = *jobs_[first_++];
  if (empty()) {
    jobs_.clear();
    first_ = 0;
  }
  return job;
}

HostQueue::~HostQueue() {
  {
    Lock lock(mutex_);
    while (running_ || !jobs_.empty()) {
      if (running_) {
        ++waiters_;
        changed_.wait(lock, [this] { return !running_; });
        --waiters_;
      } else {
        run_next(lock);
      }
    }
    stopping_ = true;
    worker_wake_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
}

Result<> HostQueue::submit(hal::Job& job) {
  SEGUE_TRY(context_->check_alive());
  SEGUE_TRY(context_->check_fault("submit", ErrorCode::kBackend));
  const Lock lock(mutex_);
  // Who waits for a timeline does not run this queue, whatever the caller goes on to do.
  if (!job.waited_for || !job.timeline_signals.empty()) {
    SEGUE_TRY(ensure_worker());
    worker_wanted_ = true;
  }
  jobs_.push(job);
  if (worker_wanted_ && !running_) worker_wake_.notify_one();
  return {};
}

/// Call with the mutex held.
Result<> HostQueue::ensure_worker() {
  if (worker_.joinable()) return {};
  SEGUE_TRY(context_->check_fault("create_thread", ErrorCode::kOutOfMemory));
  try {
    worker_ = std::thread([this] { work(); });
  } catch (const std::system_error& error) {
    auto failure =
        base::fail(ErrorCode::kOutOfMemory, "The system refuses a worker thread for a host queue.");
    failure.error().native = NativeError{"host", error.code().value(), error.what()};
    return failure;
  }
  return {};
}

bool HostQueue::wait(hal::Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (is_complete(job)) return true;
  Lock lock(mutex_);
  if (!deadline || !ensure_worker()) {
    run_until_done(job, lock);
    return true;
  }
  worker_wanted_ = true;
  if (!running_) worker_wake_.notify_one();
  ++waiters_;
  const bool done = changed_.wait_until(lock, *deadline, [&] { return is_complete(job); });
  --waiters_;
  return done;
}

/// Returns once `job` completed, having run as much of the queue as no other thread did. A worker
/// that is awake goes on by itself: work that moves between processors leaves its caches behind.
void HostQueue::run_until_done(hal::Job& job, Lock& lock) {
  const auto nobody_runs = [this] { return !running_ && !worker_awake_; };
  while (!is_complete(job)) {
    if (nobody_runs()) {
      run_next(lock);
      continue;
    }
    // An awake worker runs all there is, and need not wake this thread after each job.
    const bool worker_runs_it = worker_awake_ && worker_wanted_;
    lock.unlock();
    const bool done = spin_until(kJobWait, [&] { return is_complete(job); });
    if (!done && worker_runs_it) job.completed.wait(false, std::memory_order_acquire);
    lock.lock();
    if (done || worker_runs_it) return;
    ++waiters_;
    changed_.wait(lock, [&] { return is_complete(job) || nobody_runs(); });
    --waiters_;
  }
}

/// Runs the first job, unlocking meanwhile.
void HostQueue::run_next(Lock& lock) {
  hal::Job& job = jobs_.pop();
  running_ = true;
  lock.unlock();
  job.complete(execute(job));  // The job may be gone now.
  lock.lock();
  running_ = false;
  if (jobs_.empty()) {
    worker_wanted_ = false;
  } else if (worker_wanted_) {
    worker_wake_.notify_one();
  }
  if (waiters_ != 0) changed_.notify_all();
}

/// Runs a job between its waits and its signals.
hal::Outcome HostQueue::execute(const hal::Job& job) {
  for (const hal::Job* other : job.waits) wait_for_other_queue(*other);
  for (const hal::TimelineUse& use : job.timeline_waits) {
    if (Result<bool> reached = use.timeline->wait(use.value, std::nullopt); !reached) {
      hal::Outcome unrun;
      unrun.error = std::move(reached).error();
      return unrun;
    }
  }
  hal::Outcome outcome = executor_.run(job);
  for (const hal::TimelineUse& use : job.timeline_signals) {
    if (outcome.error) break;  // The runtime fails the timelines.
    if (Result<> signalled = use.timeline->signal(use.value); !signalled)
      outcome.error = std::move(signalled).error();
  }
  return outcome;
}

void HostQueue::work() {
  name_this_thread("segue-queue");
  Lock lock(mutex_);
  const auto has_work = [this] {
    return stopping_ || (worker_wanted_ && !running_ && !jobs_.empty());
  };
  for (;;) {
    if (!has_work()) {
      worker_awake_ = false;
      if (waiters_ != 0) changed_.notify_all();
      worker_wake_.wait(lock, has_work);
      worker_awake_ = true;
    }
    if (stopping_) return;
    run_next(lock);
  }
}

}  // namespace segue::host
