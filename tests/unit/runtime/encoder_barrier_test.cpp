// SPDX-License-Identifier: Apache-2.0
//
// Which barriers a recording gets, why, and who decides.
#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <random>
#include <vector>

#include "support/test_seed.hpp"
#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::expect_failure;
using Views = std::vector<BufferView>;

class EncoderBarrierTest : public test::EncoderTest {
 protected:
  explicit EncoderBarrierTest(const DeviceOptions& options = {}) : EncoderTest(options) {}

  static void write(CommandEncoder& encoder, const Kernel& kernel, const BufferView& view,
                    const DispatchOptions& options = {}) {
    encoder.dispatch(kernel, {view}, groups(1), options);
  }

  const Buffer a_ = make_buffer(64, "a");
  const Buffer b_ = make_buffer(64, "b");
  const Kernel reader_ = reader();
  const Kernel writer_ = writer();
};

std::uint64_t inferred(const CommandEncoder& encoder) { return encoder.stats().barriers_inferred; }

TEST_F(EncoderBarrierTest, FollowFromTheSignature) {  // row C1, C2
  CommandEncoder encoder = make_encoder();
  write(encoder, writer_, a_.view());
  write(encoder, reader_, b_.view());
  EXPECT_EQ(inferred(encoder), 0u);
  write(encoder, reader_, a_.view());  // read after write
  EXPECT_EQ(inferred(encoder), 1u);
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 1u) << "Reads meet reads.";
  write(encoder, writer_, a_.view());  // write after read
  EXPECT_EQ(inferred(encoder), 2u);
  write(encoder, writer_, a_.view());  // write after write
  EXPECT_EQ(inferred(encoder), 3u);
}

TEST_F(EncoderBarrierTest, SpareDisjointAndAdjacentViews) {  // row C2
  CommandEncoder encoder = make_encoder();
  write(encoder, writer_, a_.view(16, 16).value());
  write(encoder, writer_, a_.view(32, 16).value());
  write(encoder, writer_, a_.view(0, 16).value());
  EXPECT_EQ(inferred(encoder), 0u);
  write(encoder, reader_, a_.view(31, 2).value());
  EXPECT_EQ(inferred(encoder), 1u);
}

TEST_F(EncoderBarrierTest, ObeyRangesGivenInTheDispatch) {  // row C1
  const Views narrowed{a_.view(0, 8).value()};
  const Views none;
  DispatchOptions options;
  options.writes = narrowed;
  options.reads = none;
  CommandEncoder encoder = make_encoder();
  write(encoder, writer_, a_.view(), options);
  write(encoder, reader_, a_.view(8, 8).value());
  EXPECT_EQ(inferred(encoder), 0u) << "The dispatch writes less than its argument covers.";
  write(encoder, reader_, a_.view(7, 8).value());
  EXPECT_EQ(inferred(encoder), 1u);
}

TEST_F(EncoderBarrierTest, ObeyRangesReachedThroughPointers) {  // row C1
  const Views reached{b_.view()};
  DispatchOptions options;
  options.writes = reached;
  CommandEncoder encoder = make_encoder();
  write(encoder, reader_, a_.view(), options);
  write(encoder, reader_, b_.view());
  EXPECT_EQ(inferred(encoder), 1u);
  write(encoder, reader_, a_.view());
  write(encoder, writer_, a_.view());
  EXPECT_EQ(inferred(encoder), 2u) << "What the signature says of reads still holds.";
}

TEST_F(EncoderBarrierTest, PreferTheDispatchToPendingRangesToTheSignature) {  // row C1, D3
  const Views pending{b_.view(0, 8).value()};
  const Views given{b_.view(8, 8).value()};
  DispatchOptions options;
  options.writes = given;
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.set_pending_ranges({}, pending);
  write(encoder, writer_, a_.view());
  encoder.set_pending_ranges({}, pending);
  write(encoder, writer_, a_.view(), options);
  write(encoder, writer_, a_.view());
  const Graph graph = encoder.take_capture().value();
  ASSERT_EQ(graph.node(0).writes.size(), 1u);
  EXPECT_EQ(graph.node(0).writes[0].begin, 0u);
  EXPECT_EQ(graph.node(0).writes[0].end, 8u);
  ASSERT_EQ(graph.node(1).writes.size(), 1u);
  EXPECT_EQ(graph.node(1).writes[0].begin, 8u);
  ASSERT_EQ(graph.node(2).writes.size(), 1u);
  EXPECT_EQ(graph.node(2).writes[0].end, 64u) << "Pending ranges are those of one dispatch.";
}

TEST_F(EncoderBarrierTest, TakeAnUnknownAccessForReadAndWrite) {  // row C1
  Parameter parameter = buffer_parameter("mystery", Access::kRead);
  parameter.access_known = false;
  const Kernel unknown = add_kernel("unknown", {parameter});
  CommandEncoder encoder = make_encoder();
  write(encoder, unknown, a_.view());
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 1u);
  write(encoder, unknown, a_.view());
  EXPECT_EQ(inferred(encoder), 2u);
  EXPECT_EQ(encoder.stats().unannotated, 2u);
  const Views reads{a_.view()};
  const Views none;
  DispatchOptions options;
  options.reads = reads;
  write(encoder, unknown, a_.view(), options);
  EXPECT_EQ(encoder.stats().unannotated, 3u) << "Nobody said what it writes.";
  options.writes = none;
  write(encoder, unknown, a_.view(), options);
  EXPECT_EQ(encoder.stats().unannotated, 3u);
}

TEST_F(EncoderBarrierTest, StartTheNextGroupWithTheDispatchThatNeedsThem) {  // row C4
  CommandEncoder encoder = make_encoder();
  write(encoder, writer_, a_.view());
  write(encoder, writer_, b_.view());
  EXPECT_EQ(encoder.stats().live_ranges, 2u);
  write(encoder, reader_, a_.view());
  EXPECT_EQ(encoder.stats().live_ranges, 1u);
  write(encoder, reader_, b_.view());
  EXPECT_EQ(inferred(encoder), 1u) << "One barrier orders both.";
  EXPECT_EQ(encoder.stats().concurrent, 3u);
  const Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_plan().group_ends, testing::ElementsAre(2u, 4u));
  EXPECT_THAT(submitted_plan().order, testing::ElementsAre(0u, 1u, 2u, 3u));
}

TEST_F(EncoderBarrierTest, AreAsFewAsRecordedOrderAllows) {  // row C4
  std::mt19937_64 random(test::test_seed());
  const auto below = [&random](std::uint32_t limit) {
    return static_cast<std::uint32_t>(random() % limit);
  };
  struct Touch {
    int buffer;
    std::uint64_t begin, end;
    bool write;
  };
  for (int round = 0; round < 200; ++round) {
    const std::size_t count = 2 + below(8);
    std::vector<Touch> touches;
    CommandEncoder encoder = make_encoder();
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t begin = below(60);
      const Touch touch{static_cast<int>(below(2)), begin, begin + below(5), below(2) == 0};
      touches.push_back(touch);
      const BufferView view =
          (touch.buffer == 0 ? a_ : b_).view(touch.begin, touch.end - touch.begin).value();
      write(encoder, touch.write ? writer_ : reader_, view);
    }
    const auto conflict = [](const Touch& x, const Touch& y) {
      bool shared = false;
      for (std::uint64_t byte = x.begin; byte < x.end; ++byte)
        shared |= byte >= y.begin && byte < y.end;
      return x.buffer == y.buffer && (x.write || y.write) && shared;
    };
    // Every set of cuts between neighbours, the smallest that separates all conflicts.
    std::uint64_t fewest = count;
    for (std::uint32_t cuts = 0; cuts < (1u << (count - 1)); ++cuts) {
      bool legal = true;
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = i + 1; j < count; ++j) {
          const std::uint32_t between = ((1u << j) - 1) & ~((1u << i) - 1);
          legal = legal && ((cuts & between) != 0 || !conflict(touches[i], touches[j]));
        }
      }
      if (legal) fewest = std::min<std::uint64_t>(fewest, std::bitset<32>(cuts).count());
    }
    ASSERT_EQ(inferred(encoder), fewest);
    std::size_t group_of[16] = {};
    const Submission work = encoder.commit().value();
    const ir::Plan& plan = submitted_plan();
    for (std::size_t g = 0; g < plan.group_count(); ++g) {
      for (const std::uint32_t command : plan.group(g)) group_of[command] = g;
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = i + 1; j < count; ++j) {
        if (conflict(touches[i], touches[j])) {
          ASSERT_LT(group_of[i], group_of[j]);
        }
      }
    }
    queue().complete_all();
  }
}

TEST_F(EncoderBarrierTest, ByHandAreIssuedAndReset) {  // row C5
  CommandEncoder encoder = make_encoder();
  encoder.memory_barrier();
  EXPECT_EQ(encoder.stats().barriers_requested, 0u) << "No command precedes it.";
  write(encoder, writer_, a_.view());
  encoder.memory_barrier();
  encoder.memory_barrier();
  EXPECT_EQ(encoder.stats().barriers_requested, 1u) << "Nothing stands between the two.";
  EXPECT_EQ(encoder.stats().live_ranges, 0u);
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 0u);
  encoder.force_barrier_and_reset();
  write(encoder, reader_, a_.view());
  const RecordingStats stats = encoder.stats();
  EXPECT_EQ(stats.barriers_requested, 2u);
  EXPECT_EQ(stats.commands, 3u);
  const Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_plan().group_ends, testing::ElementsAre(1u, 2u, 3u));
  queue().complete_all();
  EXPECT_EQ(device().counters().barriers_issued, 2u);
  EXPECT_EQ(device().counters().barriers_inferred, 0u);
}

TEST_F(EncoderBarrierTest, ManualModeInfersNone) {  // row C6
  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  CommandEncoder encoder = make_encoder(options);
  write(encoder, writer_, a_.view());
  write(encoder, reader_, a_.view());
  encoder.memory_barrier();
  write(encoder, writer_, a_.view());
  EXPECT_EQ(inferred(encoder), 0u);
  EXPECT_EQ(encoder.stats().barriers_requested, 1u);
  const Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_plan().group_ends, testing::ElementsAre(2u, 3u));
  CommandEncoder other = make_encoder();
  write(other, writer_, b_.view());
  write(other, reader_, b_.view());
  EXPECT_EQ(inferred(other), 1u) << "The mode is one encoder's.";
}

class NoAutomaticBarriersTest : public EncoderBarrierTest {
 protected:
  static DeviceOptions options() {
    DeviceOptions options;
    options.automatic_barriers = false;
    options.log_level = "off";
    return options;
  }
  NoAutomaticBarriersTest() : EncoderBarrierTest(options()) {}
};

TEST_F(NoAutomaticBarriersTest, HoldForDirectEncodingOnly) {  // row C6
  CommandEncoder encoder = make_encoder();
  write(encoder, writer_, a_.view());
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 0u);
  encoder.start_capture();
  write(encoder, writer_, a_.view());
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 1u);
  EXPECT_EQ(encoder.take_capture().value().barrier_mode(), BarrierMode::kAutomatic);
}

TEST_F(EncoderBarrierTest, SayWhyTheyAreThere) {  // row C10
  CommandEncoder encoder = make_encoder();
  DispatchOptions options;
  encoder.push_label("layer 0");
  options.label = "norm";
  write(encoder, writer_, a_.view(0, 40).value(), options);
  write(encoder, writer_, b_.view());
  options.label = "project";
  write(encoder, reader_, a_.view(32, 32).value(), options);
  encoder.pop_label();
  write(encoder, writer_, a_.view(32, 4).value());
  write(encoder, writer_, a_.view(35, 4).value());
  const std::vector<BarrierInfo> barriers = encoder.barriers();
  ASSERT_EQ(barriers.size(), 3u);

  EXPECT_FALSE(barriers[0].requested);
  EXPECT_EQ(barriers[0].hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(barriers[0].earlier, 0u);
  EXPECT_EQ(barriers[0].later, 2u);
  EXPECT_EQ(barriers[0].earlier_label, "layer 0/norm");
  EXPECT_EQ(barriers[0].later_label, "layer 0/project");
  EXPECT_EQ(barriers[0].buffer_label, "a");
  EXPECT_EQ(barriers[0].range.begin, 32u);
  EXPECT_EQ(barriers[0].range.end, 40u);
  EXPECT_EQ(barriers[0].to_string(),
            "command 0 (layer 0/norm) and command 2 (layer 0/project): ReadAfterWrite of bytes "
            "32 to 40 of \"a\"");

  EXPECT_EQ(barriers[1].hazard, HazardKind::kWriteAfterRead);
  EXPECT_EQ(barriers[1].earlier, 2u);
  EXPECT_EQ(barriers[1].later, 3u);
  EXPECT_EQ(barriers[1].later_label, "writer") << "Without a label, the kernel's name.";
  EXPECT_EQ(barriers[1].range.begin, 32u);
  EXPECT_EQ(barriers[1].range.end, 36u);

  EXPECT_EQ(barriers[2].hazard, HazardKind::kWriteAfterWrite);
  EXPECT_EQ(barriers[2].earlier, 3u);
  EXPECT_EQ(barriers[2].later, 4u);
  EXPECT_EQ(barriers[2].range.begin, 35u);
  EXPECT_EQ(barriers[2].range.end, 36u);
}

TEST_F(EncoderBarrierTest, SayThatTheyWereAskedFor) {  // row C5, C10
  CommandEncoder encoder = make_encoder();
  write(encoder, writer_, a_.view());
  encoder.memory_barrier();
  write(encoder, writer_, b_.view());
  const std::vector<BarrierInfo> barriers = encoder.barriers();
  ASSERT_EQ(barriers.size(), 1u);
  EXPECT_TRUE(barriers[0].requested);
  EXPECT_NE(barriers[0].to_string().find("by hand"), std::string::npos);
}

TEST_F(EncoderBarrierTest, BetweenRangesComeOnConflictOnly) {  // row C11
  CommandEncoder encoder = make_encoder();
  const Views all_a{a_.view()};
  const Views all_b{b_.view()};
  write(encoder, writer_, a_.view());
  encoder.barrier_between(all_b, {});
  EXPECT_EQ(inferred(encoder), 0u);
  EXPECT_EQ(encoder.stats().live_ranges, 1u) << "It adds nothing itself.";
  encoder.barrier_between(all_a, {});
  EXPECT_EQ(inferred(encoder), 1u);
  EXPECT_EQ(encoder.stats().live_ranges, 0u);
  const std::vector<BarrierInfo> barriers = encoder.barriers();
  ASSERT_EQ(barriers.size(), 1u);
  EXPECT_EQ(barriers[0].earlier, 0u);
  EXPECT_EQ(barriers[0].hazard, HazardKind::kReadAfterWrite);
  EXPECT_EQ(barriers[0].range.end, 64u);
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 1u) << "The barrier stands already.";
  EXPECT_EQ(encoder.barriers()[0].later, 1u);
}

TEST_F(EncoderBarrierTest, BetweenRangesBecomeThoseOfTheNextDispatch) {  // row C11, D3
  CommandEncoder encoder = make_encoder();
  const Views part{b_.view(0, 8).value()};
  encoder.barrier_between({}, part);
  write(encoder, writer_, b_.view());
  write(encoder, reader_, b_.view(8, 8).value());
  EXPECT_EQ(inferred(encoder), 0u);
  write(encoder, reader_, b_.view(0, 8).value());
  EXPECT_EQ(inferred(encoder), 1u);
}

TEST_F(EncoderBarrierTest, BetweenRangesWorkInManualMode) {  // row C6, C11
  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  CommandEncoder encoder = make_encoder(options);
  const Views all_a{a_.view()};
  write(encoder, writer_, a_.view());
  encoder.barrier_between(all_a, {});
  write(encoder, reader_, a_.view());
  const Submission work = encoder.commit().value();
  EXPECT_THAT(submitted_plan().group_ends, testing::ElementsAre(1u, 2u));
}

TEST_F(EncoderBarrierTest, BetweenRangesAreCheckedAsArgumentsAre) {  // row C11, A6
  CommandEncoder encoder = make_encoder();
  const Views empty{BufferView()};
  encoder.barrier_between(empty, {});
  expect_failure(encoder.status(), ErrorCode::kInvalidArgument, {"barrier_between()", "empty"});
}

TEST_F(EncoderBarrierTest, TrackFillsCopiesUploadsAndCallbacksAlike) {  // row B7, G9
  const std::array<std::byte, 64> host{};
  const Views all_a{a_.view()};
  CommandEncoder encoder = make_encoder();
  encoder.fill(a_.view(), std::byte{1});
  encoder.copy(a_.view(), b_.view());  // after the fill
  encoder.upload(a_.view(), host);     // after the copy's read
  encoder.native(all_a, {}, [](void*) {});
  EXPECT_EQ(inferred(encoder), 3u);
  encoder.native({}, all_a, [](void*) {});
  EXPECT_EQ(inferred(encoder), 4u);
  write(encoder, reader_, a_.view());
  EXPECT_EQ(inferred(encoder), 5u);
  EXPECT_EQ(encoder.stats().concurrent, 1u);
}

}  // namespace
}  // namespace segue
