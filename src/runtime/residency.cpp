// SPDX-License-Identifier: Apache-2.0
#include "segue/residency.hpp"

#include <algorithm>

#include "runtime/buffer_state.hpp"
#include "runtime/residency_state.hpp"

namespace segue {

namespace runtime {

namespace {

/// Removes `buffer` from a list of staged changes; whether it was there.
bool unstage(std::vector<Buffer>& staged, const Buffer& buffer) {
  return std::erase(staged, buffer) != 0;
}

bool contains(const std::vector<Buffer>& staged, const Buffer& buffer) {
  return std::ranges::find(staged, buffer) != staged.end();
}

}  // namespace

ResidencyState::~ResidencyState() { erase_from(0); }

void ResidencyState::add(const Buffer& buffer) {
  if (!buffer) return;
  const std::scoped_lock lock(mutex_);
  if (unstage(staged_removes_, buffer) || contains(staged_adds_, buffer)) return;
  const auto entry = std::ranges::find(resident_, buffer, &Entry::buffer);
  if (entry != resident_.end() && entry->remove_after == 0) return;
  staged_adds_.push_back(buffer);
  pending_.store(true, std::memory_order_release);
}

void ResidencyState::remove(const Buffer& buffer) {
  if (!buffer) return;
  const std::scoped_lock lock(mutex_);
  if (unstage(staged_adds_, buffer) || contains(staged_removes_, buffer)) return;
  const auto entry = std::ranges::find(resident_, buffer, &Entry::buffer);
  if (entry == resident_.end() || entry->remove_after != 0) return;
  staged_removes_.push_back(buffer);
  pending_.store(true, std::memory_order_release);
}

void ResidencyState::flush() {
  if (!pending_.load(std::memory_order_acquire)) return;
  const std::scoped_lock lock(mutex_);
  bool changed = false;
  for (const Buffer& buffer : staged_removes_) {
    const auto entry = std::ranges::find(resident_, buffer, &Entry::buffer);
    // The submission that this flush belongs to may use the buffer, and comes next.
    entry->remove_after = core_->last_serial() + 1;
  }
  for (Buffer& buffer : staged_adds_) {
    const auto entry = std::ranges::find(resident_, buffer, &Entry::buffer);
    if (entry != resident_.end()) {
      entry->remove_after = 0;  // It was on its way out.
      continue;
    }
    resident_.push_back({std::move(buffer), 0, nullptr});
    changed = true;
  }
  staged_removes_.clear();
  staged_adds_.clear();
  if (erase_gone()) changed = true;
  const bool all_told = tell_backend();
  const bool leaving =
      std::ranges::any_of(resident_, [](const Entry& entry) { return entry.remove_after != 0; });
  pending_.store(leaving || !all_told, std::memory_order_release);
  if (!changed) return;
  ++flushes_;
  Counters delta;
  delta.residency_flushes = 1;
  core_->counters.add(delta);
}

/// Forgets what is on its way out and no longer in use; whether there was any.
bool ResidencyState::erase_gone() {
  const auto leaving =
      std::ranges::partition(resident_, [this](const Entry& entry) { return !gone(entry); });
  if (leaving.empty()) return false;
  erase_from(static_cast<std::size_t>(leaving.begin() - resident_.begin()));
  return true;
}

void ResidencyState::erase_from(std::size_t first) {
  while (resident_.size() > first) {
    const Entry entry = std::move(resident_.back());
    resident_.pop_back();
    // Buffers may be parts of one memory.
    const bool shared = std::ranges::count(resident_, entry.memory, &Entry::memory) != 0;
    if (entry.memory != nullptr && !shared) core_->hal().set_residency(*entry.memory, false);
  }
}

/// Tells the backend of memory that it has not been told of; whether all buffers have some.
bool ResidencyState::tell_backend() {
  if (!enabled_) return true;
  bool all = true;
  for (Entry& entry : resident_) {
    if (entry.memory != nullptr) continue;
    entry.memory = entry.buffer.state()->backing();
    if (entry.memory == nullptr) {
      all = false;
      continue;
    }
    core_->hal().set_residency(*entry.memory, true);
  }
  return all;
}

bool ResidencyState::gone(const Entry& entry) const {
  return entry.remove_after != 0 && entry.remove_after < core_->completed_below() &&
         !core_->in_use(*entry.buffer.state());
}

ResidencySet::Stats ResidencyState::stats() const {
  const std::scoped_lock lock(mutex_);
  ResidencySet::Stats stats;
  stats.resident = resident_.size();
  stats.pending_adds = staged_adds_.size();
  stats.pending_removes = staged_removes_.size();
  for (const Entry& entry : resident_) {
    stats.resident_bytes += entry.buffer.size_bytes();
    if (entry.remove_after != 0) ++stats.pending_removes;
  }
  stats.flushes = flushes_;
  return stats;
}

}  // namespace runtime

bool ResidencySet::enabled() const { return state_->enabled(); }

void ResidencySet::add(const Buffer& buffer) { state_->add(buffer); }

void ResidencySet::remove(const Buffer& buffer) { state_->remove(buffer); }

ResidencySet::Stats ResidencySet::stats() const { return state_->stats(); }

}  // namespace segue
