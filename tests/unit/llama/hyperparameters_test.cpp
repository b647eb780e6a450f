// SPDX-License-Identifier: Apache-2.0
#include "llama/hyperparameters.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <variant>

#include "llama/model_tensors.hpp"
#include "unit/llama/raw_gguf.hpp"

namespace segue::llama {
namespace {

using test::expect_error;
using test::RawGguf;

/// A model that a test changes before it becomes bytes. All tensors are F32 unless said otherwise.
struct Draft {
  struct Tensor {
    std::vector<std::uint64_t> ne;
    std::uint32_t type = 0;
  };
  std::map<std::string, std::string> strings = {{"general.architecture", "llama"}};
  std::map<std::string, std::uint32_t> numbers = {
      {"llama.block_count", 2},          {"llama.embedding_length", 8},
      {"llama.feed_forward_length", 12}, {"llama.context_length", 64},
      {"llama.attention.head_count", 4}, {"llama.attention.head_count_kv", 2},
      {"llama.attention.key_length", 6}};
  std::map<std::string, float> floats = {{"llama.attention.layer_norm_rms_epsilon", 1e-6F},
                                         {"llama.rope.freq_base", 5000.0F}};
  std::map<std::string, Tensor> tensors = {{"token_embd.weight", {{8, 10}}},
                                           {"output_norm.weight", {{8}}}};
  std::uint64_t token_count = 10;

  Draft() {
    for (const std::string layer : {"blk.0.", "blk.1."}) {
      tensors[layer + "attn_norm.weight"] = {{8}};
      tensors[layer + "attn_q.weight"] = {{8, 24}};
      tensors[layer + "attn_k.weight"] = {{8, 12}};
      tensors[layer + "attn_v.weight"] = {{8, 12}};
      tensors[layer + "attn_output.weight"] = {{24, 8}};
      tensors[layer + "ffn_norm.weight"] = {{8}};
      tensors[layer + "ffn_gate.weight"] = {{8, 12}};
      tensors[layer + "ffn_up.weight"] = {{8, 12}};
      tensors[layer + "ffn_down.weight"] = {{12, 8}};
    }
  }

  [[nodiscard]] RawGguf raw() const {
    RawGguf out;
    out.header(tensors.size(), strings.size() + numbers.size() + floats.size() + 1);
    for (const auto& [key, value] : strings) out.string_entry(key, value);
    for (const auto& [key, value] : numbers) out.entry(key, 4, value);
    for (const auto& [key, value] : floats) out.entry(key, 6, value);
    out.array_entry("tokenizer.ggml.tokens", 8, token_count);
    for (std::uint64_t i = 0; i < token_count; ++i) out.string(std::to_string(i));
    std::uint64_t offset = 0;
    for (const auto& [name, tensor] : tensors) {
      out.tensor(name, tensor.ne, tensor.type, offset);
      offset += 2048;
    }
    return out.pad().zeros(offset);
  }
};

struct Model {
  Hyperparameters shape;
  std::uint32_t layers_found = 0;
  bool rope_factors = false;
  bool tied = false;
};

Result<Model> load(const Draft& draft) {
  const RawGguf raw = draft.raw();
  SEGUE_TRY_ASSIGN(const GgufFile file, GgufFile::parse(raw.bytes(), "m.gguf"));
  Model model;
  SEGUE_TRY_ASSIGN(model.shape, Hyperparameters::read(file));
  SEGUE_TRY_ASSIGN(const ModelTensors tensors, ModelTensors::find(file, model.shape));
  model.layers_found = static_cast<std::uint32_t>(tensors.layers.size());
  model.rope_factors = tensors.rope_factors != nullptr;
  model.tied = tensors.output == tensors.token_embedding;
  return model;
}

/// What loading says after `change`.
Result<Model> after(const std::function<void(Draft&)>& change) {
  Draft draft;
  change(draft);
  return load(draft);
}

TEST(Hyperparameters, ComeFromTheMetadata) {
  const auto model = load(Draft());
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const Hyperparameters& shape = model->shape;
  EXPECT_EQ(2U, shape.layers);
  EXPECT_EQ(8U, shape.width);
  EXPECT_EQ(4U, shape.heads);
  EXPECT_EQ(2U, shape.kv_heads);
  EXPECT_EQ(6U, shape.head_size);  // Wider in all than the model.
  EXPECT_EQ(24U, shape.query_width());
  EXPECT_EQ(12U, shape.kv_width());
  EXPECT_EQ(12U, shape.feed_forward);
  EXPECT_EQ(64U, shape.context);
  EXPECT_EQ(10U, shape.vocabulary);
  EXPECT_EQ(5000.0F, shape.rope_base);
  EXPECT_EQ(1e-6F, shape.rms_epsilon);
  EXPECT_TRUE(shape.tied_output);
  EXPECT_TRUE(model->tied);
  EXPECT_EQ(2U, model->layers_found);
  EXPECT_FALSE(model->rope_factors);
}

TEST(Hyperparameters, HaveTheUsualDefaults) {
  const auto model = after([](Draft& draft) {
    draft.floats.erase("llama.rope.freq_base");
    draft.numbers.erase("llama.attention.key_length");
    draft.numbers.erase("llama.attention.head_count_kv");
    for (const std::string layer : {"blk.0.", "blk.1."}) {
      for (const std::string part : {"q", "k", "v", "output"}) {
        draft.tensors[layer + "attn_" + part + ".weight"] = {{8, 8}};
      }
    }
  });
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ(10000.0F, model->shape.rope_base);
  EXPECT_EQ(2U, model->shape.head_size);
  EXPECT_EQ(4U, model->shape.kv_heads);
}

TEST(Hyperparameters, KnowAnUntiedOutputAndRopeFactors) {
  const auto model = after([](Draft& draft) {
    draft.tensors["output.weight"] = {{8, 10}};
    draft.tensors["rope_freqs.weight"] = {{3}};
  });
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_FALSE(model->shape.tied_output);
  EXPECT_FALSE(model->tied);
  EXPECT_TRUE(model->rope_factors);
}

TEST(Hyperparameters, OfTheShippedModelAreThoseOfItsDescription) {
  const auto file = GgufFile::open(SEGUE_SOURCE_DIR "/models/tales-q4_0.gguf");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto shape = Hyperparameters::read(*file);
  ASSERT_TRUE(shape.has_value()) << shape.error().message;
  EXPECT_EQ(6U, shape->layers);
  EXPECT_EQ(192U, shape->width);
  EXPECT_EQ(6U, shape->heads);
  EXPECT_EQ(2U, shape->kv_heads);
  EXPECT_EQ(32U, shape->head_size);
  EXPECT_EQ(512U, shape->feed_forward);
  EXPECT_EQ(512U, shape->context);
  EXPECT_EQ(2048U, shape->vocabulary);
  EXPECT_TRUE(shape->tied_output);
  EXPECT_TRUE(ModelTensors::find(*file, *shape).has_value());
}

TEST(Hyperparameters, OtherKindsOfModelAreNamed) {  // row K4
  constexpr auto kUnsupported = ErrorCode::kUnsupported;
  expect_error(after([](Draft& d) { d.strings["general.architecture"] = "gemma3"; }), kUnsupported,
               {"m.gguf", "architecture \"gemma3\"", "\"llama\""});
  expect_error(after([](Draft& d) { d.numbers["llama.expert_count"] = 8; }), kUnsupported,
               {"8 experts"});
  expect_error(after([](Draft& d) { d.numbers["split.count"] = 3; }), kUnsupported, {"3 parts"});
  expect_error(after([](Draft& d) { d.strings["llama.rope.scaling.type"] = "yarn"; }), kUnsupported,
               {"\"yarn\"", "scaling"});
  expect_error(after([](Draft& d) { d.floats["llama.rope.scale_linear"] = 4; }), kUnsupported,
               {"scales its rotary embedding by 4"});
  expect_error(after([](Draft& d) { d.numbers["llama.rope.dimension_count"] = 4; }), kUnsupported,
               {"rotates 4 of the 6"});
  expect_error(after([](Draft& d) { d.numbers["llama.attention.value_length"] = 4; }), kUnsupported,
               {"keys of 6 and values of 4"});
  EXPECT_TRUE(after([](Draft& d) { d.strings["llama.rope.scaling.type"] = "none"; }).has_value());
}

TEST(Hyperparameters, ValuesThatMakeNoSenseAreNamed) {  // row K4
  constexpr auto kCorrupt = ErrorCode::kCorruptData;
  for (const std::string name :
       {"block_count", "embedding_length", "feed_forward_length", "context_length",
        "attention.head_count", "attention.head_count_kv", "attention.key_length"}) {
    const std::string key = "llama." + name;
    for (const std::uint32_t value : {0U, (1U << 24) + 1, 0xFFFFFFFFU}) {
      expect_error(after([&](Draft& d) { d.numbers[key] = value; }), kCorrupt,
                   {key, "is " + std::to_string(value)});
    }
  }
  expect_error(after([](Draft& d) { d.numbers["llama.attention.head_count_kv"] = 3; }), kCorrupt,
               {"4 attention heads", "3 key/value"});
  expect_error(after([](Draft& d) { d.numbers["llama.attention.key_length"] = 5; }), kCorrupt,
               {"heads of 5", "even"});
  expect_error(after([](Draft& d) {
                 d.numbers.erase("llama.attention.key_length");
                 d.numbers["llama.embedding_length"] = 10;
               }),
               kCorrupt, {"width 10", "4 attention heads"});
  expect_error(after([](Draft& d) {
                 d.numbers["llama.attention.head_count"] = 1 << 20;
                 d.numbers["llama.attention.key_length"] = 1 << 20;
               }),
               kCorrupt, {"1048576 heads of 1048576"});
  expect_error(after([](Draft& d) { d.token_count = 11; }), kCorrupt, {"11 tokens", "10 rows"});
  expect_error(after([](Draft& d) { d.numbers["llama.vocab_size"] = 9; }), kCorrupt,
               {"llama.vocab_size", "is 9", "10 rows"});
  for (const float base : {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity()}) {
    expect_error(after([&](Draft& d) { d.floats["llama.rope.freq_base"] = base; }), kCorrupt,
                 {"llama.rope.freq_base", "at least 1"});
  }
  for (const float epsilon : {-1.0F, 1.0F, std::numeric_limits<float>::quiet_NaN()}) {
    expect_error(
        after([&](Draft& d) { d.floats["llama.attention.layer_norm_rms_epsilon"] = epsilon; }),
        kCorrupt, {"layer_norm_rms_epsilon", "below 1"});
  }
}

TEST(Hyperparameters, RequiredKeysAreNamedWhenMissing) {  // row K4
  for (const std::string name : {"block_count", "embedding_length", "feed_forward_length",
                                 "context_length", "attention.head_count"}) {
    expect_error(after([&](Draft& d) { d.numbers.erase("llama." + name); }), ErrorCode::kNotFound,
                 {"\"llama." + name + "\""});
  }
  expect_error(after([](Draft& d) { d.floats.erase("llama.attention.layer_norm_rms_epsilon"); }),
               ErrorCode::kNotFound, {"layer_norm_rms_epsilon"});
  expect_error(after([](Draft& d) { d.strings.clear(); }), ErrorCode::kNotFound,
               {"general.architecture"});
}

TEST(ModelTensors, EachMissingTensorIsNamed) {  // row K4
  for (const auto& [name, tensor] : Draft().tensors) {
    expect_error(after([&](Draft& d) { d.tensors.erase(name); }), ErrorCode::kNotFound,
                 {"\"" + name + "\""});
  }
  expect_error(after([](Draft& d) { d.numbers["llama.block_count"] = 1 << 24; }),
               ErrorCode::kNotFound, {"\"blk.2.attn_norm.weight\""});
}

TEST(ModelTensors, EachWrongShapeIsNamedWithTheRightOne) {  // row K4
  for (const auto& [name, tensor] : Draft().tensors) {
    if (name == "token_embd.weight") continue;  // Its rows define the vocabulary.
    const auto swapped = [&](Draft& d) { d.tensors[name].ne.push_back(2); };
    expect_error(after(swapped), ErrorCode::kCorruptData, {"\"" + name + "\"", "[2, "});
    const auto longer = [&](Draft& d) { d.tensors[name].ne.back() += 1; };
    expect_error(after(longer), ErrorCode::kCorruptData, {"\"" + name + "\""});
  }
  expect_error(after([](Draft& d) { d.tensors["blk.1.attn_q.weight"].ne = {24, 8}; }),
               ErrorCode::kCorruptData, {"\"blk.1.attn_q.weight\"", "[8, 24]", "asks for [24, 8]"});
  expect_error(after([](Draft& d) { d.tensors["token_embd.weight"].ne = {7, 10}; }),
               ErrorCode::kCorruptData, {"\"token_embd.weight\"", "[10, 7]", "[10, 8]"});
}

TEST(ModelTensors, EachTypeThatSegueDoesNotReadIsNamed) {  // row K4
  expect_error(after([](Draft& d) { d.tensors["blk.1.ffn_up.weight"].type = 24; }),
               ErrorCode::kUnsupported,
               {"\"blk.1.ffn_up.weight\" has type I8", "F32, F16, BF16, Q8_0 and Q4_0"});
  expect_error(after([](Draft& d) { d.tensors["blk.0.attn_norm.weight"].type = 1; }),
               ErrorCode::kUnsupported, {"\"blk.0.attn_norm.weight\"", "type F16", "F32"});
  EXPECT_TRUE(after([](Draft& d) {
                d.tensors["blk.0.ffn_up.weight"].type = 1;
                d.tensors["blk.1.ffn_up.weight"].type = 30;
              }).has_value());
}

TEST(ModelTensors, TensorsThatTheModelWouldMissAreNamed) {  // row K4
  for (const std::string name :
       {"blk.0.attn_q.bias", "blk.2.attn_q.weight", "blk.0.attn_q_norm.weight"}) {
    expect_error(after([&](Draft& d) { d.tensors[name] = {{8}}; }), ErrorCode::kUnsupported,
                 {"\"" + name + "\"", "no part"});
  }
}

}  // namespace
}  // namespace segue::llama
