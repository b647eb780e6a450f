// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "segue/encoder.hpp"
#include "segue/graph.hpp"
#include "world.hpp"

namespace segue::test {

/// Records random graphs: raw work on bytes (dispatches over overlapping and aliasing views, fills,
/// copies, uploads, hand-placed barriers), mixed with blocks of operations that fusion patterns
/// look for and with what must keep them from firing.
class GraphRecorder {
 public:
  GraphRecorder(const World& world, std::uint64_t seed);

  /// A graph of about `commands` commands.
  [[nodiscard]] Graph record(std::uint32_t commands);

 private:
  friend class BlockRecorder;
  [[nodiscard]] bool chance(double probability);
  [[nodiscard]] std::uint32_t below(std::uint32_t count) {
    return static_cast<std::uint32_t>(random_() % count);
  }
  void record_raw();
  void record_mix();
  void record_fill();
  void record_copy();
  void record_upload();
  /// A random part of a lasting or transient buffer. A transient one is filled before its first
  /// use, for its content is nobody's before.
  [[nodiscard]] BufferView random_view(std::uint64_t size_bytes);
  void define(std::size_t transient);

  const World& world_;
  std::mt19937_64 random_;
  CommandEncoder encoder_;
  std::vector<bool> defined_;  // by transient buffer
};

}  // namespace segue::test
