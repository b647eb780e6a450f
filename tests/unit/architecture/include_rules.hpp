// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "unit/architecture/source_tree.hpp"

namespace segue::architecture {

/// The room that owns a path, such as "graph" for src/graph/x.cpp and "backends/host" for
/// src/backends/host/kernels/y.cpp; "public" for include/segue, "tools" and "examples" for those
/// folders, and "" for everything that may include whatever it likes (tests, benchmarks).
std::string room_of(std::string_view path);

/// What an include directive names: `base/fail.hpp` and whether it stands in angle brackets.
struct Include {
  std::string target;
  bool angled = false;
};

/// Reads an include directive; nothing if the line is none.
std::optional<Include> parse_include(std::string_view line);

/// A sentence that says which rule the include breaks, if it breaks one.
std::optional<std::string> include_violation(std::string_view path, const Include& include);

/// Every violation in a file, one sentence with its line number each.
std::vector<std::string> include_violations(const SourceFile& file);

}  // namespace segue::architecture
