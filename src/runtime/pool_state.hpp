// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/device_core.hpp"
#include "segue/pool.hpp"

namespace segue::runtime {

/// The memory of a pool: buffers of power-of-two sizes, free or leased. Thread-safe.
class PoolState : public std::enable_shared_from_this<PoolState> {
 public:
  /// @error kInvalidArgument  The smallest bucket is not a power of two.
  [[nodiscard]] static Result<std::shared_ptr<PoolState>> create(std::shared_ptr<DeviceCore> core,
                                                                 const PoolOptions& options);

  /// Leases for all sizes, or none.
  [[nodiscard]] Result<std::vector<PoolLease>> allocate(std::span<const std::uint64_t> sizes_bytes);
  void give_back(Buffer buffer, std::uint32_t bucket) noexcept;
  Result<> reset();
  std::uint64_t trim(std::uint64_t target_bytes);
  [[nodiscard]] Pool::Stats stats() const;

 private:
  struct FreeBuffer {
    Buffer buffer;
    bool used = true;  ///< A lease may have written it since it was last filled.
  };
  struct Bucket {
    std::vector<FreeBuffer>
        free;  // the one freed last at the end; reserved for all buffers of the bucket
    std::size_t buffer_count = 0;  // leased or free
  };
  /// A buffer that a batch has taken and may have to put back.
  struct Taken {
    Buffer buffer;
    std::uint32_t bucket = 0;
    bool fresh = false;
  };

  PoolState(std::shared_ptr<DeviceCore> core, const PoolOptions& options);

  [[nodiscard]] Result<std::uint32_t> bucket_for(std::uint64_t size_bytes) const;
  [[nodiscard]] std::uint64_t bucket_bytes(std::uint32_t bucket) const;
  /// Whether nobody but the pool refers to the buffer, the device included.
  [[nodiscard]] bool is_idle(const Buffer& buffer) const;
  [[nodiscard]] Result<Taken> take(std::uint32_t bucket);
  [[nodiscard]] Result<Buffer> take_free(std::uint32_t bucket);
  [[nodiscard]] Result<Buffer> make_buffer(std::uint32_t bucket);
  /// Fills a buffer that nobody uses as the options say, if a lease had it.
  Result<> clean(FreeBuffer& free) const;
  void put_back(std::vector<Taken>& taken) noexcept;
  /// Takes a buffer that is about to go out of the books.
  void forget(Bucket& home, const Buffer& buffer) noexcept;
  std::uint64_t trim_locked(std::uint64_t target_bytes);

  const std::shared_ptr<DeviceCore> core_;
  const PoolOptions options_;
  mutable std::mutex mutex_;
  std::vector<Bucket> buckets_;
  std::uint64_t total_bytes_ = 0;  // leased or free
  Pool::Stats stats_;
};

}  // namespace segue::runtime
