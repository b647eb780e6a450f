// SPDX-License-Identifier: Apache-2.0
#include "llama/synth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

#include "llama/gguf.hpp"
#include "llama/model_tensors.hpp"
#include "llama/random_weights.hpp"
#include "llama/tokenizer.hpp"
#include "unit/llama/raw_gguf.hpp"

namespace segue::llama {
namespace {

using test::expect_error;

constexpr TensorType kTypes[] = {TensorType::kF32, TensorType::kF16, TensorType::kBf16,
                                 TensorType::kQ8_0, TensorType::kQ4_0};

SynthOptions small(TensorType type, std::uint64_t seed = 1) {
  return {.shape = {.layers = 2,
                    .width = 64,
                    .heads = 4,
                    .kv_heads = 2,
                    .head_size = 32,
                    .feed_forward = 96,
                    .context = 128,
                    .vocabulary = 500,
                    .rope_base = 20000.0F,
                    .rms_epsilon = 1e-6F,
                    .tied_output = false},
          .type = type,
          .seed = seed};
}

double half_value(std::uint16_t half) {
  const double fraction = half % 1024;
  const int exponent = half / 1024 % 32;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half >= 0x8000 ? -magnitude : magnitude;
}

template <class T>
T at(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// The numbers of a tensor, by the definition of each type.
std::vector<double> values(TensorType type, std::span<const std::byte> bytes) {
  std::vector<double> out;
  switch (type) {
    case TensorType::kF32:
      for (std::size_t i = 0; i < bytes.size(); i += 4) out.push_back(at<float>(bytes, i));
      break;
    case TensorType::kF16:
      for (std::size_t i = 0; i < bytes.size(); i += 2) {
        out.push_back(half_value(at<std::uint16_t>(bytes, i)));
      }
      break;
    case TensorType::kBf16:
      for (std::size_t i = 0; i < bytes.size(); i += 2) {
        const std::uint32_t wide = std::uint32_t{at<std::uint16_t>(bytes, i)} << 16;
        float value;
        std::memcpy(&value, &wide, sizeof(value));
        out.push_back(value);
      }
      break;
    case TensorType::kQ8_0:
      for (std::size_t block = 0; block < bytes.size(); block += 34) {
        const double scale = half_value(at<std::uint16_t>(bytes, block));
        for (std::size_t i = 0; i < 32; ++i) {
          out.push_back(scale * at<std::int8_t>(bytes, block + 2 + i));
        }
      }
      break;
    case TensorType::kQ4_0:
      for (std::size_t block = 0; block < bytes.size(); block += 18) {
        const double scale = half_value(at<std::uint16_t>(bytes, block));
        for (std::size_t i = 0; i < 32; ++i) {
          const unsigned two = at<std::uint8_t>(bytes, block + 2 + i % 16);
          out.push_back(scale * (static_cast<int>(i < 16 ? two % 16 : two / 16) - 8));
        }
      }
      break;
  }
  return out;
}

TEST(Synth, WritesAModelThatLoadsInEveryType) {
  const test::ScratchFolder folder;
  for (const TensorType type : kTypes) {
    const SynthOptions options = small(type);
    const auto size = write_synthetic_model(folder.file("m.gguf"), options);
    ASSERT_TRUE(size.has_value()) << size.error().message;
    EXPECT_EQ(*size, std::filesystem::file_size(folder.file("m.gguf")));

    const auto file = GgufFile::open(folder.file("m.gguf"));
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const auto shape = Hyperparameters::read(*file);
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(options.shape.head_size, shape->head_size);
    EXPECT_EQ(options.shape.vocabulary, shape->vocabulary);
    EXPECT_EQ(options.shape.rope_base, shape->rope_base);
    EXPECT_EQ(options.shape.rms_epsilon, shape->rms_epsilon);
    EXPECT_FALSE(shape->tied_output);
    const auto tensors = ModelTensors::find(*file, *shape);
    ASSERT_TRUE(tensors.has_value()) << tensors.error().message;
    EXPECT_EQ(type, tensors->layers[1].down->type);
    EXPECT_EQ("[128, 64]", tensors->layers[1].query->shape());

    const auto tokenizer = Tokenizer::read(*file);
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    const std::string text = "once upon a time, Caf\xC3\xA9";
    EXPECT_EQ(text, tokenizer->decode(tokenizer->encode(text).value()));
    std::set<std::string_view> pieces;
    for (TokenId i = 0; i < 500; ++i) pieces.insert(tokenizer->piece(i));
    EXPECT_EQ(500U, pieces.size());
  }
}

TEST(Synth, WeightsHaveTheSpreadThatKeepsActivationsInRange) {
  for (const TensorType type : kTypes) {
    constexpr std::size_t kElements = 1 << 17;
    constexpr float kDeviation = 1.0F / 64;
    const auto info = *tensor_type_info(type);
    std::vector<std::byte> bytes(kElements / info.block_elements * info.block_bytes);
    RandomWeights::matrix(type, kDeviation, 5).fill(0, bytes);
    const std::vector<double> numbers = values(type, bytes);
    ASSERT_EQ(kElements, numbers.size());
    double sum = 0;
    double squares = 0;
    for (const double number : numbers) {
      sum += number;
      squares += number * number;
      ASSERT_LE(std::fabs(number), 3 * kDeviation) << to_string(type);
    }
    EXPECT_NEAR(kDeviation, std::sqrt(squares / kElements), 0.03 * kDeviation) << to_string(type);
    // Five standard errors of the mean; Q4_0 averages over blocks, whose means are half a step.
    EXPECT_NEAR(0, sum / kElements, 5 * kDeviation / std::sqrt(kElements)) << to_string(type);
  }
  std::vector<std::byte> norm(4096);
  RandomWeights::norm(5).fill(0, norm);
  const auto weights = values(TensorType::kF32, norm);
  EXPECT_GE(*std::ranges::min_element(weights), 0.9375);
  EXPECT_LE(*std::ranges::max_element(weights), 1.0625);
  EXPECT_NE(weights[0], weights[1]);
}

TEST(Synth, WeightsDoNotDependOnThePiecesTheyAreMadeIn) {
  for (const TensorType type : kTypes) {
    const auto info = *tensor_type_info(type);
    const auto weights = RandomWeights::matrix(type, 0.1F, 9);
    const auto bytes_of = [&](std::size_t elements) {
      return elements / info.block_elements * info.block_bytes;
    };
    std::vector<std::byte> whole(bytes_of(1024));
    weights.fill(0, whole);
    std::vector<std::byte> part(bytes_of(96));
    weights.fill(320, part);
    EXPECT_EQ(0, std::memcmp(part.data(), whole.data() + bytes_of(320), part.size()));
  }
  // A length that is no multiple of a random word's numbers, as vectors may have.
  std::vector<std::byte> odd(12);
  std::vector<std::byte> even(16);
  RandomWeights::norm(1).fill(0, odd);
  RandomWeights::norm(1).fill(0, even);
  EXPECT_EQ(0, std::memcmp(odd.data(), even.data(), odd.size()));
}

TEST(Synth, TheSameSeedGivesTheSameBytesAndAnotherOneOthers) {
  const test::ScratchFolder folder;
  const auto write = [&](std::uint64_t seed) {
    EXPECT_TRUE(
        write_synthetic_model(folder.file("m.gguf"), small(TensorType::kQ8_0, seed)).has_value());
    return test::read_file(folder.file("m.gguf"));
  };
  const std::string first = write(1);
  EXPECT_EQ(first, write(1));
  EXPECT_NE(first, write(2));
  // A fixed hash (FNV-1a, 64 bits), so that a change of the bytes is noticed.
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : first) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  EXPECT_EQ(13960286736871102433U, hash);
}

TEST(Synth, EstimatesTheSizeToWithinAPercent) {
  const test::ScratchFolder folder;
  for (const TensorType type : kTypes) {
    SynthOptions options = small(type);
    options.shape.vocabulary = 20000;
    const auto size = write_synthetic_model(folder.file("m.gguf"), options).value();
    const std::uint64_t estimate = estimate_synth_bytes(options);
    EXPECT_GE(estimate, size);
    EXPECT_LE(static_cast<double>(estimate - size), 0.01 * static_cast<double>(size) + 16384);
  }
  // 1.24e9 parameters at 8.5 bits.
  const SynthOptions big = {.shape = synth_shape("llama-3.2-1b").value()};
  EXPECT_NEAR(1.3165e9, static_cast<double>(estimate_synth_bytes(big)), 0.003e9);
}

TEST(Synth, KnowsThePublishedShapes) {
  const auto one = synth_shape("llama-3.2-1b").value();
  EXPECT_EQ(2048U, one.query_width());
  EXPECT_EQ(512U, one.kv_width());
  EXPECT_TRUE(one.tied_output);
  const auto eight = synth_shape("llama-3-8b").value();
  EXPECT_EQ(4096U, eight.query_width());
  EXPECT_FALSE(eight.tied_output);
  const auto qwen = synth_shape("qwen3-0.6b").value();
  EXPECT_EQ(1024U, qwen.width);
  EXPECT_EQ(2048U, qwen.query_width());
  for (const std::string_view name : synth_shape_names()) {
    for (const TensorType type : kTypes) {
      EXPECT_TRUE(check_synth({.shape = synth_shape(name).value(), .type = type}).has_value());
    }
  }
  expect_error(synth_shape("gpt-2"), ErrorCode::kNotFound,
               {"\"gpt-2\"", "llama-3.2-1b, llama-3-8b, qwen3-0.6b"});
}

TEST(Synth, RefusesShapesThatCannotBe) {  // row K4
  const auto after = [](auto change) {
    SynthOptions options = small(TensorType::kQ8_0);
    change(options.shape);
    return check_synth(options);
  };
  using S = Hyperparameters&;
  constexpr auto kInvalid = ErrorCode::kInvalidArgument;
  expect_error(after([](S s) { s.layers = 0; }), kInvalid, {"layers is 0"});
  expect_error(after([](S s) { s.width = 40; }), kInvalid, {"rows of 40", "Q8_0", "32"});
  expect_error(after([](S s) { s.head_size = 6; }), kInvalid, {"attn_output", "rows of 24"});
  expect_error(after([](S s) { s.head_size = 33; }), kInvalid, {"33", "even"});
  expect_error(after([](S s) { s.kv_heads = 3; }), kInvalid, {"multiple of its 3"});
  expect_error(after([](S s) { s.vocabulary = 259; }), kInvalid, {"259", "from 260"});
  expect_error(after([](S s) { s.heads = s.head_size = 1 << 20; }), kInvalid, {"heads"});
  expect_error(after([](S s) { s.rope_base = 0; }), kInvalid, {"rope_base is 0"});
  SynthOptions k_quant = small(TensorType{12});
  expect_error(check_synth(k_quant), kInvalid, {"Q4_K", "Q8_0"});
  expect_error(write_synthetic_model("/tmp/never", k_quant), kInvalid, {"Q4_K"});
}

TEST(Synth, SaysBeforeWritingThatTheDiskIsTooSmall) {  // row K4
  const test::ScratchFolder folder;
  SynthOptions options = small(TensorType::kF32);
  options.shape.width = options.shape.feed_forward = 1 << 23;
  options.shape.layers = 1000;
  expect_error(write_synthetic_model(folder.file("m.gguf"), options), ErrorCode::kIo,
               {"m.gguf", "GiB", "free", folder.path()});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Synth, ReportsProgressUpToTheLastByte) {
  const test::ScratchFolder folder;
  std::size_t last = 0;
  std::size_t total = 1;
  const auto progress = [&](std::size_t done, std::size_t all) {
    EXPECT_GT(done, last);
    last = done;
    total = all;
  };
  ASSERT_TRUE(
      write_synthetic_model(folder.file("m.gguf"), small(TensorType::kBf16), progress).has_value());
  EXPECT_EQ(total, last);
}

}  // namespace
}  // namespace segue::llama
