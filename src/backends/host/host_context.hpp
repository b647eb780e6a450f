// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "backends/host/fault.hpp"
#include "backends/host/thread_team.hpp"
#include "base/fail.hpp"
#include "segue/host.hpp"

namespace segue::host {

/// What the queues of one device share, and what outlives the device while a queue does.
struct HostContext {
  HostContext(const HostOptions& options, unsigned thread_count)
      : faults(options.fail_call),
        parallelism(options.parallelism),
        reverse_groups(options.reverse_groups),
        team(thread_count, faults) {}

  FaultHook faults;
  Parallelism parallelism;
  bool reverse_groups;
  ThreadTeam team;
  std::atomic<bool> lost{false};

  [[nodiscard]] Result<> check_alive() const {
    if (!lost.load(std::memory_order_acquire)) return {};
    return base::fail(ErrorCode::kDeviceLost, "The host device is lost.");
  }
  /// Fails if a test wants `call` to fail.
  [[nodiscard]] Result<> check_fault(std::string_view call, ErrorCode code) const {
    if (!faults.fails(call)) return {};
    return base::fail(code, "The host call \"{}\" fails because HostOptions::fail_call says so.",
                      call);
  }
};

}  // namespace segue::host
