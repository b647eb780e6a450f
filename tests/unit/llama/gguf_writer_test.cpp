// SPDX-License-Identifier: Apache-2.0
#include "llama/gguf_writer.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <utility>

#include "llama/gguf.hpp"
#include "unit/llama/raw_gguf.hpp"

namespace segue::llama {
namespace {

using test::expect_error;

using Extents = std::vector<std::uint64_t>;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(GgufWriter, WritesWhatAHandMadeFileContains) {
  const test::ScratchFolder folder;
  const std::string path = folder.file("m.gguf");
  auto writer = *GgufWriter::create(path, 64);
  writer.set_f32("f", 0.5F);
  writer.set_bool("b", true);
  writer.set_string("s", "text");
  writer.set_strings("ss", std::vector<std::string>{"x", "yz"});
  writer.set_f32s("fs", std::vector<float>{1.0F});
  writer.set_i32s("is", std::vector<std::int32_t>{-1, 2});
  writer.add_tensor("t", TensorType::kF32, Extents{2, 1});
  writer.add_tensor("u", TensorType::kF16, Extents{3});
  ASSERT_TRUE(writer.begin_data().has_value());
  ASSERT_TRUE(writer.write(bytes_of("abc")).has_value());
  ASSERT_TRUE(writer.write(bytes_of("defgh")).has_value());
  ASSERT_TRUE(writer.write(bytes_of("ijklmn")).has_value());
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(writer.finish().has_value());
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));

  test::RawGguf raw;
  raw.header(2, 7).entry<std::uint32_t>("general.alignment", 4, 64);
  raw.entry("f", 6, 0.5F).entry<std::uint8_t>("b", 7, 1).string_entry("s", "text");
  raw.array_entry("ss", 8, 2).string("x").string("yz");
  raw.array_entry("fs", 6, 1).number(1.0F);
  raw.array_entry("is", 5, 2).number<std::int32_t>(-1).number<std::int32_t>(2);
  raw.tensor("t", {2, 1}, 0, 0).tensor("u", {3}, 1, 64).pad(64);
  raw.text("abcdefgh").pad(64).text("ijklmn").pad(64);
  const std::string written = test::read_file(path);
  EXPECT_EQ(raw.size(), writer.size_bytes());
  EXPECT_TRUE(std::ranges::equal(raw.bytes(), bytes_of(written)));
}

TEST(GgufWriter, RefusesDeclarationsThatBreakTheFormat) {
  const test::ScratchFolder folder;
  const auto problem = [&](auto declare) {
    auto writer = *GgufWriter::create(folder.file("m.gguf"));
    declare(writer);
    return writer.begin_data();
  };
  using W = GgufWriter&;
  constexpr auto kInvalid = ErrorCode::kInvalidArgument;
  expect_error(problem([](W w) { w.set_u32("", 1); }), kInvalid, {"0 bytes"});
  expect_error(problem([](W w) { w.set_u32("k", 1), w.set_bool("k", true); }), kInvalid,
               {"\"k\"", "twice"});
  expect_error(problem([](W w) { w.add_tensor("t", TensorType::kQ8_0, Extents{40}); }), kInvalid,
               {"\"t\"", "rows of 40", "multiple of 32"});
  expect_error(problem([](W w) { w.add_tensor("t", TensorType::kF32, Extents{}); }), kInvalid,
               {"0 dimensions"});
  expect_error(problem([](W w) { w.add_tensor("t", TensorType{4}, Extents{32}); }), kInvalid,
               {"type 4"});
  expect_error(problem([](W w) {
                 w.add_tensor("t", TensorType::kF32, Extents{std::uint64_t{1} << 40, 1U << 31});
               }),
               kInvalid, {"too large"});
  expect_error(problem([](W w) {
                 w.add_tensor("t", TensorType::kF32, Extents{1});
                 w.add_tensor("t", TensorType::kF32, Extents{1});
               }),
               kInvalid, {"\"t\"", "twice"});
  expect_error(GgufWriter::create(folder.file("m.gguf"), 24), kInvalid, {"24"});
}

TEST(GgufWriter, WantsExactlyTheDataOfItsTensors) {
  const test::ScratchFolder folder;
  auto writer = *GgufWriter::create(folder.file("m.gguf"));
  writer.add_tensor("t", TensorType::kF32, Extents{2});
  expect_error(writer.write(bytes_of("x")), ErrorCode::kInvalidState, {"begin_data"});
  ASSERT_TRUE(writer.begin_data().has_value());
  ASSERT_TRUE(writer.write(bytes_of("123")).has_value());
  expect_error(writer.write(bytes_of("456789")), ErrorCode::kInvalidArgument,
               {"\"t\"", "lacks 5", "6 are given"});
  expect_error(writer.finish(), ErrorCode::kInvalidState, {"\"t\"", "lacks 5 of its 8"});
  ASSERT_TRUE(writer.write(bytes_of("45678")).has_value());
  expect_error(writer.write(bytes_of("9")), ErrorCode::kInvalidState, {"complete"});
  ASSERT_TRUE(writer.finish().has_value());
  expect_error(writer.finish(), ErrorCode::kInvalidState, {"already complete"});
}

TEST(GgufWriter, LeavesNothingBehindWhenAbandonedAndKeepsTheOldFile) {
  const test::ScratchFolder folder;
  const std::string path = folder.file("m.gguf");
  test::write_file(path, "old");
  {
    auto writer = *GgufWriter::create(path);
    writer.add_tensor("t", TensorType::kF32, Extents{2});
    ASSERT_TRUE(writer.begin_data().has_value());
    GgufWriter moved = std::move(writer);
    ASSERT_TRUE(moved.write(bytes_of("123")).has_value());
    EXPECT_TRUE(std::filesystem::exists(path + ".part"));
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  EXPECT_EQ("old", test::read_file(path));
}

TEST(GgufWriter, ReportsAFileThatCannotBeCreatedOrReplaced) {
  const test::ScratchFolder folder;
  expect_error(GgufWriter::create(folder.file("no/m.gguf")), ErrorCode::kIo,
               {folder.file("no/m.gguf"), "No such file or directory"});
  std::filesystem::create_directory(folder.file("taken"));
  auto writer = *GgufWriter::create(folder.file("taken"));
  expect_error(writer.finish(), ErrorCode::kIo, {folder.file("taken"), "renamed"});
  EXPECT_FALSE(std::filesystem::exists(folder.file("taken.part")));
}

/// Lets this process write files of at most `bytes` while in scope, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit = {bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  void (*old_handler_)(int);
  rlimit old_ = {};
};

TEST(GgufWriter, ReportsAFullDiskAndRemovesThePart) {
  const test::ScratchFolder folder;
  const std::string path = folder.file("m.gguf");
  for (const std::size_t chunk : {std::size_t{1} << 12, std::size_t{1} << 21}) {
    const FileSizeLimit limit(rlim_t{3} << 20);
    auto writer = *GgufWriter::create(path);
    const std::size_t total = std::size_t{8} << 20;
    writer.add_tensor("t", TensorType::kF32, Extents{total / 4});
    ASSERT_TRUE(writer.begin_data().has_value());
    const std::vector<std::byte> data(chunk);
    Result<> result;
    for (std::size_t done = 0; result && done < total; done += chunk) result = writer.write(data);
    if (result) result = writer.finish();
    expect_error(result, ErrorCode::kIo, {path, "cannot be written", "File too large"});
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

}  // namespace
}  // namespace segue::llama
