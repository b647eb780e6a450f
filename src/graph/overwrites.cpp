// SPDX-License-Identifier: Apache-2.0
#include "graph/overwrites.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace segue::graph {

Overwrites overwrites_between(const ir::CommandList& list, const AccessRange& bytes,
                              std::uint32_t after, std::uint32_t before) {
  Overwrites result;
  std::vector<AccessRange> left;  // filled by the first writer: mostly there is none
  for (std::uint32_t command = after + 1; command < before && !result.whole; ++command) {
    list.for_each_range(list.commands()[command], [&](const AccessRange& written) {
      if (!writes(written.access) || written.memory != bytes.memory ||
          !overlaps(written.begin, written.end, bytes.begin, bytes.end)) {
        return;
      }
      if (result.writer == kNoCommand) {
        result.writer = command;
        left.push_back(bytes);
      }
      std::vector<AccessRange> rest;
      for (const AccessRange& part : left) {
        AccessRange low = part, high = part;
        low.end = std::clamp(written.begin, part.begin, part.end);
        high.begin = std::clamp(written.end, part.begin, part.end);
        if (low.begin < low.end) rest.push_back(low);
        if (high.begin < high.end) rest.push_back(high);
      }
      left = std::move(rest);
    });
    result.whole = result.writer != kNoCommand && left.empty();
  }
  return result;
}

}  // namespace segue::graph
