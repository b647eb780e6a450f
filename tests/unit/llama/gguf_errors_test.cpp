// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "llama/gguf.hpp"
#include "unit/llama/raw_gguf.hpp"

// Each way in which a GGUF file can contradict its format, and the sentence that says so. Row K4.

namespace segue::llama {
namespace {

using test::expect_error;
using test::RawGguf;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

void expect_corrupt(const RawGguf& raw, std::vector<std::string> parts) {
  parts.emplace_back("\"m.gguf\"");
  expect_error(GgufFile::parse(raw.bytes(), "m.gguf"), ErrorCode::kCorruptData, std::move(parts));
}

void expect_unsupported(const RawGguf& raw, std::vector<std::string> parts) {
  parts.emplace_back("\"m.gguf\"");
  expect_error(GgufFile::parse(raw.bytes(), "m.gguf"), ErrorCode::kUnsupported, std::move(parts));
}

TEST(GgufErrors, AnotherKindOfFileIsNamedByItsFirstBytes) {
  expect_corrupt(RawGguf().text("PK\x03\x04 and more bytes of an archive"),
                 {"no GGUF file", "\"PK\\x03\\x04\""});
  expect_corrupt(RawGguf().text("GG"), {"byte 0", "needs 4 bytes but only 2 remain"});
}

TEST(GgufErrors, OtherVersionsAndByteOrdersAreNamed) {
  expect_unsupported(RawGguf().header(0, 0, 1), {"version 1", "2 and 3"});
  expect_unsupported(RawGguf().header(0, 0, 4), {"version 4", "2 and 3"});
  expect_unsupported(RawGguf().header(0, 0, 0), {"version 0"});
  expect_unsupported(RawGguf().header(0, 0, 0x03000000), {"big-endian", "0x03000000"});
}

TEST(GgufErrors, CountsAreBoundedByTheBytesThatRemain) {
  expect_corrupt(RawGguf().header(kHuge, 0), {"byte 8", "18446744073709551615 tensors", "0 bytes"});
  expect_corrupt(RawGguf().header(0, kHuge), {"byte 16", "18446744073709551615 metadata"});
  expect_corrupt(RawGguf().header(2, 0).zeros(40), {"2 tensors", "40 bytes"});
  expect_corrupt(RawGguf().text("GGUF").u32(3).u64(0), {"metadata count", "8 bytes"});
}

TEST(GgufErrors, KeysAndStringsStayInsideTheFile) {
  expect_corrupt(RawGguf().header(0, 1).u64(kHuge).zeros(20), {"byte 24", "key", "1 to 65535"});
  expect_corrupt(RawGguf().header(0, 1).u64(0).zeros(20), {"0 bytes long"});
  expect_corrupt(RawGguf().header(0, 1).u64(50).zeros(20), {"needs 50 bytes", "20 remain"});
  expect_corrupt(RawGguf().header(0, 1).string("k").u32(8).u64(kHuge).zeros(4),
                 {"\"k\"", "needs 18446744073709551615 bytes", "4 remain"});
  expect_corrupt(RawGguf().header(0, 1).string("k").u32(10).u32(1), {"\"k\"", "needs 8 bytes"});
}

TEST(GgufErrors, KeysAreUnique) {
  expect_corrupt(
      RawGguf().header(0, 2).entry<std::uint32_t>("k", 4, 1).entry<std::uint32_t>("k", 4, 2),
      {"byte 41", "\"k\"", "twice"});
}

TEST(GgufErrors, ValueTypesAreKnown) {
  expect_corrupt(RawGguf().header(0, 1).entry<std::uint32_t>("k", 13, 1), {"\"k\"", "type 13"});
  expect_corrupt(RawGguf().header(0, 1).array_entry("k", 99, 1).zeros(8), {"\"k\"", "type 99"});
  expect_corrupt(RawGguf().header(0, 1).entry<std::uint8_t>("k", 7, 2), {"\"k\"", "2 as a bool"});
  expect_corrupt(RawGguf().header(0, 1).array_entry("k", 7, 3).text(std::string("\0\1\5", 3)),
                 {"byte 51", "5 as a bool"});
}

TEST(GgufErrors, ArraysStayInsideTheFile) {
  for (const std::uint32_t type : {0U, 3U, 6U, 8U, 9U, 12U}) {
    expect_corrupt(RawGguf().header(0, 1).array_entry("k", type, kHuge).zeros(64),
                   {"\"k\"", "18446744073709551615 elements", "64 bytes"});
    // Times the element's size this wraps to a small number.
    expect_corrupt(RawGguf().header(0, 1).array_entry("k", type, std::uint64_t{1} << 62).zeros(64),
                   {"\"k\"", "64 bytes"});
  }
  expect_corrupt(RawGguf().header(0, 1).array_entry("k", 8, 2).string("a").u64(9), {"needs 9"});
}

TEST(GgufErrors, ArraysNestOnlySoDeep) {
  RawGguf raw;
  raw.header(0, 1).array_entry("k", 9, 1);
  for (int i = 0; i < 100'000; ++i) raw.u32(9).u64(1);
  raw.u32(0).u64(0);
  expect_corrupt(raw, {"\"k\"", "nests arrays more than 4 deep"});
}

TEST(GgufErrors, TheAlignmentIsASensiblePowerOfTwo) {
  for (const std::uint32_t alignment : {0U, 1U, 4U, 33U, 48U, 1U << 21, 0xFFFFFFFFU}) {
    expect_corrupt(RawGguf().header(0, 1).entry("general.alignment", 4, alignment),
                   {"alignment is " + std::to_string(alignment), "power of two"});
  }
  expect_corrupt(RawGguf().header(0, 1).string_entry("general.alignment", "32"),
                 {"\"general.alignment\"", "type string"});
}

TEST(GgufErrors, TensorNamesAreShortAndUnique) {
  expect_corrupt(RawGguf().header(1, 0).tensor("", {1, 1}, 0, 0).zeros(64), {"0 bytes long"});
  expect_corrupt(RawGguf().header(1, 0).tensor(std::string(65, 'n'), {1}, 0, 0).zeros(64),
                 {"65 bytes long", "1 to 64"});
  expect_corrupt(RawGguf().header(2, 0).tensor("t", {1}, 0, 0).tensor("t", {1}, 0, 32).zeros(128),
                 {"byte 57", "tensor \"t\"", "twice"});
}

TEST(GgufErrors, ExtentsMakeASizeThatFitsTheFile) {
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {}, 0, 0).zeros(64), {"\"t\"", "0 dimensions"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).zeros(64),
                 {"\"t\"", "5 dimensions", "1 to 4"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {4, 0}, 0, 0).zeros(64),
                 {"\"t\"", "[0, 4]", "may be 0"});
  expect_corrupt(RawGguf()
                     .header(1, 0)
                     .tensor("t", {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 0, 0)
                     .zeros(64),
                 {"\"t\"", "larger than the file"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {std::uint64_t{1} << 62}, 0, 0).zeros(64),
                 {"\"t\"", "larger than the file"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {48}, 8, 0).zeros(64),
                 {"\"t\"", "rows of 48", "Q8_0", "multiple of 32"});
}

TEST(GgufErrors, TensorTypesAreKnown) {
  for (const std::uint32_t type : {4U, 5U, 31U, 1000U, 0xFFFFFFFFU}) {
    expect_corrupt(RawGguf().header(1, 0).tensor("t", {32}, type, 0).zeros(64),
                   {"\"t\"", "type " + std::to_string(type)});
  }
}

TEST(GgufErrors, TensorDataLiesInsideTheFile) {
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {8}, 0, 0).pad().zeros(31),
                 {"\"t\"", "32 bytes at offset 0", "only 31 bytes", "cut short"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {8}, 0, 8).pad().zeros(64),
                 {"\"t\"", "offset 8", "alignment 32"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {8}, 0, kHuge - 31).pad().zeros(64),
                 {"\"t\"", "offset 18446744073709551584"});
  expect_corrupt(RawGguf().header(1, 0).tensor("t", {1}, 0, 0), {"\"t\"", "only 0 bytes"});
}

TEST(GgufErrors, TensorsDoNotOverlap) {
  expect_corrupt(
      RawGguf().header(2, 0).tensor("b", {8}, 0, 32).tensor("a", {9}, 0, 0).pad().zeros(64),
      {"tensor \"b\"", "inside tensor \"a\""});
}

}  // namespace
}  // namespace segue::llama
