// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "runtime/device_core.hpp"
#include "runtime/submission_state.hpp"
#include "segue/device.hpp"

namespace segue::runtime {

class ResidencyState;

/// A device with its queues. Goes after everything submitted completed; where the last handle goes
/// on a thread that runs such work, another thread waits for that.
class DeviceState {
 public:
  /// @error  What resolve_options() or the backend reports.
  [[nodiscard]] static Result<std::shared_ptr<DeviceState>> create(
      std::shared_ptr<hal::Device> device, const DeviceOptions& options);
  ~DeviceState();

  [[nodiscard]] const std::shared_ptr<DeviceCore>& core() const { return core_; }
  [[nodiscard]] KernelLibrary& library() { return library_; }
  [[nodiscard]] const std::shared_ptr<ResidencyState>& residency() const { return residency_; }
  [[nodiscard]] unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }

  /// Submits a finished recording to a queue, after what it conflicts with.
  ///
  /// @error kBusy, kDeviceLost, those of timelines, or what the backend reports; nothing was
  /// submitted then.
  [[nodiscard]] Result<> submit(const base::Ref<SubmissionState>& recording, unsigned queue,
                                bool wait_at_once);

  [[nodiscard]] Result<> wait_idle();

 private:
  explicit DeviceState(std::shared_ptr<DeviceCore> core) : core_(std::move(core)) {}

  std::shared_ptr<DeviceCore> core_;
  KernelLibrary library_;
  std::shared_ptr<ResidencyState> residency_;
  std::vector<std::unique_ptr<hal::Queue>> queues_;
  std::mutex submit_mutex_;  // conflicts, serial and native submission happen in one order
};

}  // namespace segue::runtime
