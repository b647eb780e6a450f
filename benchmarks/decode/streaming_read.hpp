// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace segue::bench {

/// Reads a block of memory from begin to end, each thread its own part: what a memory-bound pass
/// could reach.
class StreamingRead {
 public:
  StreamingRead(std::size_t size_bytes, unsigned threads);
  /// Seconds of one pass, on average over `passes`, from when all threads are ready.
  double run(int passes);

 private:
  std::vector<std::uint64_t> words_;
  unsigned threads_;
};

}  // namespace segue::bench
