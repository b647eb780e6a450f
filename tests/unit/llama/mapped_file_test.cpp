// SPDX-License-Identifier: Apache-2.0
#include "llama/mapped_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "unit/llama/raw_gguf.hpp"

namespace segue::llama {
namespace {

using test::expect_error;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, ShowsTheBytesOfTheFile) {
  const test::ScratchFolder folder;
  test::write_file(folder.file("a"), "once upon a time");
  const auto file = MappedFile::open(folder.file("a"));
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ("once upon a time", text_of(*file));
  EXPECT_EQ(folder.file("a"), file->path());
}

TEST(MappedFile, KeepsItsBytesInPlaceWhenMoved) {
  const test::ScratchFolder folder;
  test::write_file(folder.file("a"), "first");
  test::write_file(folder.file("b"), "second");
  auto a = *MappedFile::open(folder.file("a"));
  auto b = *MappedFile::open(folder.file("b"));
  const std::byte* const address = a.bytes().data();
  b = std::move(a);
  EXPECT_EQ(address, b.bytes().data());
  EXPECT_EQ("first", text_of(b));
  const MappedFile c = std::move(b);
  EXPECT_EQ("first", text_of(c));
}

TEST(MappedFile, SurvivesTheRemovalOfItsName) {
  const test::ScratchFolder folder;
  test::write_file(folder.file("a"), "still here");
  const auto file = *MappedFile::open(folder.file("a"));
  std::filesystem::remove(folder.file("a"));
  EXPECT_EQ("still here", text_of(file));
}

TEST(MappedFile, NamesThePathAndTheReasonOfAFailure) {  // row K4
  const test::ScratchFolder folder;
  expect_error(MappedFile::open(folder.file("missing")), ErrorCode::kNotFound,
               {folder.file("missing"), "does not exist"});
  expect_error(MappedFile::open(folder.path()), ErrorCode::kInvalidArgument,
               {folder.path(), "directory"});
  test::write_file(folder.file("empty"), "");
  expect_error(MappedFile::open(folder.file("empty")), ErrorCode::kInvalidArgument,
               {folder.file("empty"), "is empty"});
  test::write_file(folder.file("a"), "x");
  expect_error(MappedFile::open(folder.file("a/b")), ErrorCode::kIo,
               {folder.file("a/b"), "Not a directory"});
  ASSERT_EQ(0, ::mkfifo(folder.file("pipe").c_str(), 0600));
  expect_error(MappedFile::open(folder.file("pipe")), ErrorCode::kInvalidArgument,
               {folder.file("pipe"), "not a regular file"});
}

TEST(MappedFile, ReportsProgressUpToTheLastByte) {
  const test::ScratchFolder folder;
  const std::size_t size = (std::size_t{33} << 20) + 5;
  test::write_file(folder.file("a"), std::string(size, 'x'));
  const auto file = *MappedFile::open(folder.file("a"));
  file.advise(MapAdvice::kSequential);
  file.advise(MapAdvice::kWillNeed);
  std::vector<std::size_t> steps;
  const auto loaded = file.prefault([&](std::size_t done, std::size_t total) {
    EXPECT_EQ(size, total);
    steps.push_back(done);
  });
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  ASSERT_EQ(3U, steps.size());
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  EXPECT_EQ(size, steps.back());
  EXPECT_TRUE(file.prefault().has_value());
}

}  // namespace
}  // namespace segue::llama
