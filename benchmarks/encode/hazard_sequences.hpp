// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "segue/access.hpp"

namespace segue::bench {

/// The ranges of each dispatch of a recording, in order, in one array as a recording keeps them.
class RangeSequence {
 public:
  RangeSequence() : starts_{0} {}
  void add(std::initializer_list<AccessRange> dispatch) {
    ranges_.insert(ranges_.end(), dispatch);
    starts_.push_back(ranges_.size());
  }
  [[nodiscard]] std::size_t size() const { return starts_.size() - 1; }
  [[nodiscard]] std::size_t range_count() const { return ranges_.size(); }
  [[nodiscard]] std::span<const AccessRange> operator[](std::size_t i) const {
    return {ranges_.data() + starts_[i], starts_[i + 1] - starts_[i]};
  }

 private:
  std::vector<AccessRange> ranges_;
  std::vector<std::size_t> starts_;
};

/// Memory identities as an allocator hands them out: 64 bits, neither dense nor in order.
inline MemoryId memory_id(std::uint32_t index) {
  return MemoryId{(std::uint64_t{index} + 1) * 0x1000 + 0x7F00'0000'0000};
}

/// One token of a Llama-style decoder of 79 layers, 19 dispatches each: 1,501. 44 buffers: 28
/// weight shards, one cache for keys and one for values that layers take slices of, and 14
/// activations and small inputs. Sizes in bytes, as of a model with 70 billion weights of one byte.
inline RangeSequence decoder_sequence() {
  constexpr std::uint32_t kLayers = 79;
  constexpr std::uint32_t kShards = 28;
  constexpr std::uint64_t kHidden = 8192 * 4, kFeed = 28672 * 4, kKeyValue = 1024 * 4;
  constexpr std::uint64_t kCacheSlice = 4096 * kKeyValue, kToken = 117;
  enum : std::uint32_t {
    kKeyCache = kShards,
    kValueCache,
    kResidual,
    kNormed,
    kScaled,
    kQuery,
    kKey,
    kValue,
    kRotatedQuery,
    kRotatedKey,
    kAttended,
    kProjected,
    kGate,
    kUp,
    kJoined,
    kPosition
  };
  static_assert(kPosition + 1 == 44);

  const auto read = [](std::uint32_t buffer, std::uint64_t begin, std::uint64_t size) {
    return AccessRange{memory_id(buffer), begin, begin + size, Access::kRead};
  };
  const auto write = [](std::uint32_t buffer, std::uint64_t begin, std::uint64_t size) {
    return AccessRange{memory_id(buffer), begin, begin + size, Access::kWrite};
  };
  RangeSequence sequence;
  std::vector<std::uint64_t> shard_used(kShards, 0);
  for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
    const std::uint32_t shard = layer * kShards / kLayers;
    const auto weight = [&](std::uint64_t size) {
      const std::uint64_t begin = shard_used[shard];
      shard_used[shard] += size;
      return read(shard, begin, size);
    };
    const std::uint64_t slice = layer * kCacheSlice;
    const auto add_norm = [&] {
      sequence.add({read(kResidual, 0, kHidden), write(kNormed, 0, kHidden)});
      sequence.add({read(kNormed, 0, kHidden), weight(kHidden), write(kScaled, 0, kHidden)});
    };
    const auto add_product = [&](std::uint32_t from, std::uint64_t columns, std::uint32_t to,
                                 std::uint64_t rows) {
      sequence.add(
          {weight((rows / 4) * (columns / 4)), read(from, 0, columns), write(to, 0, rows)});
    };
    const auto add_residual = [&] {
      sequence.add({read(kResidual, 0, kHidden), read(kProjected, 0, kHidden),
                    write(kResidual, 0, kHidden)});
    };
    add_norm();
    add_product(kScaled, kHidden, kQuery, kHidden);
    add_product(kScaled, kHidden, kKey, kKeyValue);
    add_product(kScaled, kHidden, kValue, kKeyValue);
    sequence.add(
        {read(kQuery, 0, kHidden), read(kPosition, 0, 4), write(kRotatedQuery, 0, kHidden)});
    sequence.add(
        {read(kKey, 0, kKeyValue), read(kPosition, 0, 4), write(kRotatedKey, 0, kKeyValue)});
    sequence.add({read(kRotatedKey, 0, kKeyValue), read(kPosition, 0, 4),
                  write(kKeyCache, slice + kToken * kKeyValue, kKeyValue)});
    sequence.add({read(kValue, 0, kKeyValue), read(kPosition, 0, 4),
                  write(kValueCache, slice + kToken * kKeyValue, kKeyValue)});
    sequence.add({read(kRotatedQuery, 0, kHidden), read(kKeyCache, slice, (kToken + 1) * kKeyValue),
                  read(kValueCache, slice, (kToken + 1) * kKeyValue),
                  write(kAttended, 0, kHidden)});
    add_product(kAttended, kHidden, kProjected, kHidden);
    add_residual();
    add_norm();
    add_product(kScaled, kHidden, kGate, kFeed);
    add_product(kScaled, kHidden, kUp, kFeed);
    sequence.add({read(kGate, 0, kFeed), read(kUp, 0, kFeed), write(kJoined, 0, kFeed)});
    add_product(kJoined, kFeed, kProjected, kHidden);
    add_residual();
  }
  return sequence;
}

/// 4,096 dispatches over 40 buffers in groups of `group_length`. Each dispatch reads three slices
/// (30 buffers are only read) and writes a slice of its own, so that nothing conflicts within a
/// group; the first of a group writes what the dispatch before it wrote. Slices stand in random
/// order.
inline RangeSequence grouped_sequence(std::uint32_t group_length) {
  constexpr std::uint32_t kDispatches = 4096;
  constexpr std::uint32_t kReadOnly = 30, kWritten = 10, kSlices = 1024;
  constexpr std::uint64_t kSlice = 4096;
  std::mt19937 random(group_length);
  const auto slice = [](std::uint32_t buffer, std::uint32_t index, Access access) {
    return AccessRange{memory_id(buffer), index * kSlice, (index + 1) * kSlice, access};
  };
  const auto read = [&] {
    const auto buffer = static_cast<std::uint32_t>(random() % kReadOnly);
    return slice(buffer, static_cast<std::uint32_t>(random() % kSlices), Access::kRead);
  };
  std::vector<std::uint32_t> written(kWritten * kSlices);
  std::iota(written.begin(), written.end(), 0u);
  std::shuffle(written.begin(), written.end(), random);

  RangeSequence sequence;
  for (std::uint32_t i = 0, next = 0; i < kDispatches; ++i) {
    if (i % group_length != 0 || i == 0) ++next;
    sequence.add(
        {read(), read(), read(),
         slice(kReadOnly + written[next] % kWritten, written[next] / kWritten, Access::kWrite)});
  }
  return sequence;
}

}  // namespace segue::bench
