// SPDX-License-Identifier: Apache-2.0
//
// Captures: what becomes a node, what a node holds, and what a capture keeps alive.
#include <array>
#include <cstdint>
#include <vector>

#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::bytes_parameter;
using test::expect_failure;
using Views = std::vector<BufferView>;

class EncoderCaptureTest : public test::EncoderTest {
 protected:
  const Buffer a_ = make_buffer(64, "a");
  const Buffer b_ = make_buffer(64, "b");
};

TEST_F(EncoderCaptureTest, SendsNothingToTheDevice) {  // row D1
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  EXPECT_FALSE(encoder.is_capturing());
  encoder.start_capture();
  EXPECT_TRUE(encoder.is_capturing());
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  encoder.fill(a_.view(), std::byte{1});
  const Graph graph = encoder.take_capture().value();
  EXPECT_FALSE(encoder.is_capturing());
  EXPECT_EQ(graph.node_count(), 2u);
  EXPECT_EQ(graph.dispatch_count(), 2u);
  const Submission work = encoder.commit().value();
  EXPECT_TRUE(submitted_plan().order.empty());
  EXPECT_EQ(device().counters().dispatches_recorded, 2u) << "Captured ones count.";
  EXPECT_EQ(device().counters().dispatches_executed, 0u);
}

TEST_F(EncoderCaptureTest, LeavesTheDirectRecordingAsItWas) {  // row D1
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  encoder.start_capture();
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  EXPECT_EQ(encoder.stats().barriers_inferred, 0u) << "It is the first of its graph.";
  EXPECT_TRUE(encoder.take_capture().has_value());
  encoder.dispatch(kernel, {b_.view()}, groups(1));
  EXPECT_EQ(encoder.stats().commands, 2u);
  EXPECT_EQ(encoder.stats().barriers_inferred, 0u);
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  EXPECT_EQ(encoder.stats().barriers_inferred, 1u);
}

TEST_F(EncoderCaptureTest, MakesBarriersByHandNodesAndNeededOnesNot) {  // row C5, D1, D2
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  EXPECT_EQ(encoder.stats().barriers_inferred, 1u);
  encoder.memory_barrier();
  encoder.force_barrier_and_reset();
  encoder.dispatch(kernel, {b_.view()}, groups(1));
  const Graph graph = encoder.take_capture().value();
  ASSERT_EQ(graph.node_count(), 5u);
  EXPECT_EQ(graph.dispatch_count(), 3u);
  EXPECT_EQ(graph.barrier_count(), 2u);
  EXPECT_EQ(graph.node(2).kind, NodeKind::kBarrier);
  EXPECT_EQ(graph.node(3).kind, NodeKind::kBarrier);
  EXPECT_TRUE(graph.node(2).reads.empty() && graph.node(2).writes.empty());
}

TEST_F(EncoderCaptureTest, KeepsTheBarrierThatWasAskedForBetweenRanges) {  // row C11, D1
  const Kernel kernel = writer();
  const Views all_a{a_.view()};
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  encoder.barrier_between(all_a, {});
  encoder.dispatch(kernel, {b_.view()}, groups(1));
  const Graph graph = encoder.take_capture().value();
  ASSERT_EQ(graph.node_count(), 3u);
  EXPECT_EQ(graph.node(1).kind, NodeKind::kBarrier);
  ASSERT_EQ(graph.node(2).reads.size(), 1u) << "The ranges are those of the next dispatch.";
  EXPECT_EQ(graph.node(2).reads[0].memory, graph.node(0).writes.at(0).memory);
}

TEST_F(EncoderCaptureTest, IsAnErrorWhereItCannotBe) {  // row D1
  {
    CommandEncoder encoder = make_encoder();
    expect_failure(encoder.take_capture(), ErrorCode::kInvalidState, {"none was started"});
    EXPECT_TRUE(encoder.commit().has_value()) << "The recording is unharmed.";
  }
  {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    expect_failure(encoder.commit(), ErrorCode::kInvalidState, {"capture"});
    expect_failure(encoder.begin(), ErrorCode::kInvalidState, {"capture"});
    EXPECT_TRUE(encoder.take_capture().has_value()) << "The capture is unharmed.";
    EXPECT_TRUE(encoder.commit().has_value());
  }
  {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    encoder.start_capture();
    expect_failure(encoder.take_capture(), ErrorCode::kInvalidState, {"another one is open"});
    EXPECT_FALSE(encoder.is_capturing());
    expect_failure(encoder.commit(), ErrorCode::kInvalidState, {"another one is open"});
  }
}

TEST_F(EncoderCaptureTest, GivesTheFirstErrorThatHappenedInIt) {  // row D1, K2
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  encoder.push_label("model");
  encoder.start_capture();
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  encoder.push_label("head");
  encoder.dispatch(kernel, {}, groups(1));
  encoder.dispatch(kernel, {a_.view(), a_.view()}, groups(1));
  const Result<Graph> graph = encoder.take_capture();
  expect_failure(graph, ErrorCode::kInvalidArgument, {"1 argument", "0"});
  EXPECT_EQ(graph.error().label_path, "model/head");
  EXPECT_EQ(graph.error().dispatch_index, 1u);
}

TEST_F(EncoderCaptureTest, GivesTheErrorThatKeptItFromStarting) {  // row D1, K2
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel, {}, groups(1));
  encoder.start_capture();
  EXPECT_FALSE(encoder.is_capturing());
  expect_failure(encoder.take_capture(), ErrorCode::kInvalidArgument, {"argument"});
}

TEST_F(EncoderCaptureTest, NodeHoldsAllOfADispatch) {  // row D2
  KernelSource source = test::fake_kernel(
      "node", {buffer_parameter("x", Access::kRead), buffer_parameter("y", Access::kReadWrite),
               bytes_parameter("n", 4)});
  Parameter shared;
  shared.name = "scratch";
  shared.kind = ParameterKind::kShared;
  shared.sizing = SharedSizing::kLaunch;
  source.signature.parameters.push_back(shared);
  source.signature.group_size = {8, 1, 1};
  const Kernel kernel = add_kernel(std::move(source));
  const SharedMemorySize size{3, 128};
  DispatchOptions options;
  options.shared_memory = {&size, 1};
  options.op = OpKind::kRope;
  options.label = "rope";
  const std::uint32_t n = 16;

  CommandEncoder encoder = make_encoder();
  encoder.push_label("layer 3");
  encoder.start_capture();
  encoder.push_label("attention");
  encoder.dispatch(kernel, {a_.view(0, 16).value(), b_.view(8, 16).value(), KernelArg::bytes(n)},
                   threads(16), options);
  const Graph graph = encoder.take_capture().value();

  const GraphNode node = graph.node(0);
  EXPECT_EQ(node.kind, NodeKind::kDispatch);
  EXPECT_EQ(node.kernel.impl(), kernel.impl());
  EXPECT_EQ(node.grid, threads(16));
  EXPECT_EQ(node.group_size, (Extent3{8, 1, 1}));
  EXPECT_THAT(node.shared_memory, testing::ElementsAre(128u));
  EXPECT_EQ(node.op, OpKind::kRope);
  EXPECT_EQ(node.label, "layer 3/attention/rope");
  ASSERT_EQ(node.arguments.size(), 3u);
  EXPECT_EQ(node.arguments[1].view, b_.view(8, 16).value());
  EXPECT_EQ(node.arguments[0].access, Access::kRead);
  EXPECT_EQ(node.arguments[1].access, Access::kReadWrite);
  EXPECT_TRUE(node.explicit_views.empty());
  EXPECT_EQ(node.arguments[2].bytes.size(), 4u);
  EXPECT_FALSE(node.unannotated);
  ASSERT_EQ(node.reads.size(), 2u);
  ASSERT_EQ(node.writes.size(), 1u);
  EXPECT_EQ(node.reads[0].end, 16u);
  EXPECT_EQ(node.writes[0], (AccessRange{node.reads[1].memory, 8, 24, Access::kWrite}));
  const GraphNode copied = node;
  EXPECT_EQ(copied.arguments[0].view, node.arguments[0].view);
}

TEST_F(EncoderCaptureTest, NodeHoldsTheViewsOfExplicitRangesAndTheByteOfAFill) {  // row D2
  const Kernel kernel = mover();
  const Views reads{b_.view(4, 8).value()}, writes{b_.view(32, 8).value()};
  DispatchOptions options;
  options.reads = reads;
  options.writes = writes;
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(kernel, {a_.view(), b_.view()}, groups(1), options);
  encoder.fill(a_.view(), std::byte{7});
  const Graph graph = encoder.take_capture().value();
  const GraphNode node = graph.node(0);
  EXPECT_THAT(node.explicit_views, testing::ElementsAre(reads[0], writes[0]));
  ASSERT_EQ(node.writes.size(), 1u);
  EXPECT_EQ(node.writes[0], writes[0].range(Access::kWrite));
  EXPECT_EQ(graph.node(1).fill_value, std::byte{7});
}

TEST_F(EncoderCaptureTest, FillsInTheRangesThatTheLastDispatchLacks) {  // row D3
  Parameter parameter = buffer_parameter("mystery", Access::kRead);
  parameter.access_known = false;
  const Kernel unknown = add_kernel("unknown", {parameter});
  const Views reads{a_.view(0, 8).value()};
  const Views writes{a_.view(8, 8).value()};
  const Views others{b_.view()};
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(unknown, {a_.view()}, groups(1));
  EXPECT_EQ(encoder.stats().unannotated, 1u);
  encoder.memory_barrier();
  encoder.fill_missing_ranges(reads, {});
  EXPECT_EQ(encoder.stats().unannotated, 1u) << "Nobody said what it writes.";
  encoder.fill_missing_ranges(others, writes);
  EXPECT_EQ(encoder.stats().unannotated, 0u);
  encoder.fill_missing_ranges(others, others);
  const Graph graph = encoder.take_capture().value();
  const GraphNode node = graph.node(0);
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].begin, 0u);
  EXPECT_EQ(node.reads[0].end, 8u) << "Only where empty.";
  ASSERT_EQ(node.writes.size(), 1u);
  EXPECT_EQ(node.writes[0].begin, 8u);
  EXPECT_EQ(node.writes[0].end, 16u);
  EXPECT_EQ(graph.unannotated_count(), 0u);
}

TEST_F(EncoderCaptureTest, FilledInReadsLeaveTheGroupCountsTracked) {  // row D3
  Parameter parameter = buffer_parameter("mystery", Access::kRead);
  parameter.access_known = false;
  const Kernel unknown = add_kernel("unknown", {parameter});
  const Views reads{a_.view(0, 8).value()};
  const KernelArg arguments[] = {a_.view()};
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch_indirect(unknown, arguments, b_.view(0, 12).value(), {1, 1, 1});
  encoder.fill_missing_ranges(reads, reads);
  const GraphNode node = encoder.take_capture().value().node(0);
  ASSERT_EQ(node.reads.size(), 2u);
  EXPECT_EQ(node.reads[1].end - node.reads[1].begin, 12u) << "The device reads them whatever.";
  EXPECT_EQ(node.writes.size(), 1u);
}

TEST_F(EncoderCaptureTest, FillsInNothingThatIsKnown) {  // row D3
  const Kernel kernel = writer();
  const Views others{b_.view()};
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(kernel, {a_.view()}, groups(1));
  encoder.fill_missing_ranges(others, others);
  const GraphNode node = encoder.take_capture().value().node(0);
  EXPECT_TRUE(node.reads.empty());
  ASSERT_EQ(node.writes.size(), 1u);
  EXPECT_EQ(node.writes[0].end, 64u);
}

TEST_F(EncoderCaptureTest, FillsInWithinACaptureOnly) {  // row D3
  const Views ranges{a_.view()};
  CommandEncoder encoder = make_encoder();
  encoder.fill_missing_ranges(ranges, {});
  expect_failure(encoder.status(), ErrorCode::kInvalidState, {"capturing"});
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.start_capture();
  encoder.fill_missing_ranges(ranges, {});
  expect_failure(encoder.status(), ErrorCode::kInvalidState, {"no dispatch"});
}

TEST_F(EncoderCaptureTest, KeepsAliveWhatItNames) {  // row D4, H1
  const Kernel kernel = reader();
  Graph graph;
  {
    const Buffer passing = make_buffer(32, "passing");
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    encoder.dispatch(kernel, {passing.view()}, groups(1));
    graph = encoder.take_capture().value();
  }
  EXPECT_EQ(hal().live_memories(), 3);
  EXPECT_EQ(graph.node(0).arguments[0].view.buffer().label(), "passing");
  const GraphNode node = graph.node(0);
  graph = Graph();
  EXPECT_EQ(hal().live_memories(), 3) << "A node keeps its views alive on its own.";
}

TEST_F(EncoderCaptureTest, MayBeOneOfManyAndOutliveTheDevice) {  // row D4, K5
  std::vector<Graph> graphs;
  {
    test::FakeSetup setup = test::open_fake();
    BufferDesc desc;
    desc.size_bytes = 16;
    const Buffer buffer = setup.device.create_buffer(desc).value();
    std::vector<CommandEncoder> encoders;
    for (int i = 0; i < 100; ++i) {
      encoders.push_back(setup.device.create_encoder().value());
      encoders.back().start_capture();
    }
    for (CommandEncoder& encoder : encoders) {
      encoder.fill(buffer.view(), std::byte{1});
      graphs.push_back(encoder.take_capture().value());
    }
    EXPECT_TRUE(setup.hal->queue().pending().empty());
  }
  for (const Graph& graph : graphs) {
    ASSERT_EQ(graph.node_count(), 1u);
    EXPECT_EQ(graph.node(0).kind, NodeKind::kFill);
  }
}

TEST_F(EncoderCaptureTest, EndsWithTheEncoder) {  // row G6
  {
    CommandEncoder encoder = make_encoder();
    const Buffer passing = make_buffer(16, "passing");
    encoder.start_capture();
    encoder.fill(passing.view(), std::byte{0});
  }
  EXPECT_EQ(hal().live_memories(), 2);
}

}  // namespace
}  // namespace segue
