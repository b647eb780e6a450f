// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "e2e/golden.hpp"
#include "segue/host.hpp"

namespace segue::e2e {
namespace {

using llama::TokenId;

constexpr llama::Sampling kGreedy{0.0F, 0, 1.0F, 0};

TEST(Session, ARecordedTokenHasNineteenDispatchesALayer) {
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  llama::SessionOptions options;
  options.decoding = llama::Decoding::kRecord;
  auto session = llama::Session::create(model, options);
  ASSERT_TRUE(session);
  const auto first = session->next(golden_prompts("q8_0")[0].prompt_ids, kGreedy);
  ASSERT_TRUE(first);
  model->device().reset_counters();
  ASSERT_TRUE(session->next({{*first}}, kGreedy));
  // Embedding, 19 a layer, final norm, its weight, output, argmax.
  const std::uint64_t dispatches = 1 + 19 * 6 + 4;
  // Levels: 14 a layer, and one each for the five beside the layers.
  const std::uint64_t barriers = 14 * 6 + 5 - 1;
  EXPECT_EQ(session->last_step().dispatches, dispatches);
  EXPECT_EQ(session->last_step().barriers, barriers);
  const Counters counters = model->device().counters();
  EXPECT_EQ(counters.command_buffers, 1U);
  EXPECT_EQ(counters.syncs, 1U);
  EXPECT_EQ(counters.dispatches_recorded, dispatches);
  EXPECT_EQ(counters.dispatches_executed, dispatches);
  EXPECT_EQ(counters.barriers_inferred, barriers);
  EXPECT_EQ(counters.barriers_issued, barriers);
  EXPECT_EQ(counters.concurrent, dispatches - barriers);
}

TEST(Session, AReplayedTokenRecordsNothing) {  // rows F1, J1
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  auto session = llama::Session::create(model);
  ASSERT_TRUE(session);
  const auto first = session->next(golden_prompts("q8_0")[0].prompt_ids, kGreedy);
  ASSERT_TRUE(first);
  model->device().reset_counters();
  ASSERT_TRUE(session->next({{*first}}, kGreedy));
  // 5 a layer, one after another; embedding, output, sampling, state.
  const std::uint64_t dispatches = 5 * 6 + 4;
  const std::uint64_t barriers = 5 * 6 + 4 - 1;
  EXPECT_EQ(session->last_step().dispatches, dispatches);
  EXPECT_EQ(session->last_step().barriers, barriers);
  const Counters counters = model->device().counters();
  EXPECT_EQ(counters.command_buffers, 1U);
  EXPECT_EQ(counters.syncs, 1U);
  EXPECT_EQ(counters.dispatches_recorded, 0U);
  EXPECT_EQ(counters.dispatches_executed, dispatches);
  EXPECT_EQ(counters.barriers_inferred, barriers);
  EXPECT_EQ(counters.barriers_issued, barriers);
  EXPECT_EQ(counters.concurrent, dispatches - barriers);
}

TEST(Session, RefusesWhatTheContextCannotHoldAndStaysUsable) {
  const auto model = load_tales("q4_0");
  ASSERT_NE(model, nullptr);
  llama::SessionOptions options;
  options.context = 8;
  auto session = llama::Session::create(model, options);
  ASSERT_TRUE(session);
  const auto refused = session->next(std::vector<TokenId>(9, 1), kGreedy);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().message,
            "The sequence has 0 tokens and 9 more are given, but the context holds 8.");
  EXPECT_FALSE(session->next({{TokenId{2048}}}, kGreedy));
  EXPECT_FALSE(session->next({{TokenId{-1}}}, kGreedy));
  EXPECT_FALSE(session->next({}, kGreedy));
  EXPECT_TRUE(session->next(std::vector<TokenId>(8, 1), kGreedy));
  EXPECT_FALSE(session->next({{TokenId{1}}}, kGreedy));
}

TEST(Session, ASeedRepeatsAndAnotherSeedDiffers) {
  const auto model = load_tales("q8_0");
  ASSERT_NE(model, nullptr);
  const auto story = [&](std::uint64_t seed) {
    auto session = llama::Session::create(model);
    std::vector<TokenId> all, tokens{1};
    for (int i = 0; i < 40; ++i) {
      const auto token = session->next(tokens, {1.0F, 0, 1.0F, seed});
      if (!token) return all;
      all.push_back(*token);
      tokens = {*token};
    }
    return all;
  };
  const std::vector<TokenId> first = story(7);
  EXPECT_EQ(first.size(), 40U);
  EXPECT_EQ(story(7), first);
  EXPECT_NE(story(8), first);
}

TEST(Session, ThreadsDoNotChangeTheResult) {
  std::vector<std::vector<float>> results;
  for (const auto& [threads, parallelism] : {std::pair{1U, host::Parallelism::kNever},
                                             {2U, host::Parallelism::kAuto},
                                             {3U, host::Parallelism::kAlways}}) {
    host::HostOptions host_options;
    host_options.threads = threads;
    host_options.parallelism = parallelism;
    const auto device = host::create_device({}, host_options);
    ASSERT_TRUE(device);
    const auto model = llama::Model::load(*device, tales_model("q8_0"));
    ASSERT_TRUE(model);
    auto session = llama::Session::create(*model);
    ASSERT_TRUE(session);
    const auto logits = session->logits(golden_prompts("q8_0")[1].prompt_ids);
    ASSERT_TRUE(logits);
    results.push_back(*logits);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

/// Nothing is computed beside the encoder: without any one kernel the output is another.
TEST(Session, EveryKernelMatters) {
  const auto story = [](const std::string& without) -> std::vector<float> {
    const auto model = load_tales_without(without);
    if (model == nullptr) return {};
    auto session = llama::Session::create(model);
    if (!session) return {};
    // A sampled token, then the logits that follow from it.
    const auto token = session->next({{1, 2047, 790}}, kGreedy);
    if (!token) return {};
    const auto logits = session->logits({{*token}});
    if (!logits) return {};
    std::vector<float> result = *logits;
    result.push_back(static_cast<float>(*token));
    return result;
  };
  const std::vector<float> whole = story("");
  ASSERT_FALSE(whole.empty());
  EXPECT_EQ(story(""), whole);
  for (const char* kernel :
       {"embedding_q8_0", "rms_norm", "mul", "mat_vec_q8_0_tile16_int8", "repack_q8_0_tile16",
        "rope_interleaved", "kv_append_f16", "attention_f16", "add", "silu_mul", "argmax"}) {
    const std::vector<float> without = story(kernel);
    EXPECT_EQ(without.size(), whole.size()) << kernel;
    EXPECT_NE(without, whole) << kernel;
  }
}

}  // namespace
}  // namespace segue::e2e
