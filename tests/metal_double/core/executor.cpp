// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "metal_double/core/scheduler.hpp"

namespace metal_double {
namespace {

// Values of MTLCommandBufferError.
constexpr long kPageFault = 3;
constexpr long kAccessRevoked = 4;
constexpr long kDeviceRemoved = 11;
constexpr std::uint64_t kAddressTableBytes = 65536;  // Larger buffers hold data, not addresses.

/// A permutation of `count` groups; every one is hit since the factor is coprime to the count.
std::function<std::uint32_t(std::uint32_t)> group_order(Order order, std::uint64_t count,
                                                        std::uint64_t salt) {
  if (order == Order::kInOrder || count < 2) return {};
  if (order == Order::kReversed) {
    return [count](std::uint32_t i) { return static_cast<std::uint32_t>(count - 1 - i); };
  }
  std::uint64_t factor = 1 + salt % count;
  while (std::gcd(factor, count) != 1) ++factor;
  const std::uint64_t shift = (salt >> 32) % count;
  return [=](std::uint32_t i) { return static_cast<std::uint32_t>((i * factor + shift) % count); };
}

std::uint64_t group_count(const msl::Launch& launch) {
  const auto groups = [](std::uint64_t threads, std::uint64_t size) {
    return (threads + size - 1) / size;
  };
  return groups(launch.threads.x, launch.group_size.x) *
         groups(launch.threads.y, launch.group_size.y) *
         groups(launch.threads.z, launch.group_size.z);
}

/// The grid of an indirect dispatch, as its buffer says now.
msl::Extent read_grid(const Dispatch& dispatch) {
  std::array<std::uint32_t, 3> groups{};
  std::memcpy(groups.data(), dispatch.indirect.memory().data, sizeof groups);
  return {groups[0] * dispatch.group_size.x, groups[1] * dispatch.group_size.y,
          groups[2] * dispatch.group_size.z};
}

msl::Launch make_launch(const Dispatch& dispatch) {
  msl::Launch launch;
  launch.function = dispatch.pipeline->info.name;
  launch.constants = dispatch.pipeline->constants;
  for (const auto& [index, slot] : dispatch.buffers) launch.buffers[index] = slot.memory();
  launch.threadgroup_bytes = dispatch.threadgroup_bytes;
  launch.threads = dispatch.indirect.bound() ? read_grid(dispatch) : dispatch.threads;
  launch.group_size = dispatch.group_size;
  return launch;
}

/// Memory of the caller is gone with the object, so that work that lost it cannot run.
bool has_lost_memory(const Dispatch& dispatch) {
  return std::ranges::any_of(dispatch.buffers, [](const auto& bound) {
    const BufferCore* const buffer = bound.second.buffer.get();
    return buffer != nullptr && buffer->imported && buffer->freed();
  });
}

}  // namespace

void Scheduler::settle_locked(const NodePtr& node) {
  settling_.push_back(node);
  if (std::exchange(is_settling_, true)) return;  // The caller further up goes on with it.
  while (!settling_.empty()) {
    const NodePtr next = settling_.back();
    settling_.pop_back();
    settle_one_locked(next);
  }
  is_settling_ = false;
}

void Scheduler::settle_one_locked(const NodePtr& node) {
  CommandBufferCore& owner = *node->owner;
  switch (node->kind) {
    case Node::Kind::kDispatch:
      if (owner.failure != 0) break;
      ready_.emplace(node->sequence, node);
      return;
    case Node::Kind::kWait:
      if (node->event->value >= node->value || lost_ != 0) break;
      waiting_.push_back(node);
      return;
    case Node::Kind::kSignal:
      if (owner.failure == 0 || World::get().options()->signal_after_failure) {
        raise_locked(*node->event, node->value, true);
      }
      break;
    case Node::Kind::kPassBegin: begin_pass_locked(*node); break;
    case Node::Kind::kPassEnd: end_pass_locked(*node); break;
    case Node::Kind::kEnd: complete_locked(node->owner); break;
    case Node::Kind::kJoin: break;
  }
  finish_locked(node);
}

void Scheduler::finish_locked(const NodePtr& node) {
  node->done = true;
  node->owner.reset();
  node->pass.reset();
  node->event.reset();
  for (const NodePtr& successor : std::exchange(node->successors, {})) {
    if (--successor->blockers == 0) settle_locked(successor);
  }
}

void Scheduler::begin_pass_locked(const Node& node) {
  CommandBufferCore& owner = *node.owner;
  if (owner.start_seconds == 0) owner.start_seconds = now_seconds();
  if (owner.failure != 0) return;
  node.pass->state = PassState::kRunning;
  for (const Pass::Samples& samples : node.pass->samples) {
    if (samples.start < samples.buffer->samples.size()) {
      samples.buffer->samples[samples.start] = now_ticks();
    }
  }
  if (owner.planned && owner.planned->pass == node.pass->index) fail_as_planned_locked(owner);
}

void Scheduler::end_pass_locked(const Node& node) {
  if (node.pass->state != PassState::kRunning) return;
  node.pass->state = PassState::kDone;
  for (const Pass::Samples& samples : node.pass->samples) {
    if (samples.end < samples.buffer->samples.size()) {
      samples.buffer->samples[samples.end] = now_ticks();
    }
  }
}

void Scheduler::fail_locked(CommandBufferCore& buffer, long code, std::string reason) {
  if (buffer.failure != 0 || buffer.phase >= Phase::kDone) return;
  buffer.failure = code;
  buffer.failure_reason = std::move(reason);
  for (const Item& item : buffer.items) {
    const auto* const pass = std::get_if<std::shared_ptr<Pass>>(&item);
    if (pass != nullptr && (*pass)->state == PassState::kRunning) {
      (*pass)->state = PassState::kFaulted;
    }
  }
}

void Scheduler::fail_as_planned_locked(CommandBufferCore& buffer) {
  const long code = buffer.planned->code;
  fail_locked(buffer, code, "The test makes this command buffer fail.");
  if (code == kAccessRevoked || code == kDeviceRemoved) lose_locked(code);
}

void Scheduler::complete_locked(const std::shared_ptr<CommandBufferCore>& buffer) {
  if (buffer->planned) fail_as_planned_locked(*buffer);
  buffer->end_seconds = now_seconds();
  if (buffer->start_seconds == 0) buffer->start_seconds = buffer->end_seconds;
  buffer->phase = buffer->failure != 0 ? Phase::kFailed : Phase::kDone;
  for (const std::shared_ptr<Named>& used : buffer->uses) --used->in_flight;
  to_call_.emplace_back(buffer, true);
  callbacks_.notify_all();
}

NodePtr Scheduler::pick_locked() {
  auto chosen = ready_.begin();
  switch (World::get().options()->order) {
    case Order::kInOrder: break;
    case Order::kReversed: chosen = std::prev(ready_.end()); break;
    case Order::kRandom:
      std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % ready_.size()));
      break;
  }
  NodePtr node = chosen->second;
  ready_.erase(chosen);
  return node;
}

/// Gives others a little time to commit what may run before that which is there.
void Scheduler::collect_locked(std::unique_lock<std::mutex>& lock) {
  const auto options = World::get().options();
  if (options->order == Order::kInOrder) return;
  const auto until = std::chrono::steady_clock::now() + options->window;
  while (waiters_ == 0 && !stop_) {
    if (work_.wait_until(lock, until) == std::cv_status::timeout) return;
  }
}

void Scheduler::run_work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto can_run = [&] { return !held_ && !ready_.empty(); };
    if (!can_run()) {
      progress_.notify_all();
      work_.wait(lock, [&] { return stop_ || can_run(); });
      if (stop_) return;
      collect_locked(lock);
      if (!can_run()) continue;
    }
    const NodePtr node = pick_locked();
    const std::uint64_t salt = random_();
    const bool runs = node->owner->failure == 0;
    if (runs) {
      ++dispatches_run_;
      busy_ = true;
      lock.unlock();
      execute(*node, salt);
      lock.lock();
      busy_ = false;
    }
    finish_locked(node);
  }
}

void Scheduler::run_callbacks() {
  std::unique_lock lock(mutex_);
  for (;;) {
    progress_.notify_all();
    callbacks_.wait(lock, [&] { return stop_ || !to_call_.empty(); });
    if (to_call_.empty()) return;
    std::pair<std::shared_ptr<CommandBufferCore>, bool> next = std::move(to_call_.front());
    to_call_.pop_front();
    CommandBufferCore& buffer = *next.first;
    calling_ = true;
    if (buffer.phase == Phase::kCommitted) buffer.phase = Phase::kScheduled;
    std::function<void()> call =
        std::exchange(next.second ? buffer.on_completed : buffer.on_scheduled, nullptr);
    progress_.notify_all();
    lock.unlock();
    if (call) call();
    call = nullptr;  // Drops what it keeps before anybody who waits goes on.
    lock.lock();
    if (next.second) {
      buffer.finished = true;
      in_flight_.erase(next.first);
      --buffer.queue->submitted;
      if (std::exchange(buffer.counted, false)) --buffer.queue->outstanding;
    }
    progress_.notify_all();
    lock.unlock();
    next.first.reset();  // Maybe the last one: not with the mutex locked.
    lock.lock();
    calling_ = false;
  }
}

/// False if the kernel gets the address of a buffer that is not resident.
bool Scheduler::check_addresses(const Node& node, const msl::Launch& launch) {
  for (const msl::BoundBuffer& bound : launch.buffers) {
    if (bound.data == nullptr || bound.size > kAddressTableBytes) continue;
    for (const auto& reached : buffers_addressed_by(bound.data, bound.size)) {
      const std::scoped_lock lock(mutex_);
      const bool in_set = std::ranges::any_of(
          node.owner->residency, [&](const auto& set) { return set->committed.contains(reached); });
      const bool is_bound = std::ranges::any_of(
          node.dispatch->buffers, [&](const auto& slot) { return slot.second.buffer == reached; });
      if (in_set || is_bound || node.pass->used.contains(reached)) continue;
      violation("Kernel \"{}\" gets the address of {}, which is not resident.", launch.function,
                reached->title());
      return false;
    }
  }
  return true;
}

void Scheduler::execute(const Node& node, std::uint64_t salt) {
  const Dispatch& dispatch = *node.dispatch;
  if (has_lost_memory(dispatch)) return;
  msl::Launch launch = make_launch(dispatch);
  if (launch.threads.x == 0 || launch.threads.y == 0 || launch.threads.z == 0) return;
  if (!check_addresses(node, launch)) return;
  launch.group_order = group_order(World::get().options()->order, group_count(launch), salt);
  const auto ran = dispatch.pipeline->module->run(launch);
  if (ran) return;
  violation("Kernel \"{}\" fails: {}", launch.function, ran.error());
  const std::scoped_lock lock(mutex_);
  fail_locked(*node.owner, kPageFault, ran.error());
}

}  // namespace metal_double
