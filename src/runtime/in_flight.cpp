// SPDX-License-Identifier: Apache-2.0
//
// Which submissions have not completed, and what they touch. Few are in flight at a time, and each
// has summed up its accesses per buffer while it was recorded, so a scan is all that ordering
// across submissions, queues and the host needs.
#include <algorithm>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/describe.hpp"
#include "runtime/device_core.hpp"
#include "runtime/submission_state.hpp"
#include "runtime/timeline_order.hpp"

namespace segue::runtime {
namespace {

/// Calls `visit` with the hull of the reads and of the writes of a resource, where there are any.
template <class Visitor>
bool any_hull(const ir::ResourceUse& use, Visitor&& visit) {
  const ir::Storage& storage = *use.storage;
  return (use.read_begin != use.read_end &&
          visit(storage.range(use.read_begin, use.read_end - use.read_begin, Access::kRead))) ||
         (use.write_begin != use.write_end &&
          visit(storage.range(use.write_begin, use.write_end - use.write_begin, Access::kWrite)));
}

using Resources = std::span<const ir::ResourceUse>;

bool uses_conflict(Resources resources, const AccessRange& range) {
  return std::ranges::any_of(resources, [&range](const ir::ResourceUse& use) {
    return use.storage->memory == range.memory &&
           any_hull(use, [&range](const AccessRange& hull) { return conflicts(hull, range); });
  });
}

bool is_written(const ir::ResourceUse& use) { return use.write_begin != use.write_end; }

/// Most of what a submission touches are weights, which nobody writes: those pairs are passed over
/// first.
bool resources_conflict(Resources earlier, Resources later) {
  return std::ranges::any_of(later, [&earlier](const ir::ResourceUse& use) {
    return std::ranges::any_of(earlier, [&use](const ir::ResourceUse& other) {
      return (is_written(use) || is_written(other)) &&
             use.storage->memory == other.storage->memory &&
             any_hull(use, [&other](const AccessRange& hull) {
               return any_hull(other, [&hull](const AccessRange& other_hull) {
                 return conflicts(hull, other_hull);
               });
             });
    });
  });
}

/// What the host maps, the device must not write; what it maps for writing, not touch at all.
Result<> check_mappings(Resources resources) {
  for (const ir::ResourceUse& use : resources) {
    const auto& buffer = static_cast<const BufferState&>(*use.storage);
    const bool written = use.write_begin != use.write_end;
    if (buffer.write_mappings.load() == 0 && (!written || buffer.read_mappings.load() == 0))
      continue;
    return base::fail(ErrorCode::kBusy, "The host maps {}, which the recording {}.",
                      describe(buffer), written ? "writes" : "uses");
  }
  return {};
}

}  // namespace

DeviceCore::~DeviceCore() {
  for (SubmissionState* recording : free_) delete recording;
}

base::Ref<SubmissionState> DeviceCore::acquire_recording(bool retain) {
  SubmissionState* recording = nullptr;
  {
    const std::lock_guard lock(free_mutex_);
    if (!free_.empty()) {
      recording = free_.back();
      free_.pop_back();
    }
  }
  if (recording == nullptr) recording = new SubmissionState(*this);
  // Checking an unretained recording needs its storages to be there, freed or not.
  const bool check = !retain && hal_->features().lifetime_checks;
  recording->reset(retain || check);
  recording->check_lifetimes = check;
  return base::Ref(recording);
}

void DeviceCore::recycle(SubmissionState* recording) noexcept {
  recording->list.clear();
  recording->predecessors.clear();  // a refused submission still has them
  recording->timelines.clear(*recording);
  recording->first_part = {};  // which comes here as well, so before the lock
  const std::lock_guard lock(free_mutex_);
  free_.push_back(recording);
}

Result<> DeviceCore::register_submission(SubmissionState& submission) {
  const std::lock_guard lock(in_flight_mutex_);
  // The host counts itself before it takes the lock, so it is either seen here or sees this.
  SEGUE_TRY(check_mappings(submission.resources()));
  if (!submission.timelines.empty()) SEGUE_TRY(check_order(in_flight_, submission));
  submission.serial = ++last_serial_;
  in_flight_.push_back(&submission);
  submission.retain();
  return {};
}

void DeviceCore::retire_submission(SubmissionState& submission) {
  const std::lock_guard lock(in_flight_mutex_);
  submission.retired = true;
}

bool DeviceCore::unregister_submission(SubmissionState& submission) {
  bool unreferenced = false;
  {
    // Under the lock, for that is where others find the submission and take a reference.
    const std::lock_guard lock(in_flight_mutex_);
    std::erase(in_flight_, &submission);
    unreferenced = submission.release_undestroyed();
    submission.completed.store(true, std::memory_order_release);
  }
  submission.completed.notify_all();
  return unreferenced;
}

Result<> DeviceCore::wait_until_free(const AccessRange& range, WaitMode mode,
                                     std::string_view label) {
  for (;;) {
    base::Ref<SubmissionState> blocker;
    {
      const std::lock_guard lock(in_flight_mutex_);
      // The last one: a queue completes in order, so the earlier ones of its queue are waited for
      // with it.
      const auto last = std::ranges::find_if(
          in_flight_.rbegin(), in_flight_.rend(), [&range](const SubmissionState* submission) {
            return !submission->retired && uses_conflict(submission->resources(), range);
          });
      if (last != in_flight_.rend()) blocker = base::Ref(*last);
    }
    if (!blocker) return check_alive();
    if (mode == WaitMode::kDontWait) {
      return base::fail(ErrorCode::kBusy, "Unfinished work {} buffer \"{}\".",
                        writes(range.access) ? "uses" : "writes", label);
    }
    blocker->wait_completed();
  }
}

bool DeviceCore::in_use(const ir::Storage& storage) {
  const std::lock_guard lock(in_flight_mutex_);
  return std::ranges::any_of(in_flight_, [&storage](const SubmissionState* submission) {
    return !submission->retired &&
           std::ranges::any_of(submission->resources(), [&storage](const ir::ResourceUse& use) {
             return use.storage == &storage;
           });
  });
}

void DeviceCore::find_conflicts(std::span<const ir::ResourceUse> resources,
                                std::vector<base::Ref<SubmissionState>>& conflicts) {
  const std::lock_guard lock(in_flight_mutex_);
  for (SubmissionState* submission : in_flight_) {
    if (!submission->retired && resources_conflict(submission->resources(), resources))
      conflicts.push_back(base::Ref(submission));
  }
}

std::uint64_t DeviceCore::completed_below() {
  const std::lock_guard lock(in_flight_mutex_);
  return in_flight_.empty() ? last_serial_ + 1 : in_flight_.front()->serial;
}

std::uint64_t DeviceCore::last_serial() {
  const std::lock_guard lock(in_flight_mutex_);
  return last_serial_;
}

base::Ref<SubmissionState> DeviceCore::oldest_in_flight() {
  const std::lock_guard lock(in_flight_mutex_);
  return in_flight_.empty() ? base::Ref<SubmissionState>() : base::Ref(in_flight_.front());
}

}  // namespace segue::runtime
