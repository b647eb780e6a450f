// SPDX-License-Identifier: Apache-2.0
//
// Reflection reads code of strangers: whatever the words are, it returns, within the words, with a
// reflection that keeps its promises or with an error.
#include <gtest/gtest.h>

#include <random>

#include "spirv/signature.hpp"
#include "support/test_seed.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::spirv {
namespace {

using test::Words;

constexpr std::string_view kKernel = R"(
  #extension GL_EXT_shader_16bit_storage : require
  layout(local_size_x = 32, local_size_x_id = 0) in;
  layout(constant_id = 1) const uint items_per_group = 4;
  layout(constant_id = 2) const int shift = -2;
  layout(constant_id = 3) const uint tile_count = 16;
  struct Block { float16_t scale; uint words[4]; };
  layout(binding = 0) readonly buffer X { Block blocks[]; } x;
  layout(binding = 1) buffer Y { uint count; uvec4 rows[]; } y;
  layout(binding = 2) uniform Params { uint a; mat4 turn; uint rows[3]; } params;
  layout(binding = 3) uniform segue_Grid { uvec3 segue_thread_count; };
  shared float tile[tile_count];
  shared uint other[items_per_group * 2 + (shift < 0 ? gl_WorkGroupSize.x : 1)];
  uint pick(uint i) { return min(x.blocks[i].words[1], params.rows[0]); }
  void main() {
    const uint i = gl_GlobalInvocationID.x;
    if (i >= segue_thread_count.x) return;
    tile[i % tile_count] = float(x.blocks[i].scale) * params.turn[1].y;
    other[0] = atomicAdd(y.count, pick(i));
    barrier();
    y.rows[i].x = uint(tile[0]) + other[0];
  }
)";

void reflect_whatever(const Words& words) {
  const Result<Module> module = Module::parse(words);
  if (!module) {
    EXPECT_FALSE(module.error().message.empty());
    return;
  }
  static_cast<void>(spec_constants(*module));
  for (const Specialisation& specialisation :
       {Specialisation(), Specialisation{{0, UINT32_MAX}, {1, 0}, {2, 0x80000000}, {3, 7}}}) {
    const Result<ShaderReflection> reflection = reflect(*module, "main", specialisation);
    if (!reflection) {
      EXPECT_EQ(reflection.error().code, ErrorCode::kCompileFailed);
      continue;
    }
    for (std::size_t i = 0; i < reflection->blocks.size(); ++i) {
      const BlockInfo& block = reflection->blocks[i];
      EXPECT_EQ(block.binding, i);
      EXPECT_FALSE(block.name.empty());
      EXPECT_GE(block.alignment, 1U);
      EXPECT_EQ(block.alignment & (block.alignment - 1), 0U) << block.alignment;
    }
    EXPECT_FALSE(reflection->group_size.empty());
    EXPECT_EQ(signature_of(*reflection, specialisation).argument_count(),
              reflection->blocks.size() - (reflection->wants_grid() ? 1 : 0));
  }
}

class ReflectionFuzz : public testing::Test {
 protected:
  [[nodiscard]] std::uint32_t pick(std::size_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(
        0, static_cast<std::uint32_t>(bound - 1))(random_);
  }
  /// A word such as stands in code: another one of it, a small number, an extreme, or any.
  [[nodiscard]] std::uint32_t replacement(const Words& words) {
    switch (pick(5)) {
      case 0: return words[pick(words.size())];
      case 1: return pick(64);
      case 2: return UINT32_MAX - pick(2);
      case 3: return static_cast<std::uint32_t>(random_());
      default: return words[pick(words.size())] ^ (1U << pick(32));
    }
  }

  const Words words_ = test::glsl(kKernel);
  std::mt19937_64 random_{segue::test::test_seed()};
};

TEST_F(ReflectionFuzz, TheKernelIsRightBeforeItIsChanged) {
  const auto reflection = test::reflect_words(words_);
  ASSERT_TRUE(reflection.has_value()) << reflection.error().message;
  EXPECT_EQ(reflection->blocks.size(), 4U);
  EXPECT_EQ(reflection->items_per_group, 4U);
}

TEST_F(ReflectionFuzz, ChangedWordsNeverCrashIt) {  // row I4
  for (int round = 0; round < 4000; ++round) {
    Words changed = words_;
    for (std::uint32_t i = 0, count = 1 + pick(4); i < count; ++i)
      changed[pick(changed.size())] = replacement(words_);
    reflect_whatever(changed);
  }
}

TEST_F(ReflectionFuzz, EveryBitOfEveryWordMayFlip) {  // row I4
  for (std::size_t word = 0; word < words_.size(); ++word) {
    Words changed = words_;
    changed[word] ^= 1U << pick(32);
    reflect_whatever(changed);
  }
}

TEST_F(ReflectionFuzz, CodeMayEndAnywhere) {  // row I4
  for (std::size_t size = 0; size < words_.size(); ++size)
    reflect_whatever({words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(size)});
}

TEST_F(ReflectionFuzz, InstructionsMayComeInAnyOrder) {  // row I4
  std::vector<Words> instructions;
  for (std::size_t at = 5; at < words_.size(); at += words_[at] >> 16) {
    const auto begin = words_.begin() + static_cast<std::ptrdiff_t>(at);
    instructions.emplace_back(begin, begin + (words_[at] >> 16));
  }
  for (int round = 0; round < 500; ++round) {
    std::vector<Words> order = instructions;
    for (std::uint32_t i = 0, count = 1 + pick(8); i < count; ++i)
      std::swap(order[pick(order.size())], order[pick(order.size())]);
    Words changed(words_.begin(), words_.begin() + 5);
    for (const Words& each : order) changed.insert(changed.end(), each.begin(), each.end());
    reflect_whatever(changed);
  }
}

}  // namespace
}  // namespace segue::spirv
