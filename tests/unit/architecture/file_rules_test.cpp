// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "unit/architecture/source_tree.hpp"

namespace segue::architecture {
namespace {

constexpr std::size_t kMaxColumns = 100;
constexpr std::size_t kMaxLines = 700;

/// Code points in a line of UTF-8.
std::size_t columns(std::string_view line) {
  return static_cast<std::size_t>(std::ranges::count_if(
      line, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// The licence line is the first one, or the second of a script. Documents have it as a comment.
bool has_licence_line(const SourceFile& file) {
  constexpr std::string_view kTag = "SPDX-License-Identifier: Apache-2.0";
  const auto names_it = [&](std::size_t i) {
    return i < file.lines.size() && file.lines[i].find(kTag) != std::string::npos;
  };
  const bool is_script = !file.lines.empty() && file.lines[0].starts_with("#!");
  return names_it(is_script ? 1 : 0);
}

/// The first line that is too long; documents may have long table rows.
std::optional<std::string> overlong_line(const SourceFile& file) {
  if (file.path.ends_with(".md")) return std::nullopt;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    if (columns(file.lines[i]) > kMaxColumns) {
      return fmt::format("{}:{} has {} columns, {} are allowed.", file.path, i + 1,
                         columns(file.lines[i]), kMaxColumns);
    }
  }
  return std::nullopt;
}

TEST(FileRules, EveryFileNamesItsLicence) {
  for (const SourceFile& file : project_tree()) {
    EXPECT_TRUE(has_licence_line(file)) << file.path;
  }
}

TEST(FileRules, NoLineIsTooLong) {
  for (const SourceFile& file : project_tree()) {
    if (const auto found = overlong_line(file)) ADD_FAILURE() << *found;
  }
}

TEST(FileRules, NoSourceFileIsTooLongToHoldInTheHead) {
  for (const SourceFile& file : project_tree()) {
    if (!is_cpp(file)) continue;
    EXPECT_LE(file.lines.size(), kMaxLines) << file.path;
  }
}

TEST(FileRules, PlantedViolationsAreFound) {
  EXPECT_FALSE(has_licence_line({"a.cpp", {"#pragma once"}}));
  EXPECT_FALSE(has_licence_line({"a.cpp", {}}));
  EXPECT_TRUE(has_licence_line({"a.sh", {"#!/bin/sh", "# SPDX-License-Identifier: Apache-2.0"}}));
  EXPECT_TRUE(overlong_line({"a.cpp", {std::string(kMaxColumns + 1, 'x')}}));
  EXPECT_FALSE(overlong_line({"a.cpp", {std::string(kMaxColumns, 'x')}}));
  EXPECT_FALSE(overlong_line({"a.cpp", {"// " + std::string(97, 'x')}}));
  std::string accented;
  for (std::size_t i = 0; i < kMaxColumns; ++i) accented += "é";
  EXPECT_FALSE(overlong_line({"a.cpp", {accented}}));
}

}  // namespace
}  // namespace segue::architecture
