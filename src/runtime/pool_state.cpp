// SPDX-License-Identifier: Apache-2.0
#include "runtime/pool_state.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"

namespace segue::runtime {

namespace {

std::string describe_pool(const PoolOptions& options) {
  return options.label.empty() ? "The pool" : "Pool \"" + options.label + "\"";
}

}  // namespace

PoolState::PoolState(std::shared_ptr<DeviceCore> core, const PoolOptions& options)
    : core_(std::move(core)), options_(options) {}

Result<std::shared_ptr<PoolState>> PoolState::create(std::shared_ptr<DeviceCore> core,
                                                     const PoolOptions& options) {
  if (!std::has_single_bit(options.smallest_bucket_bytes)) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "PoolOptions::smallest_bucket_bytes is {}; it is a power of two.",
                      options.smallest_bucket_bytes);
  }
  return std::shared_ptr<PoolState>(new PoolState(std::move(core), options));
}

Result<std::uint32_t> PoolState::bucket_for(std::uint64_t size_bytes) const {
  const std::uint64_t limit = core_->hal().limits().max_buffer_bytes;
  if (size_bytes == 0) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "{} is asked for a lease of 0 bytes; a lease has at least 1.",
                      describe_pool(options_));
  }
  if (size_bytes > limit) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "{} is asked for a lease of {} bytes but Limits::max_buffer_bytes is {}.",
                      describe_pool(options_), size_bytes, limit);
  }
  const std::uint64_t smallest = options_.smallest_bucket_bytes;
  // Rounding up to a power of two is a question of the number of bits, which cannot overflow.
  const int bits =
      std::max(static_cast<int>(std::bit_width(size_bytes - 1)), std::countr_zero(smallest));
  return static_cast<std::uint32_t>(bits - std::countr_zero(smallest));
}

std::uint64_t PoolState::bucket_bytes(std::uint32_t bucket) const {
  const std::uint64_t limit = core_->hal().limits().max_buffer_bytes;
  const int bits = std::countr_zero(options_.smallest_bucket_bytes) + static_cast<int>(bucket);
  return bits >= 64 ? limit : std::min(std::uint64_t{1} << bits, limit);
}

bool PoolState::is_idle(const Buffer& buffer) const {
  const BufferState& state = *buffer.state();
  if (state.handles.load(std::memory_order_relaxed) != 1 || state.reference_count() != 1)
    return false;
  if (core_->in_use(state)) return false;
  // What others did to the bytes before they let go of them happens before the next lease.
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

Result<std::vector<PoolLease>> PoolState::allocate(std::span<const std::uint64_t> sizes_bytes) {
  SEGUE_TRY(core_->check_alive());
  std::vector<Taken> taken;
  std::vector<PoolLease> leases;
  taken.reserve(sizes_bytes.size());
  leases.reserve(sizes_bytes.size());

  const std::scoped_lock lock(mutex_);
  const auto take_all = [&]() -> Result<> {
    for (const std::uint64_t size : sizes_bytes) {
      SEGUE_TRY_ASSIGN(const std::uint32_t bucket, bucket_for(size));
      SEGUE_TRY_ASSIGN(Taken buffer, take(bucket));
      taken.push_back(std::move(buffer));
    }
    return {};
  };
  try {
    if (Result<> all = take_all(); !all) {
      put_back(taken);
      return std::unexpected(std::move(all).error());
    }
  } catch (...) {  // No memory is left on the host.
    put_back(taken);
    throw;
  }

  for (std::size_t i = 0; i < taken.size(); ++i) {
    const Taken& buffer = taken[i];
    ++stats_.leases;
    stats_.leased_bytes += buffer.buffer.size_bytes();
    stats_.reuses += buffer.fresh ? 0 : 1;
    leases.emplace_back(shared_from_this(), *buffer.buffer.view(0, sizes_bytes[i]), buffer.bucket);
  }
  return leases;
}

Result<PoolState::Taken> PoolState::take(std::uint32_t bucket) {
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  SEGUE_TRY_ASSIGN(Buffer reused, take_free(bucket));
  if (reused) return Taken{std::move(reused), bucket, false};
  SEGUE_TRY_ASSIGN(Buffer fresh, make_buffer(bucket));
  return Taken{std::move(fresh), bucket, true};
}

Result<Buffer> PoolState::take_free(std::uint32_t bucket) {
  std::vector<FreeBuffer>& free = buckets_[bucket].free;
  const auto idle = std::find_if(free.rbegin(), free.rend(), [this](const FreeBuffer& candidate) {
    return is_idle(candidate.buffer);
  });
  if (idle == free.rend()) return Buffer();
  SEGUE_TRY(clean(*idle));
  Buffer buffer = std::move(idle->buffer);
  free.erase(std::next(idle).base());
  return buffer;
}

Result<> PoolState::clean(FreeBuffer& free) const {
  if (!free.used) return {};
  if (options_.zero_leases) {
    SEGUE_TRY(fill_idle(*free.buffer.state(), std::byte{0}));
  } else if (options_.poison) {
    SEGUE_TRY(fill_idle(*free.buffer.state(), *options_.poison));
  }
  free.used = false;
  return {};
}

Result<Buffer> PoolState::make_buffer(std::uint32_t bucket) {
  const std::uint64_t bytes = bucket_bytes(bucket);
  if (bytes <= options_.max_bytes && total_bytes_ > options_.max_bytes - bytes)
    trim_locked(options_.max_bytes - bytes);
  if (bytes > options_.max_bytes || total_bytes_ > options_.max_bytes - bytes) {
    return base::fail(
        ErrorCode::kOutOfMemory,
        "{} holds {} bytes in use and needs {} more but PoolOptions::max_bytes is {}.",
        describe_pool(options_), total_bytes_, bytes, options_.max_bytes);
  }
  // Giving back happens where nothing may throw, so room for it is made now.
  Bucket& home = buckets_[bucket];
  home.free.reserve(std::bit_ceil(home.buffer_count + 1));

  BufferDesc desc;
  desc.size_bytes = bytes;
  desc.host_access = options_.host_access;
  desc.uninitialised = !options_.zero_leases;
  desc.label = options_.label;
  Result<Buffer> buffer = create_buffer(core_, desc);
  if (!buffer && buffer.error().code == ErrorCode::kOutOfMemory && trim_locked(0) > 0) {
    buffer = create_buffer(core_, desc);
  }
  if (!buffer) return buffer;
  ++home.buffer_count;
  total_bytes_ += bytes;
  ++stats_.allocations;
  return buffer;
}

void PoolState::put_back(std::vector<Taken>& taken) noexcept {
  for (Taken& buffer : taken) {
    Bucket& home = buckets_[buffer.bucket];
    if (buffer.fresh) {
      forget(home, buffer.buffer);
    } else {
      home.free.push_back({std::move(buffer.buffer), true});
    }
  }
  taken.clear();
}

void PoolState::forget(Bucket& home, const Buffer& buffer) noexcept {
  --home.buffer_count;
  total_bytes_ -= buffer.size_bytes();
}

void PoolState::give_back(Buffer buffer, std::uint32_t bucket) noexcept {
  const std::scoped_lock lock(mutex_);
  --stats_.leases;
  stats_.leased_bytes -= buffer.size_bytes();
  FreeBuffer& free = buckets_[bucket].free.emplace_back(FreeBuffer{std::move(buffer), true});
  // Poison shows stale reads only if it comes before them. Zeros can wait for the next lease.
  if (options_.poison && !options_.zero_leases && is_idle(free.buffer))
    static_cast<void>(clean(free));
}

Result<> PoolState::reset() {
  std::vector<FreeBuffer> freed;
  {
    const std::scoped_lock lock(mutex_);
    if (stats_.leases != 0) {
      return base::fail(
          ErrorCode::kInvalidState, "{} has {} live {}; a reset needs all of them released.",
          describe_pool(options_), stats_.leases, stats_.leases == 1 ? "lease" : "leases");
    }
    for (Bucket& bucket : buckets_) {
      std::ranges::move(bucket.free, std::back_inserter(freed));
      bucket = {};
    }
    total_bytes_ = 0;
  }
  // Recordings with Lifetime::kUnretained keep nothing alive themselves.
  Result<> outcome;
  for (const FreeBuffer& free : freed) {
    const BufferState& state = *free.buffer.state();
    Result<> unused = core_->wait_until_free(state.range(0, state.size_bytes, Access::kWrite),
                                             WaitMode::kWait, state.label);
    if (!unused) outcome = std::move(unused);
  }
  return outcome;
}

std::uint64_t PoolState::trim(std::uint64_t target_bytes) {
  const std::scoped_lock lock(mutex_);
  return trim_locked(target_bytes);
}

std::uint64_t PoolState::trim_locked(std::uint64_t target_bytes) {
  const std::uint64_t before = total_bytes_;
  for (auto bucket = buckets_.rbegin(); bucket != buckets_.rend(); ++bucket) {
    std::erase_if(bucket->free, [&](const FreeBuffer& free) {
      if (total_bytes_ <= target_bytes || !is_idle(free.buffer)) return false;
      forget(*bucket, free.buffer);
      return true;
    });
  }
  return before - total_bytes_;
}

Pool::Stats PoolState::stats() const {
  const std::scoped_lock lock(mutex_);
  Pool::Stats stats = stats_;
  for (const Bucket& bucket : buckets_) stats.free_buffers += bucket.free.size();
  stats.free_bytes = total_bytes_ - stats_.leased_bytes;
  return stats;
}

}  // namespace segue::runtime
