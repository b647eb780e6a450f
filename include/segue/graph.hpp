// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "segue/access.hpp"
#include "segue/buffer.hpp"
#include "segue/grid.hpp"
#include "segue/hazard.hpp"
#include "segue/kernel.hpp"

namespace segue {

namespace runtime {
class GraphState;
}

enum class NodeKind : std::uint8_t {
  kDispatch,
  kDispatchIndirect,
  kFill,
  kCopy,
  kUpload,
  kNative,
  kBarrier
};

/// One argument of a captured dispatch: a view, or owned bytes where the view is empty.
struct NodeArgument {
  BufferView view;
  std::vector<std::byte> bytes;
};

/// A captured command, by value: it keeps its views alive on its own.
struct GraphNode {
  NodeKind kind = NodeKind::kDispatch;
  Kernel kernel;
  std::vector<NodeArgument> arguments;
  Grid grid;
  Extent3 group_size;
  std::vector<std::uint32_t> shared_memory;  ///< Bytes of each shared parameter, in order.
  OpKind op = OpKind::kOther;
  std::string label;  ///< With its scopes, joined by '/'.
  std::vector<AccessRange>
      reads;  ///< The effective footprint: explicit ranges, or what the signature says.
  std::vector<AccessRange> writes;
  bool unannotated = false;
};

/// A captured recording. Keeps everything it names alive and holds nothing of the device's, so any
/// number may exist. A cheap handle to an immutable graph; thread-safe.
class Graph {
 public:
  Graph() = default;
  explicit Graph(std::shared_ptr<const runtime::GraphState> state) : state_(std::move(state)) {}

  [[nodiscard]] std::size_t node_count() const;
  [[nodiscard]] std::size_t dispatch_count() const;
  /// Barriers placed by hand; needed ones are not nodes but inferred when the graph is planned.
  [[nodiscard]] std::size_t barrier_count() const;
  [[nodiscard]] std::size_t unannotated_count() const;
  [[nodiscard]] BarrierMode barrier_mode() const;
  /// @pre index < node_count()
  [[nodiscard]] GraphNode node(std::size_t index) const;

  /// For the library itself.
  [[nodiscard]] const std::shared_ptr<const runtime::GraphState>& state() const { return state_; }

 private:
  std::shared_ptr<const runtime::GraphState> state_;
};

}  // namespace segue
