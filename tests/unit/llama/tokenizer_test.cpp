// SPDX-License-Identifier: Apache-2.0
#include "llama/tokenizer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <random>

#include "support/test_seed.hpp"
#include "unit/llama/raw_gguf.hpp"

namespace segue::llama {
namespace {

using test::expect_error;
using test::RawGguf;

const std::string kSpace = "\xE2\x96\x81";

struct Entry {
  std::string piece;
  float score;
  std::int32_t kind = 1;
};

/// A vocabulary that a test changes before it becomes a file.
struct Draft {
  std::optional<std::string> model = "llama";
  std::vector<Entry> entries;
  bool has_scores = true;
  bool has_kinds = true;
  std::size_t missing_scores = 0;
  std::vector<std::pair<std::string, std::uint32_t>> ids = {
      {"unknown_token_id", 0}, {"bos_token_id", 1}, {"eos_token_id", 2}};
  std::vector<std::pair<std::string, bool>> flags;

  /// <unk>, <s>, </s> and, if asked for, the 256 bytes.
  explicit Draft(bool bytes = true) {
    entries = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}};
    for (int i = 0; bytes && i < 256; ++i) {
      char name[8];
      std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(i));
      entries.push_back({name, 0, 6});
    }
  }
  Draft& add(std::string piece, float score, std::int32_t kind = 1) {
    entries.push_back({std::move(piece), score, kind});
    return *this;
  }
  [[nodiscard]] RawGguf raw() const {
    const std::string prefix = "tokenizer.ggml.";
    RawGguf out;
    out.header(0, 1U + (model ? 1U : 0U) + (has_scores ? 1U : 0U) + (has_kinds ? 1U : 0U) +
                      ids.size() + flags.size());
    if (model) out.string_entry(prefix + "model", *model);
    out.array_entry(prefix + "tokens", 8, entries.size());
    for (const Entry& entry : entries) out.string(entry.piece);
    if (has_scores) {
      out.array_entry(prefix + "scores", 6, entries.size() - missing_scores);
      for (std::size_t i = missing_scores; i < entries.size(); ++i) out.number(entries[i].score);
    }
    if (has_kinds) {
      out.array_entry(prefix + "token_type", 5, entries.size());
      for (const Entry& entry : entries) out.number(entry.kind);
    }
    for (const auto& [key, id] : ids) out.entry(prefix + key, 4, id);
    for (const auto& [key, flag] : flags) out.entry<std::uint8_t>(prefix + key, 7, flag ? 1 : 0);
    return out;
  }
  [[nodiscard]] Result<Tokenizer> read() const {
    const RawGguf bytes = raw();
    SEGUE_TRY_ASSIGN(const GgufFile file, GgufFile::parse(bytes.bytes(), "m.gguf"));
    return Tokenizer::read(file);
  }
};

/// The pieces of the encoded text, without BOS, joined by '|'.
std::string pieces(const Tokenizer& tokenizer, std::string_view text, bool parse_special = false) {
  const auto tokens =
      tokenizer.encode(text, {.add_bos = false, .parse_special = parse_special}).value();
  std::string out;
  for (const TokenId token : tokens) {
    out += (out.empty() ? "" : "|") + std::string(tokenizer.piece(token));
  }
  return out;
}

TEST(Tokenizer, JoinsTheBestPairFirstAndTheLeftmostOfEquals) {
  Draft draft;
  draft.flags = {{"add_space_prefix", false}};
  draft.add("a", -10).add("b", -10).add("c", -10).add("ab", -2).add("bc", -1).add("aa", -3);
  const Tokenizer tokenizer = *draft.read();
  EXPECT_EQ("a|bc", pieces(tokenizer, "abc"));
  EXPECT_EQ("aa|a", pieces(tokenizer, "aaa"));
  EXPECT_EQ("aa|aa|ab", pieces(tokenizer, "aaaaab"));
  EXPECT_EQ("", pieces(tokenizer, ""));
}

TEST(Tokenizer, PutsASpaceBeforeTheTextWhereTheVocabularyWantsIt) {
  Draft draft;
  draft.add(kSpace, -10).add("a", -11).add(kSpace + "a", -1);
  const Tokenizer with = *draft.read();
  EXPECT_EQ(kSpace + "a|" + kSpace + "a", pieces(with, "a a"));
  EXPECT_EQ(kSpace + "|" + kSpace + "a", pieces(with, " a"));
  EXPECT_EQ(kSpace, pieces(with, ""));
  draft.flags = {{"add_space_prefix", false}};
  const Tokenizer without = *draft.read();
  EXPECT_EQ("a|" + kSpace + "a", pieces(without, "a a"));
  EXPECT_EQ("a", without.decode(without.encode("a", {.add_bos = false}).value()));
  EXPECT_EQ(" a", without.decode(without.encode(" a", {.add_bos = false}).value()));
}

TEST(Tokenizer, PutsBosFirstWhenBothTheModelAndTheCallerAskForIt) {
  Draft draft;
  draft.add(kSpace, -1);
  EXPECT_EQ((std::vector<TokenId>{1, 259}), draft.read()->encode("").value());
  EXPECT_EQ((std::vector<TokenId>{259}), draft.read()->encode("", {.add_bos = false}).value());
  draft.flags = {{"add_bos_token", false}};
  EXPECT_EQ((std::vector<TokenId>{259}), draft.read()->encode("").value());
}

TEST(Tokenizer, SpellsWhatIsNoPieceInBytesOrAsUnknown) {
  Draft draft;
  draft.add(kSpace, -1).add("a", -2);
  const Tokenizer tokenizer = *draft.read();
  EXPECT_EQ(kSpace + "|<0xC3>|<0xA9>|a", pieces(tokenizer,
                                                "\xC3\xA9"
                                                "a"));
  EXPECT_EQ(kSpace + "|<0xFF>|a|<0xE2>|<0x96>", pieces(tokenizer,
                                                       "\xFF"
                                                       "a\xE2\x96"));
  EXPECT_EQ(kSpace + "|<0x00>", pieces(tokenizer, std::string_view("\0", 1)));

  Draft no_bytes(false);
  no_bytes.add(kSpace, -1).add("a", -2);
  const Tokenizer unknown = *no_bytes.read();
  EXPECT_EQ(kSpace + "|<unk>|a", pieces(unknown,
                                        "\xC3\xA9"
                                        "a"));
  EXPECT_EQ(" \xE2\x81\x87 a", unknown.decode(std::vector<TokenId>{0, 4}));
}

TEST(Tokenizer, TakesNoSpecialTokensFromTextUnlessAsked) {
  Draft draft;
  draft.add(kSpace, -1).add("a", -2).add("<x>", 0, 4).add("<x>>", 0, 3);
  const Tokenizer tokenizer = *draft.read();
  EXPECT_EQ(kSpace + "|a|<0x3C>|<0x73>|<0x3E>", pieces(tokenizer, "a<s>"));
  EXPECT_EQ(kSpace + "|a|<s>|" + kSpace + "|a", pieces(tokenizer, "a<s>a", true));
  EXPECT_EQ("<s>|<x>>|<x>", pieces(tokenizer, "<s><x>><x>", true));
  EXPECT_EQ(kSpace, pieces(tokenizer, "", true));
  EXPECT_EQ(kSpace + "|<0x3C>|a", pieces(tokenizer, "<a", true));
}

TEST(Tokenizer, NeverProducesUnusedControlOrByteTokensFromTheirSpelling) {
  Draft draft;
  draft.flags = {{"add_space_prefix", false}};
  for (const char c : std::string("<s>0xabAB")) draft.add(std::string(1, c), -5);
  draft.add("<s", -1).add("ab", -1, 5);
  const Tokenizer tokenizer = *draft.read();
  EXPECT_EQ("<s|>", pieces(tokenizer, "<s>"));
  EXPECT_EQ("a|b", pieces(tokenizer, "ab"));
}

TEST(Tokenizer, KnowsTheTokensThatEndAText) {
  Draft draft;
  draft.add("<eot>", 0, 3);
  EXPECT_TRUE(draft.read()->is_end(2));
  EXPECT_FALSE(draft.read()->is_end(259));
  EXPECT_FALSE(draft.read()->is_end(1));
  draft.ids.emplace_back("eot_token_id", 259);
  EXPECT_TRUE(draft.read()->is_end(259));
  EXPECT_EQ(1, draft.read()->bos());
}

TEST(Tokenizer, RecognisesBytesBySpellingWhereKindsAreMissing) {
  Draft draft;
  draft.has_kinds = false;
  const Tokenizer tokenizer = *draft.read();
  EXPECT_EQ("<0xE2>|<0x96>|<0x81>|<0xC3>|<0xA9>", pieces(tokenizer, "\xC3\xA9"));
}

/// The rule of byte-pair merging by score, step by step, in quadratic time.
std::vector<std::string> merge_by_definition(const std::vector<Entry>& entries,
                                             std::vector<std::string> symbols) {
  for (;;) {
    std::optional<std::size_t> best;
    float best_score = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (const Entry& entry : entries) {
        if (entry.kind != 1 || entry.piece != symbols[i] + symbols[i + 1]) continue;
        if (!best || entry.score > best_score) best = i, best_score = entry.score;
        break;
      }
    }
    if (!best) return symbols;
    symbols[*best] += symbols[*best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(*best) + 1);
  }
}

TEST(Tokenizer, AgreesWithTheDefinitionOnRandomVocabularies) {
  std::mt19937_64 random(segue::test::test_seed());
  const std::vector<std::string> letters = {"a", "b", "c", "\xC3\xA9", "\xF0\x9F\x90\x9F"};
  for (int round = 0; round < 60; ++round) {
    Draft draft;
    draft.flags = {{"add_space_prefix", false}};
    for (const std::string& letter : letters) draft.add(letter, -50);
    for (int i = 0; i < 40; ++i) {
      std::string piece;
      for (std::uint64_t length = 2 + random() % 4; length > 0; --length) {
        piece += letters[random() % letters.size()];
      }
      draft.add(piece, -static_cast<float>(random() % 8));  // Equal scores are frequent.
    }
    const Tokenizer tokenizer = *draft.read();
    for (int i = 0; i < 20; ++i) {
      std::vector<std::string> symbols(random() % 40);
      std::string text;
      for (std::string& symbol : symbols) text += symbol = letters[random() % letters.size()];
      const auto expected = merge_by_definition(draft.entries, symbols);
      const auto tokens = tokenizer.encode(text, {.add_bos = false}).value();
      std::vector<std::string> actual;
      for (const TokenId token : tokens) actual.emplace_back(tokenizer.piece(token));
      ASSERT_EQ(expected, actual) << text;
    }
  }
}

TEST(Tokenizer, EveryByteStringSurvivesTheRoundTripAndStreamingSplitsNoCharacter) {
  const auto file = GgufFile::open(SEGUE_SOURCE_DIR "/models/tales-q8_0.gguf");
  const Tokenizer tokenizer = *Tokenizer::read(*file);
  std::mt19937_64 random(segue::test::test_seed());
  const std::vector<std::string> parts = {
      "the ", "king", " ",        "\n", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x9F",
      "\xFF", "\x80", "\xF0\x9F", "<s>"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint64_t i = random() % 12; i > 0; --i) text += parts[random() % parts.size()];
    const auto tokens = tokenizer.encode(text).value();
    EXPECT_EQ(text, tokenizer.decode(tokens));

    StreamDecoder decoder(tokenizer);
    std::string streamed;
    for (const TokenId token : tokens) streamed += decoder.push(token);
    streamed += decoder.finish();
    EXPECT_EQ(text, streamed);
  }
}

TEST(StreamDecoder, HoldsBackACharacterUntilItIsComplete) {
  const Tokenizer tokenizer = *Draft().add(kSpace + "a", -1).read();
  const auto byte = [](int value) { return static_cast<TokenId>(3 + value); };
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ("", decoder.push(1));
  EXPECT_EQ("a", decoder.push(259));
  EXPECT_EQ("", decoder.push(byte(0xF0)));
  EXPECT_EQ("", decoder.push(byte(0x9F)));
  EXPECT_EQ("", decoder.push(byte(0x90)));
  EXPECT_EQ("\xF0\x9F\x90\x9F", decoder.push(byte(0x9F)));
  EXPECT_EQ(" a", decoder.push(259));
  EXPECT_EQ("", decoder.push(byte(0xE2)));
  EXPECT_EQ("\xE2 a", decoder.push(259));  // No character after all.
  EXPECT_EQ("\xFF", decoder.push(byte(0xFF)));
  EXPECT_EQ("\x80", decoder.push(byte(0x80)));
  EXPECT_EQ("", decoder.push(byte(0xC3)));
  EXPECT_EQ("\xC3", decoder.finish());
  EXPECT_EQ("a", decoder.push(259));  // A new text.
  EXPECT_EQ("", decoder.push(-1));
  EXPECT_EQ("", decoder.push(1 << 20));
}

TEST(Tokenizer, TakesTimeThatGrowsHardlyFasterThanTheText) {
  // Quadratic time would take minutes here, and run into the time limit of the test.
  const auto file = GgufFile::open(SEGUE_SOURCE_DIR "/models/tales-q8_0.gguf");
  const Tokenizer tokenizer = *Tokenizer::read(*file);
  std::string words;
  while (words.size() < 1'000'000) words += "the old king said to his three sons ";
  for (const std::string& text :
       {words, std::string(1'000'000, 'e'), std::string(1'000'000, ' ')}) {
    const auto tokens = tokenizer.encode(text).value();
    EXPECT_GT(tokens.size(), 100U);
    EXPECT_EQ(text, tokenizer.decode(tokens));
  }
  expect_error(tokenizer.encode(std::string((std::size_t{64} << 20) + 1, 'e')),
               ErrorCode::kInvalidArgument, {"67108865 bytes", "67108864"});
}

TEST(Tokenizer, NamesWhatIsWrongWithAVocabulary) {  // row K4
  const auto after = [](auto change) {
    Draft draft;
    change(draft);
    return draft.read();
  };
  using D = Draft&;
  constexpr auto kCorrupt = ErrorCode::kCorruptData;
  expect_error(after([](D d) { d.model = "gpt2"; }), ErrorCode::kUnsupported,
               {"m.gguf", "\"gpt2\"", "\"llama\""});
  expect_error(after([](D d) { d.model.reset(); }), ErrorCode::kNotFound, {"tokenizer.ggml.model"});
  expect_error(after([](D d) { d.has_scores = false; }), ErrorCode::kUnsupported,
               {"m.gguf", "no scores", "tokenizer.ggml.scores"});
  expect_error(after([](D d) { d.missing_scores = 2; }), kCorrupt,
               {"259 tokens", "tokenizer.ggml.scores", "257 elements"});
  expect_error(after([](D d) { d.ids[1].first = "other"; }), ErrorCode::kNotFound,
               {"begins a text", "bos_token_id"});
  expect_error(after([](D d) { d.ids[1].second = 259; }), kCorrupt,
               {"bos_token_id", "is 259", "259 tokens"});
  expect_error(after([](D d) { d.ids[2].second = 0xFFFFFFFF; }), kCorrupt, {"eos_token_id"});
  expect_error(after([](D d) { d.add("x", std::numeric_limits<float>::quiet_NaN()); }), kCorrupt,
               {"Token 259", "not finite"});
  expect_error(after([](D d) { d.add("x", 0, 7); }), kCorrupt, {"Token 259", "kind 7"});
  expect_error(after([](D d) { d.add("x", 0, -1); }), kCorrupt, {"Token 259", "kind -1"});
  expect_error(after([](D d) { d.add("<0xGG>", 0, 6); }), kCorrupt, {"Token 259", "\"<0xGG>\""});
  expect_error(after([](D d) { d.add(std::string(70000, 'x'), 0); }), kCorrupt, {"70000 bytes"});
  expect_error(after([](D d) { d.entries.clear(); }), kCorrupt, {"has 0 tokens"});
  expect_error(after([](D d) {
                 d.entries.resize(100);
                 d.ids.erase(d.ids.begin());
               }),
               kCorrupt, {"lacks byte tokens", "no unknown token"});
}

}  // namespace
}  // namespace segue::llama
