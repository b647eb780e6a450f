// SPDX-License-Identifier: Apache-2.0
//
// Random graphs on a host device that runs each barrier group in reverse: every schedule, placed
// and unplaced, fused and not, has to leave the bytes that serial execution leaves, and an
// independent checker has to find nothing in any plan. SEGUE_TEST_GRAPHS says how many graphs;
// SEGUE_TEST_SEED repeats a run.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "graph/certificate.hpp"
#include "graph/schedule.hpp"
#include "graph_recorder.hpp"
#include "runtime/graph_state.hpp"
#include "segue/fusion_patterns.hpp"
#include "support/test_seed.hpp"
#include "world.hpp"

namespace segue::test {
namespace {

constexpr std::uint32_t kGraphs = 1000;
constexpr std::uint32_t kFullRun = 100'000;
constexpr std::uint32_t kLeastFirings = 1000;  // of each pattern, in a full run
constexpr Schedule kSchedules[] = {Schedule::kRecorded, Schedule::kLookahead,
                                   Schedule::kCriticalPath, Schedule::kRandom};

std::uint32_t graph_count() {
  const char* given = std::getenv("SEGUE_TEST_GRAPHS");
  return given == nullptr ? kGraphs : static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10));
}

using Bytes = std::vector<std::byte>;

class RandomGraphs : public ::testing::Test {
 protected:
  RandomGraphs() : seed_(test_seed()), random_(seed_), world_(seed_), recorder_(world_, seed_ + 1) {
    patterns_ = ops::fusion_patterns(world_.device());
    Bytes start = world_.content();
    // Small numbers, so that operations on floats stay finite: 0x3C to 0x3F begin 0.0078 to 1.99.
    for (std::size_t i = 0; i < start.size(); ++i)
      start[i] = static_cast<std::byte>(i % 4 == 3 ? 0x3C + random_() % 4 : random_() % 256);
    start_ = std::move(start);
  }

  /// Each command by itself, in recorded order, with a barrier after each: no planner involved.
  Bytes run_serially(const Graph& graph) {
    world_.restore(start_);
    EncoderOptions options;
    options.barriers = BarrierMode::kManual;
    Result<CommandEncoder> encoder = world_.device().create_encoder(options);
    EXPECT_TRUE(encoder);
    for (std::size_t i = 0; i < graph.node_count(); ++i) {
      encoder->encode_node(graph, i);
      encoder->memory_barrier();
    }
    const Result<> done = encoder->commit_and_wait();
    EXPECT_TRUE(done) << done.error().message;
    return world_.content();
  }

  Bytes run(Executable& executable) {
    world_.restore(start_);
    const Result<> done = executable.submit_and_wait();
    EXPECT_TRUE(done) << done.error().message;
    return world_.content();
  }

  void check(const Graph& graph, const Bytes& expected, Schedule schedule, bool place,
             std::string_view what) {
    const std::uint64_t order_seed = random_();
    CompileOptions options;
    options.schedule = schedule;
    options.seed = order_seed;
    options.place_transients = place;
    options.max_in_flight = 1;
    Result<Executable> executable = graph.compile(world_.device(), options);
    ASSERT_TRUE(executable) << executable.error().message;
    const Certificate certificate = executable->certify();
    ASSERT_TRUE(certificate.tight()) << what << ": " << certificate.to_string();
    ASSERT_EQ(executable->placement().barriers_added, 0U);
    ASSERT_TRUE(run(*executable) == expected)
        << what << ", " << to_string(schedule) << (place ? ", placed" : "") << " differs";
  }

  void check_plans(const Graph& graph) {
    for (const Schedule schedule : kSchedules) {
      const Certificate certificate = graph.certify(schedule, random_());
      ASSERT_TRUE(certificate.tight()) << certificate.to_string();
      if (schedule != Schedule::kCriticalPath) continue;
      ASSERT_TRUE(certificate.minimal()) << certificate.to_string();
    }
  }

  /// Takes one barrier away, which has to be found.
  void check_deletion(const Graph& graph) {
    const runtime::GraphState& state = *graph.state();
    const Schedule schedule = kSchedules[random_() % std::size(kSchedules)];
    const ir::Plan plan =
        graph::plan_schedule(state.list, state.dependencies(), schedule, random_());
    ASSERT_TRUE(graph::untrue_reasons(plan).empty());
    if (plan.barriers.empty()) return;
    const std::size_t barrier = random_() % plan.barriers.size();
    ASSERT_FALSE(graph::certify(graph::without_barrier(plan, barrier)).valid())
        << "barrier " << barrier << " of " << plan.barriers.size() << " is not missed";
    ++deletions_;
  }

  void check_graph(std::uint32_t commands) {
    const Graph graph = recorder_.record(commands);
    check_plans(graph);
    check_deletion(graph);
    const Bytes expected = run_serially(graph);
    for (const Schedule schedule : kSchedules)
      check(graph, expected, schedule, random_() % 2 == 0, "unfused");
    Result<FusedGraph> fused = graph.fuse(patterns_);
    ASSERT_TRUE(fused) << fused.error().message;
    for (const FusionReport::Fired& fired : fused->report.fired)
      fired_[fired.pattern] += fired.count;
    for (const FusionRefusal& refusal : fused->report.refusals) ++refused_[refusal.pattern];
    check_plans(fused->graph);
    // Every pattern of the host is bit-exact.
    check(fused->graph, expected, Schedule::kCriticalPath, true, "fused");
    check(fused->graph, expected, Schedule::kRandom, false, "fused");
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
  World world_;
  GraphRecorder recorder_;
  std::vector<FusionPattern> patterns_;
  Bytes start_;
  std::map<std::string, std::uint32_t> fired_, refused_;
  std::uint32_t deletions_ = 0;
};

// rows D5, E4, E5, E7, E8, E9, L1, L3
TEST_F(RandomGraphs, GiveTheBytesOfSerialExecutionWhateverIsDoneToThem) {
  const std::uint32_t count = graph_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t commands = 2 + static_cast<std::uint32_t>(random_() % 199);
    ASSERT_NO_FATAL_FAILURE(check_graph(commands)) << "graph " << i;
    ASSERT_FALSE(HasFailure()) << "graph " << i;
  }
  std::printf("%u graphs, %u barriers taken away and missed\n", count, deletions_);
  EXPECT_GT(deletions_, count / 2);
  for (const FusionPattern& pattern : patterns_) {
    std::printf("%-28s fired %u times, refused %u times\n", pattern.name.c_str(),
                fired_[pattern.name], refused_[pattern.name]);
    EXPECT_GE(fired_[pattern.name], count >= kFullRun ? kLeastFirings : 1U) << pattern.name;
  }
}

}  // namespace
}  // namespace segue::test
