// SPDX-License-Identifier: Apache-2.0
//
// Views of one memory that touch or overlap become one window, since a command may go from one to
// the other. An explicit range beyond every argument is reached by arithmetic on an argument's
// address, so all of that memory's windows then become one, which keeps distances.
#include "verify/scratch.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace segue::verify {
namespace {

/// Cache lines, and the widest vector that a kernel may load aligned.
constexpr std::uint64_t kLeastAlignment = 256;

/// The smallest position from `least` on that leaves the same remainder as `like`.
std::uint64_t align_like(std::uint64_t least, std::uint64_t like, std::uint64_t alignment) {
  return least + ((like - least) & (alignment - 1));
}

bool contains(const AccessRange& outer, const AccessRange& inner) {
  return outer.memory == inner.memory && outer.begin <= inner.begin && inner.end <= outer.end;
}

/// Sorted, and merged where they touch.
std::vector<Window> merge(std::vector<AccessRange> ranges) {
  std::ranges::sort(ranges, {}, [](const AccessRange& range) {
    return std::tuple(range.memory, range.begin, range.end);
  });
  std::vector<Window> windows;
  for (const AccessRange& range : ranges) {
    if (!windows.empty() && windows.back().memory == range.memory &&
        range.begin <= windows.back().end) {
      windows.back().end = std::max(windows.back().end, range.end);
    } else {
      Window& window = windows.emplace_back();
      window.memory = range.memory;
      window.begin = range.begin;
      window.end = range.end;
    }
  }
  return windows;
}

std::vector<AccessRange> touched_ranges(const GraphNode& node) {
  std::vector<AccessRange> ranges;
  for (const NodeArgument& argument : node.arguments) {
    if (argument.view.size_bytes() != 0) ranges.push_back(argument.view.range(argument.access));
  }
  const std::size_t argument_count = ranges.size();
  for (const BufferView& view : node.explicit_views) {
    AccessRange range = view.range(Access::kRead);
    const std::span arguments(ranges.data(), argument_count);
    const bool known = std::ranges::any_of(
        arguments, [&](const AccessRange& argument) { return contains(argument, range); });
    if (view.size_bytes() == 0 || known) continue;
    for (const AccessRange& argument : arguments) {
      if (argument.memory != range.memory) continue;
      range.begin = std::min(range.begin, argument.begin);
      range.end = std::max(range.end, argument.end);
    }
    ranges.push_back(range);
  }
  return ranges;
}

std::uint64_t strictest_alignment(const GraphNode& node, std::uint64_t least) {
  std::uint64_t alignment = std::max(kLeastAlignment, least);
  if (!node.kernel) return alignment;
  for (const Parameter& parameter : node.kernel.signature().parameters)
    alignment = std::max<std::uint64_t>(alignment, parameter.alignment);
  return std::bit_ceil(alignment);
}

}  // namespace

const Window* ScratchLayout::find(const AccessRange& range) const {
  const auto window = std::ranges::find_if(windows, [&range](const Window& candidate) {
    return candidate.memory == range.memory && candidate.begin <= range.begin &&
           range.end <= candidate.end;
  });
  return window == windows.end() ? nullptr : &*window;
}

std::uint64_t ScratchLayout::place_of(const BufferView& view) const {
  const AccessRange range = view.range(Access::kRead);
  if (view.size_bytes() == 0) return range.begin & (alignment - 1);
  const Window* window = find(range);
  return window == nullptr ? 0 : window->place + (range.begin - window->begin);
}

std::vector<BufferView> named_views(const GraphNode& node) {
  std::vector<BufferView> views;
  for (const NodeArgument& argument : node.arguments) {
    if (argument.view) views.push_back(argument.view);
  }
  views.insert(views.end(), node.explicit_views.begin(), node.explicit_views.end());
  return views;
}

ScratchLayout lay_out(const GraphNode& node, std::uint64_t guard_bytes,
                      std::uint64_t least_alignment) {
  ScratchLayout layout;
  layout.alignment = strictest_alignment(node, least_alignment);
  layout.windows = merge(touched_ranges(node));
  std::uint64_t next = 0;
  for (Window& window : layout.windows) {
    window.region_begin = next;
    window.place = align_like(next + guard_bytes, window.begin, layout.alignment);
    next = window.place + window.size() + guard_bytes;
    window.region_end = next;
  }
  layout.size_bytes = std::max(next, layout.alignment);
  return layout;
}

void declare_bytes(const GraphNode& node, ScratchLayout& layout) {
  for (Window& window : layout.windows) {
    window.declared.assign(window.size(), 0);
    const auto add = [&window](const std::vector<AccessRange>& ranges, Access access) {
      for (const AccessRange& range : ranges) {
        if (range.memory != window.memory) continue;
        const std::uint64_t begin = std::max(range.begin, window.begin);
        const std::uint64_t end = std::min(range.end, window.end);
        for (std::uint64_t i = begin; i < end; ++i)
          window.declared[i - window.begin] |= static_cast<std::uint8_t>(access);
      }
    };
    add(node.reads, Access::kRead);
    add(node.writes, Access::kWrite);
  }
}

}  // namespace segue::verify
