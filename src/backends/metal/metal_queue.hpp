// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "backends/metal/arena.hpp"
#include "backends/metal/device_shared.hpp"
#include "backends/metal/pass_writer.hpp"
#include "backends/metal/plan_encoder.hpp"
#include "hal/hal.hpp"

namespace segue::metal {

/// A command queue. Each job is one command buffer with one concurrent compute pass; a fence orders
/// the passes one after the other. An event counts the jobs that are done, for other queues.
class MetalQueue final : public hal::Queue {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MetalQueue>> create(DeviceSharedPointer device);
  ~MetalQueue() override;

  Result<> submit(hal::Job& job) override;
  bool wait(hal::Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) override;
  [[nodiscard]] NativeHandle native_handle(const hal::Job& job) const override {
    return {"MTLSharedEvent", done_.get(), job.ticket};
  }

 private:
  /// What the commands of one job need until they are done; used again by later ones.
  struct Frame {
    explicit Frame(const ContextPointer& context) : arena(context) {}
    Arena arena;
    std::unique_ptr<PassTimer> timer;  ///< Null: commands are not timed.
    std::uint64_t barriers = 0;
    std::uint64_t barrier_ns = 0;
  };
  struct InFlight {
    std::uint64_t ticket;  ///< Not the job: its place may be another's before its end is noted.
    Retained<id<MTLCommandBuffer>> commands;
    /// Of other queues, which may go before this job does.
    std::vector<Retained<id<MTLSharedEvent>>> events;
  };

  explicit MetalQueue(DeviceSharedPointer device)
      : device_(std::move(device)), encoder_(device_->context, *device_->internal) {}
  Result<Retained<id<MTLCommandBuffer>>> make_command_buffer(const hal::Job& job) const;
  Result<bool> encode(const hal::Job& job, id<MTLCommandBuffer> commands, Frame& frame);
  void encode_waits(const hal::Job& job, InFlight& entry) const;
  void encode_signals(const hal::Job& job, bool has_pass, const InFlight& entry);
  std::unique_ptr<Frame> take_frame(bool timed);
  void give_back(std::unique_ptr<Frame> frame);
  void complete(hal::Job& job, std::uint64_t ticket, id<MTLCommandBuffer> commands, Frame* frame);
  hal::Outcome outcome_of(const hal::Job& job, id<MTLCommandBuffer> commands, const Frame& frame);

  DeviceSharedPointer device_;
  Retained<id<MTLCommandQueue>> queue_;
  Retained<id<MTLSharedEvent>> done_;  ///< Counts tickets.

  std::mutex submit_mutex_;  // guards what encodes, before mutex_
  PlanEncoder encoder_;
  PassOrder order_;
  std::uint64_t last_ticket_ = 0;
  /// The last job, if it has no pass: the fence does not order it.
  std::uint64_t unfenced_ticket_ = 0;
  bool has_residency_set_ = false;

  std::mutex mutex_;                 // guards what follows
  std::condition_variable changed_;  ///< A job completed.
  std::vector<InFlight> in_flight_;
  std::vector<std::unique_ptr<Frame>> free_frames_;
  std::vector<std::unique_ptr<PassTimer>> free_timers_;
};

}  // namespace segue::metal
