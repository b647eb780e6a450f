// SPDX-License-Identifier: Apache-2.0
#include "verify/numbers.hpp"

#include <utility>
#include <vector>

#include "segue/verify.hpp"
#include "verify/scratch.hpp"

namespace segue::verify {

std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

void fill_with_small_numbers(std::uint64_t seed, std::uint64_t begin, std::span<std::byte> bytes) {
  for (std::uint64_t i = 0; i < bytes.size(); ++i) {
    const std::uint64_t position = begin + i;
    const auto half = static_cast<std::uint32_t>(mix(seed ^ (position / 2)));
    const std::uint32_t bits = (half & 0x83FFU) | 0x3C00U;  // random but for F16's exponent: 0
    bytes[i] = static_cast<std::byte>(position % 2 == 0 ? bits : bits >> 8);
  }
}

Result<> fill_unbacked(const Device& device, const Graph& graph, std::uint64_t seed) {
  std::uint64_t filled = 0;  // buffers, each of which gets numbers of its own
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    for (const BufferView& view : named_views(graph.node(i))) {
      const Buffer& buffer = view.buffer();
      if (buffer.is_transient() || buffer.is_backed()) continue;
      const BufferView all = buffer.view();
      const std::uint64_t buffer_seed = mix(seed + filled++);
      if (buffer.host_access() == HostAccess::kReadWrite) {
        SEGUE_TRY_ASSIGN(const auto mapped, all.map_write<std::byte>());
        fill_with_small_numbers(buffer_seed, 0, mapped.span());
      } else {
        std::vector<std::byte> bytes(all.size_bytes());
        fill_with_small_numbers(buffer_seed, 0, bytes);
        SEGUE_TRY(device.upload(all, bytes));
      }
    }
  }
  return {};
}

}  // namespace segue::verify
