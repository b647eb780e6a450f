// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "e2e/golden.hpp"
#include "llama/decoder.hpp"
#include "segue/fusion_patterns.hpp"
#include "segue/host.hpp"

namespace segue::e2e {
namespace {

using llama::TokenId;

constexpr llama::Sampling kGreedy{0.0F, 0, 1.0F, 0};
constexpr llama::Sampling kWarm{0.9F, 50, 0.95F, 77};

/// Tokens of one sequence, the prompt not included.
std::vector<TokenId> decode(const std::shared_ptr<const llama::Model>& model,
                            const llama::SessionOptions& options, const llama::Sampling& sampling,
                            std::size_t count) {
  auto session = llama::Session::create(model, options);
  EXPECT_TRUE(session) << session.error().message;
  std::vector<TokenId> tokens;
  auto token = session->next({{1, 2047, 790}}, sampling);
  while (token && tokens.size() < count) {
    tokens.push_back(*token);
    token = session->next({{*token}}, sampling);
  }
  EXPECT_TRUE(token) << token.error().message;
  return tokens;
}

/// One step of decoding as a graph, with what it works on.
struct Step {
  llama::KvCache cache;
  llama::StepBuffers buffers;
  Graph graph;
};

Step capture_step(const llama::Model& model) {
  Step step;
  step.cache = *llama::KvCache::create(model.device(), model.hyperparameters(), 64, DType::kF16);
  step.buffers = *llama::StepBuffers::create(model.device(), model.hyperparameters(), 64);
  const llama::ForwardPass pass(model.hyperparameters(), model.weights(), model.ops());
  auto graph = llama::capture_step(model.device(), pass, model.ops(), step.buffers, step.cache);
  EXPECT_TRUE(graph) << graph.error().message;
  step.graph = *std::move(graph);
  return step;
}

struct Figures {
  std::uint32_t dispatches, critical_path, recorded, lookahead, scheduled;
};

/// The barriers of each schedule, and the critical path as the independent checker finds it.
void expect_figures(const Graph& graph, const Figures& figures) {
  EXPECT_EQ(graph.dispatch_count(), figures.dispatches);
  EXPECT_EQ(graph.critical_path(), figures.critical_path);
  EXPECT_EQ(graph.report(Schedule::kRecorded).barriers, figures.recorded);
  EXPECT_EQ(graph.report(Schedule::kLookahead).barriers, figures.lookahead);
  EXPECT_EQ(graph.report(Schedule::kCriticalPath).barriers, figures.scheduled);
  EXPECT_EQ(graph.unannotated_count(), 0U);
  for (const Schedule schedule :
       {Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath}) {
    const Certificate certificate = graph.certify(schedule);
    EXPECT_TRUE(certificate.tight()) << certificate.to_string();
    EXPECT_EQ(certificate.critical_path, figures.critical_path);
  }
  EXPECT_TRUE(graph.certify(Schedule::kCriticalPath).minimal());
}

TEST(Replay, TheTalesStepHasTheseFigures) {  // rows E1, E4, E5, E7, E8, L1
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  const Step step = capture_step(*model);
  // 6 layers of 19 dispatches and 14 levels; embedding, norm, its weight, output, sampling, state.
  expect_figures(step.graph, {120, 90, 89, 89, 89});
  const auto fused = step.graph.fuse(ops::fusion_patterns(model->device()));
  ASSERT_TRUE(fused) << fused.error().message;
  // 6 layers of 5, one after another; embedding, output, sampling, state.
  expect_figures(fused->graph, {34, 34, 33, 33, 33});
  EXPECT_EQ(fused->report.dispatches_before, 120U);
  EXPECT_EQ(fused->report.dispatches_after, 34U);
}

/// The order of the forward pass is minimal as it is recorded. In any other order the step comes
/// back to the same minimum; the look-ahead may or may not.
TEST(Replay, AShuffledStepIsScheduledBackToTheMinimum) {  // rows E2, E4, E5
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  const Step step = capture_step(*model);
  std::uint32_t recorded = 0, lookahead = 0;
  constexpr std::uint32_t kOrders = 20;
  for (std::uint64_t seed = 0; seed < kOrders; ++seed) {
    auto encoder = model->device().create_encoder();
    ASSERT_TRUE(encoder);
    encoder->start_capture();
    encoder->encode_with_barriers(step.graph, step.graph.order(Schedule::kRandom, seed));
    const auto shuffled = encoder->take_capture();
    ASSERT_TRUE(shuffled) << shuffled.error().message;
    EXPECT_EQ(shuffled->report(Schedule::kCriticalPath).barriers, 89U);
    EXPECT_GE(shuffled->report(Schedule::kRecorded).barriers, 89U);
    recorded += shuffled->report(Schedule::kRecorded).barriers;
    lookahead += shuffled->report(Schedule::kLookahead).barriers;
  }
  fmt::print(
      "shuffled step, barriers on average: recorded {:.1f}, look-ahead {:.1f}, by level 89\n",
      recorded / double{kOrders}, lookahead / double{kOrders});
  EXPECT_GT(recorded, 89U * kOrders);
}

TEST(Replay, GivesTheTokensOfRecordingEachOne) {  // rows D5, F1, F2
  for (const char* format : {"f16", "q8_0", "q4_0"}) {
    const auto model = load_tales(format);
    ASSERT_NE(model, nullptr);
    for (const llama::Sampling& sampling : {kGreedy, kWarm}) {
      llama::SessionOptions recorded;
      recorded.decoding = llama::Decoding::kRecord;
      const std::vector<TokenId> expected = decode(model, recorded, sampling, 100);
      for (const bool fuse : {false, true}) {
        for (const Schedule schedule : {Schedule::kRecorded, Schedule::kLookahead,
                                        Schedule::kCriticalPath, Schedule::kRandom}) {
          llama::SessionOptions replayed;
          replayed.decoder.fuse = fuse;
          replayed.decoder.schedule = schedule;
          EXPECT_EQ(decode(model, replayed, sampling, 100), expected)
              << format << (fuse ? ", fused, " : ", ") << to_string(schedule);
        }
      }
    }
  }
}

TEST(Replay, TheDeviceAdvancesByItself) {  // rows F2, F4
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  for (const llama::Sampling& sampling : {kGreedy, kWarm}) {
    const std::vector<TokenId> expected = decode(model, {}, sampling, 150);
    for (const unsigned in_flight : {1U, 2U, 8U}) {
      llama::SessionOptions options;
      options.decoder.max_in_flight = in_flight;
      auto session = llama::Session::create(model, options);
      ASSERT_TRUE(session);
      auto token = session->next({{1, 2047, 790}}, sampling);
      ASSERT_TRUE(token);
      std::vector<TokenId> tokens(149);
      // Two calls, and a token by the host between them.
      ASSERT_TRUE(session->continue_by(*token, sampling, std::span(tokens).first(70)));
      const auto by_host = session->next({{tokens[69]}}, sampling);
      ASSERT_TRUE(by_host);
      tokens[70] = *by_host;
      ASSERT_TRUE(session->continue_by(*by_host, sampling, std::span(tokens).subspan(71)));
      tokens.insert(tokens.begin(), *token);
      EXPECT_EQ(tokens, expected);
      EXPECT_EQ(session->position(), 3U + 149U);
    }
  }
}

TEST(Replay, RefusesMoreThanTheContextHolds) {
  const auto model = load_tales("q4_0");
  ASSERT_NE(model, nullptr);
  llama::SessionOptions options;
  options.context = 8;
  auto session = llama::Session::create(model, options);
  ASSERT_TRUE(session);
  auto token = session->next({{1, 2, 3}}, kGreedy);
  ASSERT_TRUE(token);
  std::array<TokenId, 6> six{};
  const Result<> refused = session->continue_by(*token, kGreedy, six);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "6 tokens are asked for, but the context has room for 1 to 5.");
  EXPECT_TRUE(session->continue_by(*token, kGreedy, std::span(six).first(5)));
  EXPECT_FALSE(session->continue_by(*token, kGreedy, std::span(six).first(1)));
  options.decoding = llama::Decoding::kRecord;
  session = llama::Session::create(model, options);
  ASSERT_TRUE(session);
  const Result<> recorded = session->continue_by(1, kGreedy, six);
  ASSERT_FALSE(recorded);
  EXPECT_EQ(recorded.error().code, ErrorCode::kInvalidState);
}

TEST(Replay, TransientsShareMemoryWithoutABarrierMore) {  // row E9
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  const Step step = capture_step(*model);
  const std::uint64_t used = model->device().memory_info().used_bytes;
  const auto executable = step.graph.compile(model->device());
  ASSERT_TRUE(executable);
  const PlacementReport& placement = executable->placement();
  EXPECT_EQ(placement.barriers_added, 0U);
  EXPECT_LT(placement.placed_bytes, placement.separate_bytes);
  EXPECT_GE(placement.placed_bytes, placement.lower_bound_bytes);
  EXPECT_EQ(model->device().memory_info().used_bytes - used, placement.placed_bytes);
  EXPECT_TRUE(executable->certify().tight());
}

/// Nothing of a step is computed beside the graph: without any one kernel the tokens are others.
TEST(Replay, EveryFusedKernelMatters) {
  const auto story = [](const std::string& without) -> std::vector<TokenId> {
    const auto model = load_tales_without(without);
    if (model == nullptr) return {};
    auto session = llama::Session::create(model);
    if (!session) return {};
    std::vector<TokenId> tokens(30);
    if (!session->continue_by(1, kGreedy, tokens)) return {};
    return tokens;
  };
  const std::vector<TokenId> whole = story("");
  ASSERT_FALSE(whole.empty());
  EXPECT_EQ(story(""), whole);
  for (const char* kernel :
       {"embedding_token_q8_0", "norm_mat_vec3_rope_kv_append_interleaved_f16_q8_0_tile16_int8",
        "attention_f16", "mat_vec_add_q8_0_tile16_int8", "norm_mat_vec_silu_mul_q8_0_tile16_int8",
        "norm_mat_vec_q8_0_tile16_int8", "sample", "advance"}) {
    const std::vector<TokenId> without = story(kernel);
    EXPECT_EQ(without.size(), whole.size()) << kernel;
    EXPECT_NE(without, whole) << kernel;
  }
}

TEST(Replay, TellsWhatEachDispatchTook) {  // rows F5, J4, J5
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  const Step step = capture_step(*model);
  auto executable = step.graph.compile(model->device());
  ASSERT_TRUE(executable);
  auto plain = executable->submit();
  ASSERT_TRUE(plain);
  ASSERT_TRUE(plain->wait());
  EXPECT_TRUE(plain->dispatch_times()->empty());
  EXPECT_TRUE(model->device().label_times().empty());
  executable->set_profiling(true);
  auto timed = executable->submit();
  ASSERT_TRUE(timed);
  ASSERT_TRUE(timed->wait());
  const auto times = timed->dispatch_times();
  ASSERT_TRUE(times);
  EXPECT_EQ(times->size(), 120U);
  for (const DispatchTime& time : *times) EXPECT_GE(time.elapsed_seconds(), 0) << time.label;
  std::uint64_t count = 0;
  for (const LabelTime& label : model->device().label_times()) {
    count += label.count;
    EXPECT_LE(label.min_seconds, label.max_seconds);
    EXPECT_GE(label.total_seconds, label.max_seconds);
  }
  EXPECT_EQ(count, 120U);
}

}  // namespace
}  // namespace segue::e2e
