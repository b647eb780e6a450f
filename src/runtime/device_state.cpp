// SPDX-License-Identifier: Apache-2.0
#include "runtime/device_state.hpp"

#include <fmt/format.h>

#include <thread>
#include <utility>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/kernel_library.hpp"
#include "runtime/residency_state.hpp"

namespace segue::runtime {
namespace {

void destroy(DeviceState* state) {
  if (DeviceThreadScope::active()) {
    std::thread([state] { delete state; }).detach();
  } else {
    delete state;
  }
}

}  // namespace

Result<std::shared_ptr<DeviceState>> DeviceState::create(std::shared_ptr<hal::Device> device,
                                                         const DeviceOptions& options) {
  SEGUE_TRY_ASSIGN(ResolvedOptions resolved, resolve_options(options));
  auto core = std::make_shared<DeviceCore>(std::move(device), std::move(resolved));
  std::shared_ptr<DeviceState> state(new DeviceState(core), destroy);
  state->residency_ = std::make_shared<ResidencyState>(
      core, core->hal().features().residency_sets && !core->options().no_residency);
  SEGUE_TRY_ASSIGN(std::shared_ptr<KernelLibraryState> library,
                   KernelLibraryState::create(core->shared_hal()));
  state->library_ = KernelLibrary(std::move(library));
  for (unsigned i = 0; i < core->options().queue_count; ++i) {
    SEGUE_TRY_ASSIGN(std::unique_ptr<hal::Queue> queue, core->hal().create_queue());
    state->queues_.push_back(std::move(queue));
  }
  return state;
}

DeviceState::~DeviceState() { queues_.clear(); }  // each finishes what was submitted

Result<> DeviceState::submit(const base::Ref<SubmissionState>& recording, unsigned queue,
                             bool wait_at_once) {
  SEGUE_TRY(core_->check_alive());
  if (recording->check_lifetimes) {
    if (auto freed = recording->find_freed_buffer()) return std::unexpected(*std::move(freed));
  }
  const std::lock_guard lock(submit_mutex_);
  SEGUE_TRY(core_->make_room());

  for (const ir::ResourceUse& use : recording->resources())
    SEGUE_TRY(ensure_backed(static_cast<BufferState&>(*use.storage)));
  core_->find_conflicts(recording->resources(), recording->predecessors);
  Counters delta;
  delta.boundary_waits = recording->predecessors.size();
  delta.dispatches_executed = recording->plan->order.size();
  // A queue runs its submissions in order; only other queues must be waited for.
  std::erase_if(recording->predecessors, [queue](const base::Ref<SubmissionState>& earlier) {
    return earlier->queue_index == queue;
  });
  for (const auto& earlier : recording->predecessors) recording->wait_list.push_back(earlier.get());
  recording->waits = recording->wait_list;
  recording->time_barriers = core_->options().profile_barriers;
  recording->waited_for = wait_at_once;
  recording->name = recording->label;
  recording->queue_index = queue;
  recording->queue = queues_[queue].get();
  residency_->flush();
  SEGUE_TRY(core_->register_submission(*recording));
  if (Result<> submitted = recording->queue->submit(*recording); !submitted) {
    static_cast<void>(core_->unregister_submission(*recording));  // the caller has a reference
    if (submitted.error().code == ErrorCode::kDeviceLost) core_->mark_lost();
    return submitted;
  }
  core_->counters.add(delta);
  return {};
}

Result<> DeviceState::wait_idle() {
  for (;;) {
    base::Ref<SubmissionState> oldest;
    {
      // What is registered but not submitted yet cannot be waited for.
      const std::lock_guard lock(submit_mutex_);
      oldest = core_->oldest_in_flight();
    }
    if (!oldest) return core_->check_alive();
    oldest->queue->wait(*oldest, std::nullopt);
  }
}

}  // namespace segue::runtime
