// SPDX-License-Identifier: Apache-2.0
#include "metal_double/core/scheduler.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

// What others ask of the scheduler. How work runs is in executor.cpp.
namespace metal_double {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::uint64_t now_ticks() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return static_cast<std::uint64_t>(static_cast<double>(ns) *
                                    World::get().options()->gpu_ticks_per_ns);
}

Scheduler& Scheduler::get() {
  static Scheduler scheduler;
  return scheduler;
}

Scheduler::Scheduler() { World::get(); }

Scheduler::~Scheduler() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
    work_.notify_all();
    callbacks_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
  if (caller_.joinable()) caller_.join();
}

void Scheduler::start_locked() {
  if (worker_.joinable()) return;
  worker_ = std::thread([this] { run_work(); });
  caller_ = std::thread([this] { run_callbacks(); });
}

void Scheduler::begin(const std::shared_ptr<CommandBufferCore>& buffer) {
  std::unique_lock lock(mutex_);
  QueueCore& queue = *buffer->queue;
  ++waiters_;
  work_.notify_all();
  while (queue.outstanding >= queue.max_command_buffers) {
    if (queue.submitted == 0) {
      violation("{} has {} command buffers that nobody commits; another one never comes.",
                queue.title(), queue.outstanding);
      break;
    }
    progress_.wait(lock);
  }
  --waiters_;
  ++queue.outstanding;
  buffer->counted = true;
}

void Scheduler::abandon(CommandBufferCore& buffer) {
  const std::scoped_lock lock(mutex_);
  if (buffer.phase != Phase::kRecording && buffer.phase != Phase::kEnqueued) return;
  if (std::exchange(buffer.counted, false)) --buffer.queue->outstanding;
  if (buffer.phase == Phase::kEnqueued) {
    violation("{} is freed after enqueue and before commit; its queue would wait forever.",
              buffer.title());
    std::erase_if(buffer.queue->enqueued, [&](const auto& each) { return each.get() == &buffer; });
    flush(*buffer.queue);
  }
  progress_.notify_all();
}

void Scheduler::enqueue(const std::shared_ptr<CommandBufferCore>& buffer) {
  const std::scoped_lock lock(mutex_);
  if (buffer->phase != Phase::kRecording) return;
  buffer->phase = Phase::kEnqueued;
  buffer->queue->enqueued.push_back(buffer);
}

void Scheduler::commit(const std::shared_ptr<CommandBufferCore>& buffer) {
  const std::scoped_lock lock(mutex_);
  start_locked();
  QueueCore& queue = *buffer->queue;
  if (buffer->phase == Phase::kRecording) queue.enqueued.push_back(buffer);
  buffer->phase = Phase::kCommitted;
  buffer->planned = World::get().next_failure();
  if (lost_ != 0) fail_locked(*buffer, lost_, "The device was removed.");
  buffer->residency.insert(buffer->residency.end(), queue.residency.begin(), queue.residency.end());
  resolve_indirect(*buffer);
  for (const std::shared_ptr<Named>& used : buffer->uses) {
    if (used->freed()) {
      violation("{} uses {}, which is freed already.", buffer->title(), used->title());
    }
    ++used->in_flight;
  }
  ++queue.submitted;
  in_flight_.insert(buffer);
  flush(queue);
  work_.notify_all();
  callbacks_.notify_all();
}

void Scheduler::wait_scheduled(CommandBufferCore& buffer) {
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [&] { return buffer.phase >= Phase::kScheduled; });
}

void Scheduler::wait_completed(CommandBufferCore& buffer) {
  std::unique_lock lock(mutex_);
  ++waiters_;
  work_.notify_all();
  progress_.wait(lock, [&] { return buffer.finished; });
  --waiters_;
}

bool Scheduler::on_callback_thread() const {
  return std::this_thread::get_id() == caller_.get_id();
}

std::uint64_t Scheduler::value(EventCore& event) {
  const std::scoped_lock lock(mutex_);
  return event.value;
}

void Scheduler::set_value(EventCore& event, std::uint64_t value) {
  const std::scoped_lock lock(mutex_);
  raise_locked(event, value, false);
  work_.notify_all();
  callbacks_.notify_all();
}

bool Scheduler::wait_value(EventCore& event, std::uint64_t value, std::uint64_t timeout_ms) {
  constexpr std::uint64_t kLongest = 1000ULL * 3600 * 24 * 365;  // More overflows the clock.
  std::unique_lock lock(mutex_);
  ++waiters_;
  work_.notify_all();
  const auto timeout = std::chrono::milliseconds(std::min(timeout_ms, kLongest));
  const bool reached = progress_.wait_for(lock, timeout, [&] { return event.value >= value; });
  --waiters_;
  return reached;
}

void Scheduler::raise_locked(EventCore& event, std::uint64_t value, bool by_device) {
  if (value < event.value) {
    violation("{} is signalled with {} by the {}, but its value is {} already.", event.title(),
              value, by_device ? "device" : "host", event.value);
    return;
  }
  event.value = value;
  std::vector<NodePtr> reached;
  std::erase_if(waiting_, [&](const NodePtr& node) {
    const bool goes = node->event.get() == &event && node->value <= value;
    if (goes) reached.push_back(node);
    return goes;
  });
  for (const NodePtr& node : reached) settle_locked(node);
  progress_.notify_all();
}

void Scheduler::check_reliance_locked(const ResidencyCore& set) {
  for (const auto& buffer : in_flight_) {
    for (const std::shared_ptr<BufferCore>& relied : buffer->relied) {
      const bool covered = std::ranges::any_of(
          buffer->residency, [&](const auto& each) { return each->committed.contains(relied); });
      if (covered || buffer->phase >= Phase::kDone) continue;
      violation("{} leaves {} while {}, which is in flight, uses it.", relied->title(), set.title(),
                buffer->title());
    }
  }
}

void Scheduler::commit_residency(const std::shared_ptr<ResidencyCore>& set) {
  const std::scoped_lock lock(mutex_);
  set->committed = set->pending;
  check_reliance_locked(*set);
}

void Scheduler::add_residency(QueueCore& queue, std::shared_ptr<ResidencyCore> set) {
  const std::scoped_lock lock(mutex_);
  if (std::ranges::find(queue.residency, set) == queue.residency.end()) {
    queue.residency.push_back(std::move(set));
  }
}

void Scheduler::remove_residency(QueueCore& queue, const std::shared_ptr<ResidencyCore>& set) {
  const std::scoped_lock lock(mutex_);
  if (std::erase(queue.residency, set) == 0) {
    violation("{} is removed from {}, which does not have it.", set->title(), queue.title());
    return;
  }
  for (const auto& buffer : in_flight_) {
    if (buffer->queue.get() == &queue) std::erase(buffer->residency, set);
  }
  check_reliance_locked(*set);
}

void Scheduler::lose(long code) {
  const std::scoped_lock lock(mutex_);
  lose_locked(code);
}

void Scheduler::lose_locked(long code) {
  if (lost_ != 0) return;
  lost_ = code;
  for (const auto& buffer : in_flight_) fail_locked(*buffer, code, "The device was removed.");
  for (const NodePtr& node : std::exchange(waiting_, {})) settle_locked(node);
  std::vector<NodePtr> stopped;
  for (const auto& [sequence, node] : std::exchange(ready_, {})) stopped.push_back(node);
  for (const NodePtr& node : stopped) settle_locked(node);
  callbacks_.notify_all();
}

void Scheduler::hold(bool hold) {
  const std::scoped_lock lock(mutex_);
  held_ = hold;
  work_.notify_all();
}

void Scheduler::drain() {
  std::unique_lock lock(mutex_);
  if (!worker_.joinable()) return;
  ++waiters_;
  work_.notify_all();
  callbacks_.notify_all();
  progress_.wait(
      lock, [&] { return (ready_.empty() || held_) && !busy_ && to_call_.empty() && !calling_; });
  --waiters_;
}

void Scheduler::finish_all() {
  hold(false);
  drain();
  bool stuck = false;
  {
    const std::scoped_lock lock(mutex_);
    stuck = !in_flight_.empty();
  }
  if (stuck) {  // They wait for events that nobody signals.
    lose(1);
    drain();
  }
}

void Scheduler::begin_anew() {
  const std::scoped_lock lock(mutex_);
  const auto options = World::get().options();
  lost_ = 0;
  dispatches_run_ = 0;
  std::uint64_t seed = options->seed;
  if (options->order == Order::kRandom) {
    if (seed == 0) seed = std::random_device()();
    std::printf("metal_double seed=%llu\n", static_cast<unsigned long long>(seed));
  }
  random_.seed(seed);
}

std::uint64_t Scheduler::dispatches_run() {
  const std::scoped_lock lock(mutex_);
  return dispatches_run_;
}

}  // namespace metal_double
