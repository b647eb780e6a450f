// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "segue/access.hpp"

namespace segue::verify {

/// What memory would hold now, had the commands so far run in place: the bytes that they wrote.
class Shadow {
 public:
  /// The bytes from `begin` of `memory` on become `bytes`.
  void write(MemoryId memory, std::uint64_t begin, std::span<const std::byte> bytes);
  /// Puts what was written into `bytes`, which stand for memory from `begin` on. The rest stays.
  void overlay(MemoryId memory, std::uint64_t begin, std::span<std::byte> bytes) const;

 private:
  using Pieces = std::map<std::uint64_t, std::vector<std::byte>>;  // disjoint, by first byte
  static void cut(Pieces& pieces, std::uint64_t begin, std::uint64_t end);
  std::map<MemoryId, Pieces> memories_;
};

}  // namespace segue::verify
