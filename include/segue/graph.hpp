// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/access.hpp"
#include "segue/buffer.hpp"
#include "segue/certificate.hpp"
#include "segue/executable.hpp"
#include "segue/fusion.hpp"
#include "segue/grid.hpp"
#include "segue/hazard.hpp"
#include "segue/kernel.hpp"
#include "segue/schedule.hpp"

namespace segue {

class Device;
struct FusedGraph;

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
  Access access = Access::kRead;  ///< Of a view, as the signature says.
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
  /// The views that explicit ranges were given as.
  std::vector<BufferView> explicit_views;
  std::byte fill_value{0};  ///< Of a fill.
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
  [[nodiscard]] std::vector<SlotInfo> slots() const;

  /// @name Plans. Computed from what each node reads and writes, whatever the barrier mode of the
  /// recording was.
  /// @{

  /// Dispatches in the longest chain in which each waits for the one before it.
  [[nodiscard]] std::uint32_t critical_path() const;
  /// What a schedule costs. `seed` is for Schedule::kRandom.
  [[nodiscard]] ScheduleReport report(Schedule schedule = Schedule::kCriticalPath,
                                      std::uint64_t seed = 0) const;
  /// The nodes in the order of a schedule, without hand-placed barriers.
  [[nodiscard]] std::vector<std::uint32_t> order(Schedule schedule = Schedule::kCriticalPath,
                                                 std::uint64_t seed = 0) const;
  /// Each barrier of a schedule, and why it is there.
  [[nodiscard]] std::vector<BarrierInfo> barriers(Schedule schedule = Schedule::kCriticalPath,
                                                  std::uint64_t seed = 0) const;
  /// Where compile() would place transient buffers.
  [[nodiscard]] PlacementReport placement(Schedule schedule = Schedule::kCriticalPath,
                                          std::uint64_t seed = 0) const;
  /// Lets an independent checker look at the plan of a schedule.
  [[nodiscard]] Certificate certify(Schedule schedule = Schedule::kCriticalPath,
                                    std::uint64_t seed = 0) const;
  /// @}

  /// Replaces dispatches by fused ones, pattern by pattern in the order given. This graph stays as
  /// it is.
  ///
  /// @error kInvalidArgument  A pattern contradicts itself or its kernel's signature; which one,
  ///                          and how.
  [[nodiscard]] Result<FusedGraph> fuse(std::span<const FusionPattern> patterns) const;

  /// Schedules the graph, places its transient buffers and makes it ready for replay.
  ///
  /// @error kInvalidArgument  The graph belongs to another device, or an option is out of range.
  /// @error kOutOfMemory
  [[nodiscard]] Result<Executable> compile(const Device& device,
                                           const CompileOptions& options = {}) const;

  /// Submits the graph once, without compiling it: the first max(64, n / 10) dispatches start while
  /// the rest is still being lowered. Waiting for the submission waits for both parts, and gets the
  /// error of either.
  [[nodiscard]] Result<Submission> submit_early(const Device& device,
                                                Schedule schedule = Schedule::kCriticalPath) const;

  /// @name Text
  /// @{
  /// One line for each node, then the reports of all schedules.
  [[nodiscard]] std::string to_string() const;
  /// Nodes and dependencies in Graphviz's language; ranks are levels, the critical path is bold.
  [[nodiscard]] std::string to_dot() const;
  /// Everything but the contents of buffers, versioned; see docs/graph-json.md.
  ///
  /// @error kUnsupported  A node is a native callback, which is code.
  [[nodiscard]] Result<std::string> to_json() const;
  /// A graph from to_json(), whose text is not trusted. Its buffers are created anew, with memory
  /// once they are used; kernels are the device's of the same name. Running it takes trust all the
  /// same: kernels believe the inline bytes that they are given.
  ///
  /// @error kInvalidArgument  The text is no such graph; the message says where and why.
  /// @error kNotFound         The device lacks a kernel.
  /// @error kCompileFailed    A kernel does not compile with the constants given.
  [[nodiscard]] static Result<Graph> from_json(const Device& device, std::string_view text);
  /// @}

  /// For the library itself.
  [[nodiscard]] const std::shared_ptr<const runtime::GraphState>& state() const { return state_; }

 private:
  std::shared_ptr<const runtime::GraphState> state_;
};

/// A graph with fused dispatches, and what was done.
struct FusedGraph {
  Graph graph;
  FusionReport report;
};

}  // namespace segue
