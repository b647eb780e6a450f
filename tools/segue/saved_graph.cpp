// SPDX-License-Identifier: Apache-2.0
#include "saved_graph.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/fail.hpp"

namespace segue::tool {

Result<Graph> load_graph(const Device& device, const std::string& path) {
  std::error_code error;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, error))
    return base::fail(ErrorCode::kIo, "File \"{}\" cannot be read.", path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  Result<Graph> graph = Graph::from_json(device, text);
  if (!graph) graph.error().message = fmt::format("File \"{}\": {}", path, graph.error().message);
  return graph;
}

}  // namespace segue::tool
