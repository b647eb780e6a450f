// SPDX-License-Identifier: Apache-2.0
//
// One pass in recorded order. For every stretch of bytes the history names the last writer and the
// readers since; a read follows the writer, a write the readers, or the writer if nobody has read.
// The pairs left out follow from these by transitivity. Levels are longest paths, computed on the
// way since every edge points backwards.
#include "graph/dependencies.hpp"

#include <algorithm>

#include "graph/access_history.hpp"

namespace segue::graph {

Dependencies::Dependencies(const ir::CommandList& list) {
  const auto count = static_cast<std::uint32_t>(list.size());
  first_edge_.reserve(count + std::size_t{1});
  segment_.resize(count);
  level_.resize(count);
  edges_.reserve(std::size_t{count} * 3);

  AccessHistory history;
  std::vector<AccessRange> ranges;
  std::vector<std::uint32_t> edge_from(count, UINT32_MAX);  // the edge from a command, if newest
  std::uint32_t segment = 0, segment_work = 0, floor = 0;
  for (std::uint32_t command = 0; command < count; ++command) {
    const auto first_edge = static_cast<std::uint32_t>(edges_.size());
    first_edge_.push_back(first_edge);
    segment_[command] = segment;
    if (list.commands()[command].kind == ir::CommandKind::kBarrier) {
      if (segment_work != 0) ++segment;
      segment_work = 0;
      floor = critical_path_;
      continue;
    }
    ++work_count_;
    ++segment_work;
    ranges.clear();
    list.for_each_range(list.commands()[command],
                        [&ranges](const AccessRange& range) { ranges.push_back(range); });
    std::uint32_t level = floor;
    history.add(command, ranges,
                [&](std::uint32_t earlier, HazardKind hazard, const AccessRange& range) {
                  const std::uint32_t known = edge_from[earlier];
                  if (known != UINT32_MAX && known >= first_edge) {
                    if (rank(hazard) < rank(edges_[known].hazard))
                      edges_[known] = {earlier, command, hazard, range};
                    return;
                  }
                  edge_from[earlier] = static_cast<std::uint32_t>(edges_.size());
                  edges_.push_back({earlier, command, hazard, range});
                  level = std::max(level, level_[earlier] + 1);
                });
    level_[command] = level;
    critical_path_ = std::max(critical_path_, level + 1);
  }
  first_edge_.push_back(static_cast<std::uint32_t>(edges_.size()));
  index_successors();
}

void Dependencies::index_successors() {
  first_out_.assign(first_edge_.size(), 0);
  for (const Dependency& edge : edges_) ++first_out_[edge.earlier + std::size_t{1}];
  for (std::size_t i = 1; i < first_out_.size(); ++i) first_out_[i] += first_out_[i - 1];
  out_edges_.resize(edges_.size());
  std::vector<std::uint32_t> next(first_out_.begin(), first_out_.end() - 1);
  for (std::uint32_t i = 0; i < edges_.size(); ++i) out_edges_[next[edges_[i].earlier]++] = i;
}

std::vector<std::uint32_t> Dependencies::critical_commands(const ir::CommandList& list) const {
  std::vector<std::uint32_t> chain(critical_path_);
  std::uint32_t wanted = critical_path_;
  std::uint32_t command = command_count();
  std::uint32_t before = command_count();  // every candidate at a lower level comes before
  while (wanted-- > 0) {
    // The predecessor one level below; or, behind a hand-placed barrier, any command there.
    std::uint32_t found = command_count();
    if (command != command_count()) {
      for (const Dependency& edge : predecessors(command)) {
        if (level_[edge.earlier] == wanted) found = edge.earlier;
      }
    }
    for (std::uint32_t i = before; found == command_count() && i-- > 0;) {
      if (level_[i] == wanted && list.commands()[i].kind != ir::CommandKind::kBarrier) found = i;
    }
    command = chain[wanted] = found;
    before = found;
  }
  return chain;
}

}  // namespace segue::graph
