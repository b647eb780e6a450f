// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "llama/gguf.hpp"
#include "llama/tokenizer.hpp"

// The tokenizer against the values that came with the shipped model, made by another
// implementation.

namespace segue::llama {
namespace {

using nlohmann::json;

const std::string kModels = SEGUE_SOURCE_DIR "/models/";

json golden() {
  std::ifstream file(kModels + "tales-golden.json");
  return json::parse(file);
}

Tokenizer load(const std::string& format) {
  auto file = GgufFile::open(kModels + "tales-" + format + ".gguf");
  if (!file) throw std::runtime_error(file.error().message);
  auto tokenizer = Tokenizer::read(*file);
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return *std::move(tokenizer);
}

TEST(TokenizerGolden, EveryCaseEncodesToTheGivenIds) {
  const Tokenizer tokenizer = load("q8_0");
  const json cases = golden()["tokenizer"];
  ASSERT_EQ(9U, cases.size());
  for (const json& item : cases) {
    const auto text = item["text"].get<std::string>();
    const auto ids = tokenizer.encode(text, {.add_bos = false});
    ASSERT_TRUE(ids.has_value()) << ids.error().message;
    EXPECT_EQ(item["ids"].get<std::vector<TokenId>>(), *ids) << '"' << text << '"';
  }
}

TEST(TokenizerGolden, EveryCaseDecodesToItsText) {
  const Tokenizer tokenizer = load("q8_0");
  const json cases = golden()["tokenizer"];
  ASSERT_EQ(9U, cases.size());
  for (const json& item : cases) {
    auto text = item["text"].get<std::string>();
    if (text == "\xE2\x96\x81") text = " ";  // U+2581 itself cannot be told from a space.
    EXPECT_EQ(text, tokenizer.decode(item["ids"].get<std::vector<TokenId>>()));
  }
}

TEST(TokenizerGolden, EveryPromptEncodesAndEveryContinuationDecodesInEveryFormat) {
  const json values = golden();
  int prompts = 0;
  for (const std::string format : {"f16", "q8_0", "q4_0"}) {
    const Tokenizer tokenizer = load(format);
    for (const json& item : values[format]) {
      const auto ids = tokenizer.encode(item["prompt"].get<std::string>());
      ASSERT_TRUE(ids.has_value()) << ids.error().message;
      EXPECT_EQ(item["prompt_ids"].get<std::vector<TokenId>>(), *ids) << item["prompt"];

      const auto greedy = item["greedy_ids"].get<std::vector<TokenId>>();
      EXPECT_EQ(item["greedy_text"].get<std::string>(), tokenizer.decode(greedy));
      StreamDecoder decoder(tokenizer);
      std::string streamed;
      for (const TokenId token : greedy) streamed += decoder.push(token);
      streamed += decoder.finish();
      EXPECT_EQ(item["greedy_text"].get<std::string>(), streamed);
      ++prompts;
    }
  }
  EXPECT_EQ(15, prompts);
}

}  // namespace
}  // namespace segue::llama
