// SPDX-License-Identifier: Apache-2.0
//
// Whether each barrier of a plan does its work: on a device that runs what nothing orders in the
// wrong order, a single missing one changes results, and the certificate names the commands.
#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "graph/certificate.hpp"
#include "graph/direct_planner.hpp"
#include "graph/lower.hpp"
#include "runtime/graph_state.hpp"
#include "support/test_seed.hpp"
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using metal_double::Order;
using testing::IsEmpty;
using testing::SizeIs;
using Words = std::vector<std::uint32_t>;
using Memory = std::vector<Words>;

constexpr std::size_t kBuffers = 3;
constexpr std::uint32_t kWords = 64;

struct Line {
  std::uint32_t factor, summand;
};

/// A submission by hand.
class TestJob final : public hal::Job {
 public:
  void complete(hal::Outcome&& outcome) noexcept override {
    error = std::move(outcome.error);
    barriers = outcome.barriers_issued;
    completed.store(true, std::memory_order_release);
    completed.notify_all();
  }
  std::optional<Error> error;
  std::uint64_t barriers = 0;
};

/// Commands none of which commutes with what it conflicts with. Factors are odd, so that no
/// difference is lost again.
class MetalBarriers : public MetalTest {
 protected:
  void SetUp() override { open(Order::kReversed); }
  void TearDown() override {
    drop();
    MetalTest::TearDown();
  }
  void open(Order order) {
    drop();
    use(machine_with(order));
    line_ = kernel("line");
    line_to_ = kernel("line_to");
    for (std::size_t i = 0; i < kBuffers; ++i) buffers_.push_back(buffer(kWords));
    queue_ = hal_->create_queue().value();
  }
  void drop() {
    graph_ = {};
    queue_.reset();
    line_ = {};
    line_to_ = {};
    buffers_.clear();
  }

  void record_line(CommandEncoder& encoder, std::size_t x, Line by) {
    encoder.dispatch(line_, {buffers_[x].view(), KernelArg::bytes(by)}, threads(kWords));
    for (std::uint32_t& word : expected_[x]) word = by.factor * word + by.summand;
  }
  void record_line_to(CommandEncoder& encoder, std::size_t x, std::size_t y, Line by) {
    encoder.dispatch(line_to_, {buffers_[x].view(), buffers_[y].view(), KernelArg::bytes(by)},
                     threads(kWords));
    for (std::size_t i = 0; i < kWords; ++i)
      expected_[y][i] = by.factor * expected_[x][i] + by.summand + 5 * expected_[y][i];
  }
  /// All kinds of commands, and all kinds of hazards.
  void capture_fixed() {
    begin();
    CommandEncoder encoder = this->encoder();
    encoder.start_capture();
    encoder.upload(buffers_[0].view(), std::as_bytes(std::span(upload_)));
    expected_[0] = upload_;
    encoder.fill(buffers_[1].view(0, 128).value(), std::byte{3});
    std::fill_n(expected_[1].begin(), 32, 0x03030303U);
    record_line(encoder, 0, {3, 1});
    encoder.copy(buffers_[0].view(128, 128).value(), buffers_[1].view(64, 128).value());
    std::copy_n(expected_[0].begin() + 32, 32, expected_[1].begin() + 16);
    record_line_to(encoder, 0, 2, {7, 5});
    record_line(encoder, 0, {5, 11});  // write after read
    record_line_to(encoder, 1, 2, {9, 2});
    record_line(encoder, 1, {3, 7});
    record_line_to(encoder, 2, 0, {11, 13});
    graph_ = encoder.take_capture().value();
  }
  void capture_random(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    begin();
    CommandEncoder encoder = this->encoder();
    encoder.start_capture();
    for (int i = 0; i < 24; ++i) {
      const auto x = static_cast<std::size_t>(random() % kBuffers);
      const std::size_t y = (x + 1 + random() % (kBuffers - 1)) % kBuffers;
      const Line by{static_cast<std::uint32_t>(random() * 2 + 3),
                    static_cast<std::uint32_t>(random() | 1)};
      if (random() % 2 == 0) {
        record_line(encoder, x, by);
      } else {
        record_line_to(encoder, x, y, by);
      }
    }
    graph_ = encoder.take_capture().value();
  }
  void begin() {
    for (std::uint32_t i = 0; i < kBuffers; ++i) initial_[i] = counting(kWords, 1000 * i + 1);
    expected_ = initial_;
    upload_ = counting(kWords, 77);
  }

  [[nodiscard]] ir::Plan plan() const { return graph::plan_recorded_order(graph_.state()->list); }
  /// What a plan leaves behind, encoded at once or as a replay.
  [[nodiscard]] Memory run(const ir::Plan& plan, bool replayed) {
    for (std::size_t i = 0; i < kBuffers; ++i) write(buffers_[i], initial_[i]);
    TestJob job;
    job.plan = &plan;
    std::unique_ptr<hal::Program> program;
    if (replayed) {
      const hal::ProgramInstance instance{const_cast<ir::CommandList*>(plan.list), &plan};
      program = hal_->link({&instance, 1}).value();
      job.program = program.get();
    }
    EXPECT_TRUE(queue_->submit(job).has_value());
    queue_->wait(job, std::nullopt);
    EXPECT_FALSE(job.error.has_value());
    EXPECT_EQ(job.barriers, plan.barriers.size());
    Memory found;
    for (const Buffer& each : buffers_) found.push_back(words(each));
    return found;
  }
  void expect_right(int runs) {
    const ir::Plan whole = plan();
    const graph::Certificate certificate = graph::certify(whole);
    EXPECT_TRUE(certificate.valid()) << certificate.to_string();
    EXPECT_THAT(certificate.needless, IsEmpty());
    for (int i = 0; i < runs; ++i) {
      EXPECT_EQ(run(whole, false), expected_);
      EXPECT_EQ(run(whole, true), expected_);
    }
  }
  /// @param runs  Until a result must have differed.
  void expect_each_needed(int runs) {
    const ir::Plan whole = plan();
    ASSERT_FALSE(whole.barriers.empty());
    for (std::size_t g = 0; g < whole.barriers.size(); ++g) {
      const ir::Plan gap = graph::without_barrier(whole, g);
      for (const bool replayed : {false, true}) {
        bool differs = false;
        for (int i = 0; i < runs && !differs; ++i) differs = run(gap, replayed) != expected_;
        EXPECT_TRUE(differs) << "without barrier " << g << (replayed ? ", replayed" : "");
      }
      expect_named(whole.barriers[g], gap);
    }
  }
  /// The certificate of the plan without it lists the pair that a barrier is for.
  static void expect_named(const ir::PlannedBarrier& barrier, const ir::Plan& gap) {
    const graph::Certificate certificate = graph::certify(gap);
    EXPECT_FALSE(certificate.valid());
    EXPECT_TRUE(std::ranges::any_of(certificate.missing,
                                    [&](const graph::MissingOrder& missing) {
                                      return missing.earlier == barrier.earlier &&
                                             missing.later == barrier.later &&
                                             missing.hazard == barrier.hazard;
                                    }))
        << barrier.earlier << ", " << barrier.later << ": " << certificate.to_string();
  }

  Kernel line_, line_to_;
  std::vector<Buffer> buffers_;
  std::unique_ptr<hal::Queue> queue_;
  Graph graph_;
  Memory initial_{kBuffers}, expected_{kBuffers};
  Words upload_;
};

TEST_F(MetalBarriers, OfAPlanAreAllNeeded) {  // rows C4, L1
  capture_fixed();
  EXPECT_GE(plan().barriers.size(), 4U);
  expect_right(3);
  expect_each_needed(1);
}

TEST_F(MetalBarriers, OfAPlanAreAllNeededInRandomOrder) {  // rows C4, L1
  open(Order::kRandom);
  capture_fixed();
  expect_right(20);
  expect_each_needed(64);  // each comes out right by chance at most every second time
}

TEST_F(MetalBarriers, OfRandomGraphsAreAllNeeded) {  // rows C4, L1
  const std::uint64_t seed = test::test_seed();
  for (std::uint64_t i = 0; i < 5; ++i) {
    SCOPED_TRACE(i);
    capture_random(seed + i);
    expect_right(1);
    expect_each_needed(1);
  }
}

TEST_F(MetalBarriers, OfEverySchedulesExecutableAreEnough) {  // rows D5, E5, L1
  const std::uint64_t seed = test::test_seed();
  for (std::uint64_t i = 0; i < 4; ++i) {
    capture_random(seed + i);
    for (const Schedule schedule :
         {Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath, Schedule::kRandom}) {
      Executable executable =
          graph_.compile(device_, {.schedule = schedule, .seed = seed + i}).value();
      EXPECT_TRUE(executable.certify().tight()) << executable.certify().to_string();
      for (std::size_t b = 0; b < kBuffers; ++b) write(buffers_[b], initial_[b]);
      ASSERT_TRUE(executable.submit_and_wait().has_value());
      for (std::size_t b = 0; b < kBuffers; ++b) EXPECT_EQ(words(buffers_[b]), expected_[b]);
    }
  }
}

TEST_F(MetalBarriers, ByHandAreAllNeeded) {  // rows C5, C6
  constexpr std::uint32_t kDispatches = 12;
  begin();
  for (std::uint32_t gap = 0; gap < kDispatches; ++gap) {
    Words expected = initial_[0];
    write(buffers_[0], expected);
    CommandEncoder encoder = this->encoder(BarrierMode::kManual);
    for (std::uint32_t i = 0; i < kDispatches; ++i) {
      if (i != 0 && i != gap) encoder.memory_barrier();
      encoder.dispatch(line_, {buffers_[0].view(), KernelArg::bytes(Line{3, i})}, threads(kWords));
      for (std::uint32_t& word : expected) word = 3 * word + i;
    }
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    EXPECT_EQ(words(buffers_[0]) == expected, gap == 0) << "without the barrier before " << gap;
  }
}

TEST_F(MetalBarriers, BetweenSubmissionsAreTheFence) {  // row C8
  begin();
  Words expected = initial_[0];
  write(buffers_[0], expected);
  metal_double::hold_execution(true);
  for (std::uint32_t i = 0; i < 8; ++i) {
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(line_, {buffers_[0].view(), KernelArg::bytes(Line{3, i})}, threads(kWords));
    ASSERT_TRUE(encoder.commit().has_value());
    for (std::uint32_t& word : expected) word = 3 * word + i;
  }
  metal_double::hold_execution(false);
  EXPECT_EQ(words(buffers_[0]), expected);
}

}  // namespace
}  // namespace segue::metal
