// SPDX-License-Identifier: Apache-2.0
#include "llama/gguf.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "unit/llama/raw_gguf.hpp"

namespace segue::llama {
namespace {

using test::expect_error;
using test::RawGguf;

Result<GgufFile> parse(const RawGguf& raw) { return GgufFile::parse(raw.bytes(), "m.gguf"); }

/// One entry of every type.
RawGguf every_type(std::uint32_t version) {
  RawGguf raw;
  raw.header(0, 15, version)
      .entry<std::uint8_t>("u8", 0, 200)
      .entry<std::int8_t>("i8", 1, -3)
      .entry<std::uint16_t>("u16", 2, 60000)
      .entry<std::int16_t>("i16", 3, 7)
      .entry<std::uint32_t>("u32", 4, 4000000000U)
      .entry<std::int32_t>("i32", 5, 8)
      .entry<float>("f32", 6, 0.5F)
      .entry<std::uint8_t>("yes", 7, 1)
      .string_entry("str", "abc")
      .entry<std::uint64_t>("u64", 10, std::numeric_limits<std::uint64_t>::max())
      .entry<std::int64_t>("i64", 11, -9)
      .entry<double>("f64", 12, 0.25);
  raw.array_entry("strs", 8, 3).string("x").string("").string("yz");
  raw.array_entry("f32s", 6, 2).number(1.5F).number(-2.5F);
  raw.array_entry("nested", 9, 2);
  raw.u32(0).u64(2).text("\x01\x02").u32(8).u64(1).string("in");
  return raw;
}

TEST(Gguf, ReadsEveryTypeInVersions2And3) {
  for (const std::uint32_t version : {2U, 3U}) {
    const RawGguf raw = every_type(version);
    const auto file = parse(raw);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(version, file->version());
    EXPECT_EQ(15U, file->keys().size());
    EXPECT_EQ(200U, file->unsigned_value("u8").value());
    EXPECT_EQ(60000U, file->unsigned_value("u16").value());
    EXPECT_EQ(7U, file->unsigned_value("i16").value());
    EXPECT_EQ(4000000000U, file->unsigned_value("u32").value());
    EXPECT_EQ(8U, file->unsigned_value("i32").value());
    EXPECT_EQ(std::numeric_limits<std::uint64_t>::max(), file->unsigned_value("u64").value());
    EXPECT_EQ(0.5, file->float_value("f32").value());
    EXPECT_EQ(0.25, file->float_value("f64").value());
    EXPECT_TRUE(file->bool_value("yes").value());
    EXPECT_EQ("abc", file->string_value("str").value());
    EXPECT_EQ((std::vector<std::string_view>{"x", "", "yz"}), file->string_array("strs").value());
    EXPECT_EQ((std::vector<float>{1.5F, -2.5F}), file->float_array("f32s").value());
    ASSERT_NE(nullptr, file->find("nested"));
    EXPECT_EQ(GgufType::kArray, file->find("nested")->element_type);
    EXPECT_EQ(2U, file->find("nested")->count);
  }
}

TEST(Gguf, ReadsIntegerArraysOfEveryWidth) {
  RawGguf raw;
  raw.header(0, 3);
  raw.array_entry("i8s", 1, 2).number<std::int8_t>(-1).number<std::int8_t>(5);
  raw.array_entry("u64s", 10, 1).u64(7);
  raw.array_entry("big", 10, 1).u64(std::numeric_limits<std::uint64_t>::max());
  const auto file = parse(raw);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ((std::vector<std::int64_t>{-1, 5}), file->integer_array("i8s").value());
  EXPECT_EQ((std::vector<std::int64_t>{7}), file->integer_array("u64s").value());
  expect_error(file->integer_array("big"), ErrorCode::kCorruptData, {"\"big\"", "larger than"});
}

TEST(Gguf, GettersNameTheKeyAndWhatIsWrong) {  // row K4
  const RawGguf raw = every_type(3);
  const auto file = *parse(raw);
  expect_error(file.unsigned_value("none"), ErrorCode::kNotFound, {"m.gguf", "\"none\""});
  expect_error(file.unsigned_value("i8"), ErrorCode::kCorruptData, {"\"i8\"", "-3", "negative"});
  expect_error(file.unsigned_value("i64"), ErrorCode::kCorruptData, {"\"i64\"", "-9"});
  expect_error(file.unsigned_value("f32"), ErrorCode::kCorruptData,
               {"\"f32\"", "float32", "unsigned integer"});
  expect_error(file.unsigned_value("strs"), ErrorCode::kCorruptData, {"array of 3 string"});
  expect_error(file.float_value("u8"), ErrorCode::kCorruptData, {"\"u8\"", "uint8"});
  expect_error(file.bool_value("u8"), ErrorCode::kCorruptData, {"\"u8\"", "bool"});
  expect_error(file.string_value("u8"), ErrorCode::kCorruptData, {"\"u8\"", "a string"});
  expect_error(file.string_array("str"), ErrorCode::kCorruptData, {"\"str\"", "array of strings"});
  expect_error(file.float_array("strs"), ErrorCode::kCorruptData, {"array of float32"});
  expect_error(file.integer_array("f32s"), ErrorCode::kCorruptData, {"array of integers"});
  expect_error(file.integer_array("nested"), ErrorCode::kCorruptData, {"array of integers"});
}

TEST(Gguf, FallsBackOnlyWhereTheKeyIsMissing) {
  const RawGguf raw = every_type(3);
  const auto file = *parse(raw);
  EXPECT_EQ(42U, file.unsigned_or("none", 42).value());
  EXPECT_EQ(200U, file.unsigned_or("u8", 42).value());
  EXPECT_EQ(1.0, file.float_or("none", 1.0).value());
  EXPECT_TRUE(file.bool_or("none", true).value());
  EXPECT_EQ("x", file.string_or("none", "x").value());
  EXPECT_FALSE(file.unsigned_or("str", 42).has_value());
}

TEST(Gguf, PlacesTensorsAtTheirOffsets) {
  RawGguf raw;
  raw.header(3, 1).entry<std::uint32_t>("general.alignment", 4, 64);
  raw.tensor("a", {3, 2}, 0, 0).tensor("b", {64, 2, 3}, 8, 64).tensor("c", {5}, 30, 512);
  raw.pad(64);
  const std::size_t data = raw.size();
  for (int i = 0; i < 6; ++i) raw.number(static_cast<float>(i));
  raw.zeros(512 - 24 + 10);
  const auto file = parse(raw);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ASSERT_EQ(3U, file->tensors().size());
  const GgufTensor* const a = file->tensor("a").value();
  EXPECT_EQ("a", a->name);
  EXPECT_EQ(TensorType::kF32, a->type);
  EXPECT_EQ(3U, a->columns());
  EXPECT_EQ(2U, a->rows());
  EXPECT_EQ("[2, 3]", a->shape());
  EXPECT_EQ(data, a->offset_bytes);
  EXPECT_EQ(raw.bytes().data() + data, a->bytes.data());
  EXPECT_EQ(24U, a->bytes.size());
  EXPECT_EQ(std::size_t{2 * 34 * 2 * 3}, file->tensor("b").value()->bytes.size());
  EXPECT_EQ(6U, file->tensor("b").value()->rows());
  EXPECT_EQ("[5]", file->tensor("c").value()->shape());
  EXPECT_EQ(10U, file->tensor("c").value()->bytes.size());
  expect_error(file->tensor("d"), ErrorCode::kNotFound, {"\"d\"", "m.gguf"});
}

TEST(Gguf, SaysWhichTypesSegueReads) {
  RawGguf raw;
  raw.header(1, 0).tensor("x", {256}, 12, 0).pad().zeros(144);
  const auto file = parse(raw);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ("Tensor \"x\" has type Q4_K; Segue reads F32, F16, BF16, Q8_0 and Q4_0.",
            check_supported(*file->tensor("x").value()).error().message);
  for (const std::string_view name : {"F32", "f16", "BF16", "q8_0", "Q4_0"}) {
    ASSERT_TRUE(parse_tensor_type(name).has_value()) << name;
    EXPECT_TRUE(is_supported(*parse_tensor_type(name)));
  }
  EXPECT_FALSE(parse_tensor_type("q4_k").has_value());
  EXPECT_FALSE(parse_tensor_type("").has_value());
}

TEST(Gguf, OpensAFileWithoutCopyingItsTensors) {  // row H6
  auto opened = GgufFile::open(SEGUE_SOURCE_DIR "/models/tales-q8_0.gguf");
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  const GgufFile file = *std::move(opened);
  ASSERT_NE(nullptr, file.map());
  const auto whole = file.map()->bytes();
  EXPECT_EQ(56U, file.tensors().size());
  for (const GgufTensor& tensor : file.tensors()) {
    EXPECT_EQ(whole.data() + tensor.offset_bytes, tensor.bytes.data());
    EXPECT_LE(tensor.offset_bytes + tensor.bytes.size(), whole.size());
    EXPECT_EQ(0U, reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % 32);
  }
  EXPECT_EQ("tales", file.string_value("general.name").value());
  expect_error(GgufFile::open("/nowhere/m.gguf"), ErrorCode::kNotFound, {"/nowhere/m.gguf"});
}

TEST(Gguf, QuotesUntrustedTextSafely) {
  EXPECT_EQ("\"abc\"", quote("abc"));
  EXPECT_EQ("\"a\\x1b[2J\\x22\\x5c\\xff\"", quote("a\x1b[2J\"\\\xff"));
  EXPECT_EQ(86U, quote(std::string(1000, 'a')).size() + 1);
}

}  // namespace
}  // namespace segue::llama
