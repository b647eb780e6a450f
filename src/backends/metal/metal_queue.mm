// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/metal_queue.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "backends/metal/metal_errors.hpp"
#include "backends/metal/metal_program.hpp"
#include "backends/metal/metal_timeline.hpp"
#include "base/fail.hpp"

namespace segue::metal {
namespace {

bool is_complete(const hal::Job& job) { return job.completed.load(std::memory_order_acquire); }

id<MTLSharedEvent> event_of(const hal::TimelineUse& use) {
  return static_cast<const MetalTimeline&>(*use.timeline).event();
}

std::string label_of(const hal::Job& job) {
  return job.name.empty() ? std::string("segue") : std::string(job.name);
}

std::unexpected<Error> no_object(const Context& context, std::string_view what) {
  return base::fail(ErrorCode::kOutOfMemory, "Device \"{}\" gives no {}.", context.name, what);
}

}  // namespace

Result<std::unique_ptr<MetalQueue>> MetalQueue::create(DeviceSharedPointer device) {
  std::unique_ptr<MetalQueue> queue(new MetalQueue(std::move(device)));
  const Context& context = *queue->device_->context;
  const id<MTLDevice> native = context.device.get();
  // One more than are ever in flight, so that asking for a command buffer never waits.
  queue->queue_ = adopt([native
      newCommandQueueWithMaxCommandBufferCount:context.limits.max_submissions_in_flight + 1]);
  if (!queue->queue_) return no_object(context, "command queue");
  [queue->queue_.get() setLabel:@"segue"];
  queue->device_->residency->add_to(queue->queue_.get());
  queue->has_residency_set_ = true;
  queue->done_ = adopt([native newSharedEvent]);
  if (!queue->done_) return no_object(context, "event for a queue");
  queue->order_.fence = adopt([native newFence]);
  if (!queue->order_.fence) return no_object(context, "fence for a queue");
  return queue;
}

MetalQueue::~MetalQueue() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_.empty(); });
  }
  @autoreleasepool {
    if (has_residency_set_) device_->residency->remove_from(queue_.get());
  }
}

// Submission.

Result<Retained<id<MTLCommandBuffer>>> MetalQueue::make_command_buffer(const hal::Job& job) const {
  const auto descriptor = adopt([[MTLCommandBufferDescriptor alloc] init]);
  const MetalOptions& options = device_->context->options;
  [descriptor.get() setRetainedReferences:options.retained_references ? YES : NO];
  [descriptor.get() setErrorOptions:MTLCommandBufferErrorOptionEncoderExecutionStatus];
  auto commands = share([queue_.get() commandBufferWithDescriptor:descriptor.get()]);
  if (!commands) return no_object(*device_->context, "command buffer");
  [commands.get() setLabel:to_ns(label_of(job))];
  return commands;
}

void MetalQueue::encode_waits(const hal::Job& job, InFlight& entry) const {
  const id<MTLCommandBuffer> commands = entry.commands.get();
  if (unfenced_ticket_ != 0) [commands encodeWaitForEvent:done_.get() value:unfenced_ticket_];
  for (const hal::Job* other : job.waits) {
    if (is_complete(*other)) continue;
    const auto& queue = static_cast<const MetalQueue&>(*other->ticket_queue);
    entry.events.push_back(queue.done_);
    [commands encodeWaitForEvent:queue.done_.get() value:other->ticket];
  }
  for (const hal::TimelineUse& use : job.timeline_waits)
    [commands encodeWaitForEvent:event_of(use) value:use.value];
}

/// Signals come when the commands of this command buffer are done; without any, nothing but an
/// event keeps them behind the job before.
void MetalQueue::encode_signals(const hal::Job& job, bool has_pass, const InFlight& entry) {
  const id<MTLCommandBuffer> commands = entry.commands.get();
  if (!has_pass && entry.ticket > 1)
    [commands encodeWaitForEvent:done_.get() value:entry.ticket - 1];
  for (const hal::TimelineUse& use : job.timeline_signals)
    [commands encodeSignalEvent:event_of(use) value:use.value];
  [commands encodeSignalEvent:done_.get() value:entry.ticket];
}

std::unique_ptr<MetalQueue::Frame> MetalQueue::take_frame(bool timed) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Frame> frame;
  if (free_frames_.empty()) {
    frame = std::make_unique<Frame>(device_->context);
  } else {
    frame = std::move(free_frames_.back());
    free_frames_.pop_back();
  }
  if (!timed) return frame;
  if (free_timers_.empty()) {
    frame->timer = std::make_unique<PassTimer>();
  } else {
    frame->timer = std::move(free_timers_.back());
    free_timers_.pop_back();
  }
  return frame;
}

/// Call with mutex_ held. Timers are few in a process, so a frame does not keep one.
void MetalQueue::give_back(std::unique_ptr<Frame> frame) {
  if (frame->timer != nullptr) free_timers_.push_back(std::move(frame->timer));
  free_frames_.push_back(std::move(frame));
}

/// Whether there is a pass.
Result<bool> MetalQueue::encode(const hal::Job& job, id<MTLCommandBuffer> commands, Frame& frame) {
  frame.arena.reset();
  // Without room for samples the job runs untimed.
  if (frame.timer && !frame.timer->prepare(device_->context, job.plan->order.size()))
    frame.timer.reset();
  PassWriter pass(commands, order_, label_of(job), frame.timer.get());
  if (job.time_barriers) pass.time_barriers();
  if (job.program != nullptr) {
    const bool one_by_one = frame.timer != nullptr;
    SEGUE_TRY(static_cast<MetalProgram&>(*job.program).encode(job, pass, one_by_one));
  } else {
    SEGUE_TRY(encoder_.encode(*job.plan, frame.arena, pass));
  }
  pass.finish();
  frame.barriers = pass.barriers();
  frame.barrier_ns = pass.barrier_ns();
  return pass.has_opened();
}

Result<> MetalQueue::submit(hal::Job& job) {
  @autoreleasepool {
    const std::lock_guard submit_lock(submit_mutex_);
    SEGUE_TRY(device_->context->check_alive());
    device_->residency->flush();
    InFlight entry{last_ticket_ + 1, {}, {}};
    SEGUE_TRY_ASSIGN(entry.commands, make_command_buffer(job));
    const id<MTLCommandBuffer> commands = entry.commands.get();
    encode_waits(job, entry);
    std::unique_ptr<Frame> frame =
        take_frame(job.time_commands && device_->context->traits.pass_timestamps);
    const bool fence_was_updated = order_.updated;
    const Result<bool> has_pass = encode(job, commands, *frame);
    if (!has_pass) {
      order_.updated = fence_was_updated;  // the command buffer is given up
      const std::lock_guard lock(mutex_);
      give_back(std::move(frame));
      return std::unexpected(has_pass.error());
    }
    encode_signals(job, *has_pass, entry);
    last_ticket_ = entry.ticket;
    unfenced_ticket_ = *has_pass ? 0 : entry.ticket;
    job.ticket = entry.ticket;
    job.ticket_queue = this;
    {
      const std::lock_guard lock(mutex_);
      in_flight_.push_back(std::move(entry));
    }
    Frame* const used = frame.release();
    const std::uint64_t ticket = last_ticket_;
    hal::Job* const submitted = &job;
    [commands addCompletedHandler:^(id<MTLCommandBuffer> done) {
      complete(*submitted, ticket, done, used);
    }];
    [commands commit];
    return {};
  }
}

// Completion.

/// On a thread of the system's.
void MetalQueue::complete(hal::Job& job, std::uint64_t ticket, id<MTLCommandBuffer> commands,
                          Frame* frame) {
  std::unique_ptr<Frame> own(frame);
  @autoreleasepool {
    hal::Outcome outcome = outcome_of(job, commands, *own);
    // What waits for a failed job goes on all the same.
    if (outcome.error && [done_.get() signaledValue] < ticket)
      [done_.get() setSignaledValue:ticket];
    job.complete(std::move(outcome));  // The job may be gone now, or submitted again.
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(in_flight_, [ticket](const InFlight& each) { return each.ticket == ticket; });
  give_back(std::move(own));
  changed_.notify_all();  // With the lock, since the queue may go right after.
}

hal::Outcome MetalQueue::outcome_of(const hal::Job& job, id<MTLCommandBuffer> commands,
                                    const Frame& frame) {
  hal::Outcome outcome;
  outcome.command_buffers = 1;
  outcome.barriers_issued = frame.barriers;
  outcome.barrier_ns = frame.barrier_ns;
  outcome.start_seconds = [commands GPUStartTime];
  outcome.end_seconds = [commands GPUEndTime];
  if ([commands status] == MTLCommandBufferStatusError) {
    outcome.error = command_buffer_error([commands error], label_of(job));
    if (means_lost([commands error])) device_->context->give_up();
    return outcome;
  }
  if (frame.timer == nullptr) return outcome;
  outcome.command_times = frame.timer->times();
  // Two clocks agree only so far.
  for (hal::CommandTime& time : outcome.command_times) {
    time.start_seconds = std::clamp(time.start_seconds, outcome.start_seconds, outcome.end_seconds);
    time.end_seconds = std::clamp(time.end_seconds, time.start_seconds, outcome.end_seconds);
  }
  return outcome;
}

bool MetalQueue::wait(hal::Job& job,
                      std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (is_complete(job)) return true;
  std::unique_lock lock(mutex_);
  if (deadline) return changed_.wait_until(lock, *deadline, [&] { return is_complete(job); });
  const auto found = std::ranges::find(in_flight_, job.ticket, &InFlight::ticket);
  if (found != in_flight_.end()) {
    const Retained<id<MTLCommandBuffer>> commands = found->commands;
    lock.unlock();
    @autoreleasepool {
      [commands.get() waitUntilCompleted];
    }
  } else {
    lock.unlock();
  }
  job.completed.wait(false, std::memory_order_acquire);
  return true;
}

}  // namespace segue::metal
