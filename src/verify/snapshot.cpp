// SPDX-License-Identifier: Apache-2.0
#include "verify/snapshot.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "verify/scratch.hpp"

namespace segue::verify {
namespace {

/// A buffer of the graph, and where its first byte lies in its memory.
struct KnownBuffer {
  Buffer buffer;
  AccessRange range;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> written;  // [begin, end) in the buffer
};

using KnownBuffers = std::multimap<MemoryId, KnownBuffer>;

void learn(KnownBuffers& known, const BufferView& view) {
  const AccessRange range = view.buffer().view().range(Access::kWrite);
  const auto [first, last] = known.equal_range(range.memory);
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second.buffer == view.buffer()) return;
  }
  known.emplace(range.memory, KnownBuffer{view.buffer(), range, {}});
}

/// Notes the range in a buffer that has all of it. Some has: nodes name every view they write.
void note(KnownBuffers& known, const AccessRange& range) {
  const auto [first, last] = known.equal_range(range.memory);
  for (auto entry = first; entry != last; ++entry) {
    KnownBuffer& buffer = entry->second;
    if (range.begin < buffer.range.begin || range.end > buffer.range.end) continue;
    buffer.written.emplace_back(range.begin - buffer.range.begin, range.end - buffer.range.begin);
    return;
  }
}

}  // namespace

Result<Outcome> Outcome::of(const Graph& graph) {
  KnownBuffers known;
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    for (const BufferView& view : named_views(graph.node(i))) learn(known, view);
  }
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const GraphNode node = graph.node(i);
    // Explicit ranges may be wrong, so what the signature says counts as well.
    for (const NodeArgument& argument : node.arguments) {
      if (argument.view.size_bytes() != 0 && writes(argument.access))
        note(known, argument.view.range(argument.access));
    }
    for (const AccessRange& range : node.writes) note(known, range);
  }
  Outcome outcome;
  for (auto& [memory, buffer] : known) {
    if (buffer.buffer.is_transient()) continue;
    std::ranges::sort(buffer.written);
    for (std::size_t i = 0; i < buffer.written.size();) {
      auto [begin, end] = buffer.written[i++];
      for (; i < buffer.written.size() && buffer.written[i].first <= end; ++i)
        end = std::max(end, buffer.written[i].second);
      SEGUE_TRY_ASSIGN(outcome.views_.emplace_back(), buffer.buffer.view(begin, end - begin));
    }
  }
  return outcome;
}

Result<Outcome::Contents> Outcome::read(const Device& device) const {
  Contents contents;
  for (const BufferView& view : views_) {
    contents.emplace_back(view.size_bytes());
    SEGUE_TRY(device.download(view, contents.back()));
  }
  return contents;
}

Result<> Outcome::restore(const Device& device, const Contents& contents) const {
  for (std::size_t i = 0; i < views_.size(); ++i) SEGUE_TRY(device.upload(views_[i], contents[i]));
  return {};
}

std::uint64_t Outcome::size_bytes() const {
  std::uint64_t size = 0;
  for (const BufferView& view : views_) size += view.size_bytes();
  return size;
}

}  // namespace segue::verify
