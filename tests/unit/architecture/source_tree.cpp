// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/source_tree.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <utility>

namespace segue::architecture {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 12> kTextExtensions{
    ".cpp", ".hpp", ".h", ".in", ".cmake", ".txt", ".sh", ".md", ".comp", ".glsl", ".cu", ".mm"};

bool is_left_out(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name.starts_with(".") || name.starts_with("build") || name == "models";
}

bool is_text(const fs::path& file) {
  return std::ranges::find(kTextExtensions, file.extension().string()) != kTextExtensions.end();
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

}  // namespace

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<SourceFile> read_tree(const fs::path& root) {
  std::vector<SourceFile> files;
  for (auto entry = fs::recursive_directory_iterator(root);
       entry != fs::recursive_directory_iterator(); ++entry) {
    if (entry->is_directory() && is_left_out(entry->path())) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file() && is_text(entry->path())) {
      files.push_back({entry->path().lexically_relative(root).generic_string(),
                       split_lines(read(entry->path()))});
    }
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

const std::vector<SourceFile>& project_tree() {
  static const std::vector<SourceFile> kTree = read_tree(SEGUE_SOURCE_DIR);
  return kTree;
}

bool is_cpp(const SourceFile& file) {
  return file.path.ends_with(".cpp") || file.path.ends_with(".hpp") || file.path.ends_with(".mm");
}

}  // namespace segue::architecture
