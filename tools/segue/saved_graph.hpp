// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/graph.hpp"

namespace segue::tool {

/// The graph in a file that `segue graph --save` wrote.
///
/// @error kIo  The file cannot be read. Otherwise those of Graph::from_json, with the file's name.
[[nodiscard]] Result<Graph> load_graph(const Device& device, const std::string& path);

}  // namespace segue::tool
