// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/graph.hpp"

namespace segue::verify {

/// Everything that a graph leaves behind: each byte that it writes by its signatures or by explicit
/// ranges, but for those of transient buffers. Views of one buffer are disjoint.
class Outcome {
 public:
  [[nodiscard]] static Result<Outcome> of(const Graph& graph);

  using Contents = std::vector<std::vector<std::byte>>;  ///< Of each view.
  [[nodiscard]] Result<Contents> read(const Device& device) const;
  Result<> restore(const Device& device, const Contents& contents) const;

  [[nodiscard]] const std::vector<BufferView>& views() const { return views_; }
  [[nodiscard]] std::uint64_t size_bytes() const;

 private:
  std::vector<BufferView> views_;
};

}  // namespace segue::verify
