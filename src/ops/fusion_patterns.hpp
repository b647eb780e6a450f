// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/fusion_kernels.hpp"
#include "segue/fusion.hpp"

// What the patterns share. A pattern looks at what the library cannot know: which kernels run, over
// how many elements, and which overlaps of its own views a kernel stands.

namespace segue::ops {

using Fused = std::expected<FusedDispatch, std::string>;
using Nodes = std::span<const FusionNode>;
using KernelsPointer = std::shared_ptr<const FusionKernels>;

template <class... Args>
[[nodiscard]] std::unexpected<std::string> refuse(fmt::format_string<Args...> format,
                                                  Args&&... args) {
  return std::unexpected(fmt::format(format, std::forward<Args>(args)...));
}

/// Groups that `items` take.
[[nodiscard]] inline std::uint64_t group_count(const Kernel& kernel, std::uint64_t items) {
  const std::uint64_t per_group = kernel.signature().items_per_group;
  return (items + per_group - 1) / per_group;
}
/// Whether the node runs `kernel` over exactly as many groups as `items` take.
[[nodiscard]] inline bool covers(const FusionNode& node, const Kernel& kernel,
                                 std::uint64_t items) {
  const Grid grid = node.grid();
  return grid.kind == GridKind::kGroups && grid.extent.y == 1 && grid.extent.z == 1 &&
         grid.extent.x == group_count(kernel, items);
}

/// Groups that matrices of these rows take, one after the other.
[[nodiscard]] Grid product_grid(const Kernel& kernel, std::span<const std::uint32_t> rows);

[[nodiscard]] inline bool overlap(const AccessRange& a, const AccessRange& b) {
  return a.memory == b.memory && overlaps(a.begin, a.end, b.begin, b.end);
}
[[nodiscard]] inline bool same_bytes(const AccessRange& a, const AccessRange& b) {
  return a.memory == b.memory && a.begin == b.begin && a.end == b.end;
}

/// The patterns with a product in them.
void append_product_patterns(std::vector<FusionPattern>& patterns, const KernelsPointer& kernels);
/// The patterns in which a product reads a norm.
void append_norm_product_patterns(std::vector<FusionPattern>& patterns,
                                  const KernelsPointer& kernels);
/// The patterns that make the inputs of attention.
void append_attention_input_patterns(std::vector<FusionPattern>& patterns,
                                     const KernelsPointer& kernels);
/// fusion_patterns() over any kernels.
[[nodiscard]] std::vector<FusionPattern> fusion_patterns(FusionKernels kernels);

}  // namespace segue::ops
