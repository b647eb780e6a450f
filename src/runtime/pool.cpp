// SPDX-License-Identifier: Apache-2.0
#include "segue/pool.hpp"

#include "runtime/pool_state.hpp"

namespace segue {

PoolLease& PoolLease::operator=(PoolLease&& other) noexcept {
  if (this == &other) return *this;
  release();
  pool_ = std::move(other.pool_);
  view_ = std::move(other.view_);
  bucket_ = other.bucket_;
  return *this;
}

void PoolLease::release() noexcept {
  const std::shared_ptr<runtime::PoolState> pool = std::exchange(pool_, nullptr);
  if (pool == nullptr) return;
  // The pool looks at who else refers to the buffer, so this handle goes first.
  Buffer buffer = view_.buffer();
  view_ = {};
  pool->give_back(std::move(buffer), bucket_);
}

Result<PoolLease> Pool::allocate(std::uint64_t size_bytes) {
  SEGUE_TRY_ASSIGN(std::vector<PoolLease> leases, state_->allocate({&size_bytes, 1}));
  return std::move(leases.front());
}

Result<std::vector<PoolLease>> Pool::allocate_batch(std::span<const std::uint64_t> sizes_bytes) {
  return state_->allocate(sizes_bytes);
}

Result<> Pool::reset() { return state_->reset(); }

std::uint64_t Pool::trim(std::uint64_t target_bytes) { return state_->trim(target_bytes); }

Pool::Stats Pool::stats() const { return state_->stats(); }

}  // namespace segue
