// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

#include "llama/gguf.hpp"
#include "llama/model_tensors.hpp"
#include "llama/synth.hpp"
#include "llama/tokenizer.hpp"
#include "support/test_seed.hpp"
#include "unit/llama/raw_gguf.hpp"

// Damaged model files: each loads or is refused with a sentence, and nothing outside its bytes is
// read. The latter needs the address sanitizer to show.

namespace segue::llama {
namespace {

using Bytes = std::vector<std::byte>;

/// Does with a file whatever a program does before its first token.
Result<> load(std::span<const std::byte> bytes) {
  SEGUE_TRY_ASSIGN(const GgufFile file, GgufFile::parse(bytes, "m.gguf"));
  SEGUE_TRY_ASSIGN(const Hyperparameters shape, Hyperparameters::read(file));
  SEGUE_TRY_ASSIGN(const ModelTensors tensors, ModelTensors::find(file, shape));
  for (const GgufTensor& tensor : file.tensors()) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&tensor.bytes.front()));
    static_cast<void>(*static_cast<const volatile std::byte*>(&tensor.bytes.back()));
  }
  SEGUE_TRY_ASSIGN(const Tokenizer tokenizer, Tokenizer::read(file));
  SEGUE_TRY_ASSIGN(const auto tokens,
                   tokenizer.encode("Once upon a time", {.parse_special = true}));
  static_cast<void>(tokenizer.decode(tokens));
  return {};
}

/// Loads a copy in memory of exactly that size, so that a read past its end is seen. True if it is
/// accepted.
bool accepts(std::span<const std::byte> bytes) {
  const auto copy = std::make_unique<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, copy.get());
  const auto result = load({copy.get(), bytes.size()});
  if (!result) {
    EXPECT_TRUE(test::is_sentence(result.error().message)) << result.error().message;
  }
  return result.has_value();
}

Bytes bytes_of_file(const std::string& path) {
  const std::string text = test::read_file(path);
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

Bytes small_model() {
  const test::ScratchFolder folder;
  const SynthOptions options = {.shape = {.layers = 1,
                                          .width = 32,
                                          .heads = 2,
                                          .kv_heads = 1,
                                          .head_size = 16,
                                          .feed_forward = 32,
                                          .context = 16,
                                          .vocabulary = 280},
                                .type = TensorType::kQ8_0};
  EXPECT_TRUE(write_synthetic_model(folder.file("m.gguf"), options).has_value());
  return bytes_of_file(folder.file("m.gguf"));
}

Bytes shipped_model() { return bytes_of_file(SEGUE_SOURCE_DIR "/models/tales-q4_0.gguf"); }

std::size_t header_size(std::span<const std::byte> bytes) {
  const auto file = GgufFile::parse(bytes, "m.gguf");
  std::size_t first = bytes.size();
  for (const GgufTensor& tensor : file->tensors()) {
    first = std::min<std::size_t>(first, tensor.offset_bytes);
  }
  return first;
}

std::size_t data_end(std::span<const std::byte> bytes) {
  const auto file = GgufFile::parse(bytes, "m.gguf");
  std::size_t end = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    end = std::max<std::size_t>(end, tensor.offset_bytes + tensor.bytes.size());
  }
  return end;
}

TEST(Corruption, TheUndamagedFilesLoad) {
  EXPECT_TRUE(accepts(small_model()));
  EXPECT_TRUE(accepts(shipped_model()));
}

TEST(Corruption, EveryTruncationIsRefused) {
  const Bytes small = small_model();
  const std::size_t header = header_size(small);
  for (std::size_t size = 0; size < header; size += size < 2000 ? 1 : 7) {
    EXPECT_FALSE(accepts(std::span(small).first(size))) << size;
  }
  const std::size_t end = data_end(small);
  for (std::size_t size = header; size < end; size += 97) {
    EXPECT_FALSE(accepts(std::span(small).first(size))) << size;
  }
  EXPECT_FALSE(accepts(std::span(small).first(end - 1)));
  EXPECT_TRUE(accepts(std::span(small).first(end)));

  const Bytes shipped = shipped_model();
  std::mt19937_64 random(segue::test::test_seed());
  for (int i = 0; i < 200; ++i) {
    const std::size_t limit = i % 2 == 0 ? header_size(shipped) : data_end(shipped);
    EXPECT_FALSE(accepts(std::span(shipped).first(random() % limit)));
  }
}

/// Damages copies of the first `region` bytes in `rounds` ways and loads each; counts those
/// accepted and refused.
std::pair<int, int> damage(Bytes bytes, std::size_t region, int rounds, std::mt19937_64& random,
                           void (*change)(std::span<std::byte>, std::mt19937_64&)) {
  const Bytes original(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(region));
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    change(std::span(bytes).first(region), random);
    accepted += accepts(bytes) ? 1 : 0;
    std::ranges::copy(original, bytes.begin());
  }
  return {accepted, rounds - accepted};
}

void flip_bits(std::span<std::byte> bytes, std::mt19937_64& random) {
  for (std::uint64_t i = random() % 3 + 1; i > 0; --i) {
    bytes[random() % bytes.size()] ^= static_cast<std::byte>(1U << (random() % 8));
  }
}

/// Overwrites 1, 4 or 8 bytes with a value that lengths, counts and offsets must not have.
void plant_extreme(std::span<std::byte> bytes, std::mt19937_64& random) {
  constexpr std::uint64_t kExtremes[] = {0,
                                         1,
                                         0x7F,
                                         0xFF,
                                         0x7FFFFFFF,
                                         0xFFFFFFFF,
                                         0x100000000,
                                         0x1FFFFFFFFFFFFFFF,
                                         0x7FFFFFFFFFFFFFFF,
                                         0x8000000000000000,
                                         0xFFFFFFFFFFFFFFE0,
                                         0xFFFFFFFFFFFFFFFF};
  constexpr std::size_t kWidths[] = {1, 4, 8};
  const std::uint64_t value = kExtremes[random() % std::size(kExtremes)];
  const std::size_t width = kWidths[random() % std::size(kWidths)];
  std::memcpy(&bytes[random() % (bytes.size() - width)], &value, width);
}

TEST(Corruption, FlippedBitsAndExtremeNumbersNeverCrash) {
  std::mt19937_64 random(segue::test::test_seed());
  const Bytes small = small_model();
  const Bytes shipped = shipped_model();
  const auto expect_both = [](std::pair<int, int> counts) {
    EXPECT_GT(counts.first, 0);   // Some damage is harmless, such as another letter in a piece.
    EXPECT_GT(counts.second, 0);  // Most is not.
  };
  expect_both(damage(small, header_size(small), 4000, random, flip_bits));
  expect_both(damage(small, header_size(small), 4000, random, plant_extreme));
  // Around the hyperparameters and the tensor infos, where the numbers that matter are dense.
  expect_both(damage(small, 1024, 2000, random, plant_extreme));
  expect_both(damage(shipped, header_size(shipped), 300, random, flip_bits));
  expect_both(damage(shipped, header_size(shipped), 300, random, plant_extreme));
}

}  // namespace
}  // namespace segue::llama
