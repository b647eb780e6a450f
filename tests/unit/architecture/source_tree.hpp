// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace segue::architecture {

/// One text file of the project.
struct SourceFile {
  std::string path;                ///< Relative to the root, with '/'.
  std::vector<std::string> lines;  ///< Without line ends.
};

/// The lines of `text`, without line ends.
std::vector<std::string> split_lines(std::string_view text);

/// Every text file under `root`, sorted by path: sources, build files, scripts and documents.
/// Leaves out build folders, models and hidden folders.
std::vector<SourceFile> read_tree(const std::filesystem::path& root);

/// The tree that this test was built from, read once.
const std::vector<SourceFile>& project_tree();

/// Whether the file is C++ that we compile.
bool is_cpp(const SourceFile& file);

}  // namespace segue::architecture
