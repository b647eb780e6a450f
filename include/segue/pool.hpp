// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "segue/buffer.hpp"
#include "segue/error.hpp"

namespace segue {

namespace runtime {
class PoolState;
}

struct PoolOptions {
  std::uint64_t max_bytes = UINT64_MAX;       ///< Of all buckets together, leased or free.
  std::uint64_t smallest_bucket_bytes = 256;  ///< A power of two.
  bool zero_leases = false;                   ///< Every lease starts as zeros.
  /// Filled into memory that comes back, so that stale reads show. Not applied to zero_leases.
  std::optional<std::byte> poison = {};
  HostAccess host_access = HostAccess::kReadWrite;  ///< Of every lease.
  std::string label = {};
};

/// Memory taken from a pool. Move-only: it cannot be handed out twice. Gives the memory back when
/// it goes.
class PoolLease {
 public:
  PoolLease() = default;
  PoolLease(std::shared_ptr<runtime::PoolState> pool, BufferView view, std::uint32_t bucket)
      : pool_(std::move(pool)), view_(std::move(view)), bucket_(bucket) {}
  PoolLease(PoolLease&& other) noexcept = default;
  PoolLease& operator=(PoolLease&& other) noexcept;
  ~PoolLease() { release(); }

  /// Exactly the size asked for, not the bucket's.
  [[nodiscard]] const BufferView& view() const { return view_; }
  /// Gives the memory back now. The pool reuses it once every submission that uses it completed.
  void release() noexcept;

 private:
  std::shared_ptr<runtime::PoolState> pool_;
  BufferView view_;
  std::uint32_t bucket_ = 0;
};

/// Reusable memory in buckets of powers of two. Thread-safe. Leases keep the pool's memory alive.
class Pool {
 public:
  explicit Pool(std::shared_ptr<runtime::PoolState> state) : state_(std::move(state)) {}

  /// @error kInvalidArgument  The size is 0.
  /// @error kOutOfMemory      The device has no memory left, or the pool would exceed
  /// PoolOptions::max_bytes.
  [[nodiscard]] Result<PoolLease> allocate(std::uint64_t size_bytes);
  /// All leases or none.
  [[nodiscard]] Result<std::vector<PoolLease>> allocate_batch(
      std::span<const std::uint64_t> sizes_bytes);
  /// Frees every buffer of the pool.
  ///
  /// @error kInvalidState  Leases are alive; the message counts them, and nothing is freed.
  Result<> reset();
  /// Frees memory that no lease and no unfinished submission uses until the pool holds at most
  /// `target_bytes`. Returns the bytes freed.
  std::uint64_t trim(std::uint64_t target_bytes = 0);

  struct Stats {
    std::uint64_t leases = 0;
    std::uint64_t leased_bytes = 0;  ///< Of the buckets leased.
    std::uint64_t free_buffers = 0;
    std::uint64_t free_bytes = 0;
    std::uint64_t allocations = 0;  ///< Native allocations ever made.
    std::uint64_t reuses = 0;       ///< Leases served without one.
  };
  [[nodiscard]] Stats stats() const;

 private:
  std::shared_ptr<runtime::PoolState> state_;
};

}  // namespace segue
