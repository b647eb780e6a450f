// SPDX-License-Identifier: Apache-2.0
//
// Captured commands recorded once more, into an encoder.
#include <array>
#include <numeric>

#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EncodeGraphTest : public ReplayTest {
 protected:
  /// next(a, b), next(b, c), next(a, d): the second follows the first, the third nothing.
  [[nodiscard]] Graph chain(const EncoderOptions& options = {}, bool fence = false) {
    return capture(
        [&](CommandEncoder& encoder) {
          next(encoder, a_, b_, "first");
          if (fence) encoder.memory_barrier();
          next(encoder, b_, c_, "second");
          next(encoder, a_, d_, "third");
        },
        options);
  }
  void next(CommandEncoder& encoder, const Buffer& from, const Buffer& to,
            std::string_view label) const {
    DispatchOptions options;
    options.label = label;
    encoder.dispatch(next_, {from.view(), to.view()}, groups(1), options);
  }
  /// Positions in what was submitted, group by group.
  [[nodiscard]] std::vector<std::vector<std::string>> submitted_labels() {
    std::vector<std::vector<std::string>> labels;
    const ir::Plan& plan = submitted_plan();
    for (std::size_t g = 0; g < plan.group_count(); ++g) {
      labels.emplace_back();
      for (const std::uint32_t command : plan.group(g))
        labels.back().push_back(plan.list->label_path(plan.list->commands()[command]));
    }
    return labels;
  }
  void finish(Submission work) {
    queue().complete_all();
    ASSERT_TRUE(work.wait().has_value());
  }
  template <class Record>
  void expect_refused(Record&& record, std::initializer_list<std::string_view> parts) {
    expect_failure(try_recording(make_encoder(), record), ErrorCode::kInvalidArgument, parts);
  }
  const Buffer a_ = make_words(Words(4, 1), "a");
  const Buffer b_ = make_words(Words(4), "b");
  const Buffer c_ = make_words(Words(4), "c");
  const Buffer d_ = make_words(Words(4), "d");
};

TEST_F(EncodeGraphTest, OneNodeIsRecordedAgain) {  // row E2
  const Graph graph = chain();
  CommandEncoder encoder = make_encoder();
  encoder.encode_node(graph, 2);
  encoder.encode_node(graph, 2);
  Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_labels(), ElementsAre(ElementsAre("third"), ElementsAre("third")));
  finish(std::move(work));
  EXPECT_EQ(read_words(d_.view()), Words(4, 2));
  EXPECT_EQ(read_words(b_.view()), Words(4, 0));
}

TEST_F(EncodeGraphTest, NodesThatAreNotThereAreNamed) {  // rows E2, K4
  const Graph graph = chain();
  expect_refused([&](CommandEncoder& encoder) { encoder.encode_node(graph, 3); },
                 {"Node 3 is asked for, but the graph has 3"});
}

TEST_F(EncodeGraphTest, SequentialInfersAsDirectEncodingDoes) {  // row E2
  const Graph graph = chain();
  CommandEncoder encoder = make_encoder();
  next(encoder, c_, a_, "before");
  encoder.encode_sequential(graph);
  next(encoder, d_, b_, "behind");
  EXPECT_EQ(encoder.stats().commands, 5U);
  Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_labels(),
              ElementsAre(ElementsAre("before"), ElementsAre("first"),
                          ElementsAre("second", "third"), ElementsAre("behind")));
  finish(std::move(work));
}

TEST_F(EncodeGraphTest, SequentialOfAManualCaptureHasItsBarriersOnly) {  // row E2, C6
  EncoderOptions manual;
  manual.barriers = BarrierMode::kManual;
  for (const bool fence : {false, true}) {
    const Graph graph = chain(manual, fence);
    CommandEncoder encoder = make_encoder();
    encoder.encode_sequential(graph);
    Submission work = encoder.commit().value();
    if (fence) {
      EXPECT_THAT(submitted_labels(),
                  ElementsAre(ElementsAre("first"), ElementsAre("second", "third")));
    } else {
      EXPECT_THAT(submitted_labels(), ElementsAre(ElementsAre("first", "second", "third")));
    }
    finish(std::move(work));
  }
}

TEST_F(EncodeGraphTest, InferenceGoesOnBehindAManualCapture) {  // row E2
  EncoderOptions manual;
  manual.barriers = BarrierMode::kManual;
  const Graph graph = chain(manual);
  CommandEncoder encoder = make_encoder();
  encoder.encode_sequential(graph);
  next(encoder, d_, a_, "behind");
  Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_labels(),
              ElementsAre(ElementsAre("first", "second", "third"), ElementsAre("behind")));
  finish(std::move(work));
}

TEST_F(EncodeGraphTest, AnyLegalOrderGetsItsBarriers) {  // row E2
  const Graph graph = chain();
  const std::array<std::uint32_t, 3> order{2, 0, 1};
  for (const BarrierMode mode : {BarrierMode::kAutomatic, BarrierMode::kManual}) {
    EncoderOptions options;
    options.barriers = mode;
    CommandEncoder encoder = make_encoder(options);
    encoder.encode_with_barriers(graph, order);
    Submission work = encoder.commit().value();
    EXPECT_THAT(submitted_labels(),
                ElementsAre(ElementsAre("third", "first"), ElementsAre("second")));
    finish(std::move(work));
    EXPECT_EQ(read_words(c_.view()), Words(4, 3));
  }
}

TEST_F(EncodeGraphTest, HandPlacedBarriersStayFences) {  // rows C5, E2
  const Graph graph = chain({}, true);
  const std::array<std::uint32_t, 3> order{0, 3, 2};
  CommandEncoder encoder = make_encoder();
  encoder.encode_with_barriers(graph, order);
  Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_labels(),
              ElementsAre(ElementsAre("first"), ElementsAre("third", "second")));
  EXPECT_EQ(submitted_plan().barriers[0].reason, ir::BarrierReason::kRequested);
  finish(std::move(work));
  const std::array<std::uint32_t, 3> across{3, 0, 2};
  expect_refused([&](CommandEncoder& refused) { refused.encode_with_barriers(graph, across); },
                 {"node 3 (\"third\") before node 0 (\"first\")", "a hand-placed barrier"});
  const std::array<std::uint32_t, 3> barrier{0, 1, 2};
  expect_refused([&](CommandEncoder& refused) { refused.encode_with_barriers(graph, barrier); },
                 {"The order names node 1, which is a hand-placed barrier"});
}

TEST_F(EncodeGraphTest, WrongOrdersAreNamed) {  // rows E2, K4
  const Graph graph = chain();
  const auto refused = [&](std::vector<std::uint32_t> order,
                           std::initializer_list<std::string_view> parts) {
    expect_refused([&](CommandEncoder& encoder) { encoder.encode_with_barriers(graph, order); },
                   parts);
  };
  refused({0, 1}, {"The order names 2 nodes, but the graph has 3"});
  refused({0, 1, 3}, {"The order names node 3, which the graph does not have"});
  refused({0, 1, 0}, {"The order names node 0, which it has named before"});
  refused({1, 0, 2}, {"node 1 (\"second\") before node 0 (\"first\")", "ReadAfterWrite"});
}

TEST_F(EncodeGraphTest, GraphsOfOtherDevicesAreRefused) {  // row E2
  const FakeSetup other = open_fake();
  const Graph graph = chain();
  CommandEncoder encoder = other.device.create_encoder().value();
  encoder.encode_sequential(graph);
  expect_failure(encoder.commit(), ErrorCode::kInvalidArgument,
                 {"The graph belongs to another device"});
  expect_refused([](CommandEncoder& empty) { empty.encode_sequential(Graph()); },
                 {"The graph is empty"});
}

TEST_F(EncodeGraphTest, EmptyGraphsAddNothing) {  // row E2
  const Graph graph = capture([](CommandEncoder&) {});
  CommandEncoder encoder = make_encoder();
  encoder.encode_sequential(graph);
  encoder.encode_with_barriers(graph, {});
  EXPECT_EQ(encoder.stats().commands, 0U);
  EXPECT_TRUE(encoder.status().has_value());
}

TEST_F(EncodeGraphTest, GraphsMayBeCapturedIntoGraphs) {  // rows E2, F2
  const Graph inner = capture([&](CommandEncoder& encoder) {
    const BytesSlot slot{"value", 0, 0, 9};
    encoder.dispatch(store_, {KernelArg::bytes(7U, {&slot, 1}), a_.view()}, groups(1));
  });
  const Graph outer = capture([&](CommandEncoder& encoder) {
    const LabelScope scope(encoder, "outer");
    encoder.encode_sequential(inner);
    next(encoder, a_, b_, "next");
    encoder.encode_sequential(inner);
  });
  ASSERT_EQ(outer.slots().size(), 1U);
  EXPECT_EQ(outer.node(0).label, "outer/store");
  Executable executable = compile(outer);
  set(executable, "value", 9);
  run(executable);
  EXPECT_EQ(read_words(b_.view())[0], 10U);
  EXPECT_EQ(executable.set(executable.slot("value").value(), 10U).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(EncodeGraphTest, SlotsOfOneNameMustAgree) {  // rows A6, E2
  const Graph inner = capture([&](CommandEncoder& encoder) {
    const BytesSlot slot{"x"};
    encoder.dispatch(store_, {KernelArg::bytes(7U, {&slot, 1}), a_.view()}, groups(1));
  });
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
        encoder.encode_sequential(inner);
      },
      {"Slot \"x\" is inline bytes here but a view before"});
  expect_refused(
      [&](CommandEncoder& encoder) {
        const BytesSlot slot{"x"};
        encoder.dispatch(store_, {KernelArg::bytes(8U, {&slot, 1}), a_.view()}, groups(1));
        encoder.encode_node(inner, 0);
      },
      {"Slot \"x\" has another default here than before"});
}

TEST_F(EncodeGraphTest, OneErrorSticks) {  // row K2
  const Graph graph = chain();
  CommandEncoder encoder = make_encoder();
  encoder.encode_node(graph, 7);
  encoder.encode_sequential(Graph());
  EXPECT_THAT(encoder.status().error().message, HasSubstr("Node 7"));
  EXPECT_FALSE(encoder.commit().has_value());
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.encode_sequential(graph);
  finish(encoder.commit().value());
  EXPECT_EQ(read_words(c_.view()), Words(4, 3));
}

}  // namespace
}  // namespace segue::test
