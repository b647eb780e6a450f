// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/include_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>
#include <vector>

namespace segue::architecture {
namespace {

/// The direction of the rooms. A room may include its own headers, those of the rooms named here
/// and public headers.
struct Room {
  std::string_view name;
  std::vector<std::string_view> may_use;
};

const std::array<Room, 15>& rooms() {
  static const std::array<Room, 15> kRooms{{
      {"base", {}},
      {"ir", {"base"}},
      {"graph", {"ir", "base"}},
      {"hal", {"ir", "base"}},
      {"runtime", {"graph", "hal", "ir", "base"}},
      {"spirv", {"base"}},
      {"backends/host", {"hal", "ir", "base"}},
      {"backends/vulkan", {"spirv", "hal", "ir", "base"}},
      {"backends/metal", {"spirv", "hal", "ir", "base"}},
      {"backends/cuda", {"hal", "ir", "base"}},
      {"open",
       {"runtime", "graph", "backends/host", "backends/vulkan", "backends/metal", "backends/cuda",
        "hal", "ir", "base"}},
      {"ops", {"base"}},
      {"verify", {"base"}},
      {"llama", {"ops", "base"}},
      {"tools", {"llama", "base"}},
  }};
  return kRooms;
}

/// Public headers that belong to an upper room: only these rooms may include them.
struct UpperHeader {
  std::string_view prefix;
  std::vector<std::string_view> readers;
};

const std::array<UpperHeader, 4>& upper_headers() {
  static const std::array<UpperHeader, 4> kHeaders{{
      {"segue/open", {"open", "tools", "examples"}},
      {"segue/ops", {"ops", "verify", "llama", "tools", "examples"}},
      {"segue/verify", {"verify", "tools", "examples"}},
      {"segue/llama", {"llama", "tools", "examples"}},
  }};
  return kHeaders;
}

/// The public headers that may show a backend's native types.
constexpr std::array<std::string_view, 3> kNativeHeaders{
    "include/segue/vulkan.hpp", "include/segue/metal.hpp", "include/segue/cuda.hpp"};

bool contains(const auto& range, std::string_view value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

const Room* find_room(std::string_view name) {
  const auto found = std::ranges::find(rooms(), name, &Room::name);
  return found == rooms().end() ? nullptr : &*found;
}

/// The room that a quoted include names by its first folders, if it names one.
const Room* included_room(std::string_view target) {
  for (const Room& room : rooms()) {
    if (target.starts_with(room.name) && target.substr(room.name.size()).starts_with('/')) {
      return &room;
    }
  }
  return nullptr;
}

/// A header that sits in include/segue/ops.hpp or below include/segue/ops/ counts as its room's.
std::string_view reader_of(std::string_view path, std::string_view room) {
  if (room != "public") return room;
  for (const UpperHeader& header : upper_headers()) {
    if (path.starts_with(fmt::format("include/{}", header.prefix))) {
      return header.prefix.substr(std::string_view("segue/").size());
    }
  }
  return room;
}

std::optional<std::string> public_include_violation(std::string_view path, std::string_view room,
                                                    const Include& include) {
  const std::string_view reader = reader_of(path, room);
  for (const UpperHeader& header : upper_headers()) {
    if (include.target.starts_with(header.prefix) && !contains(header.readers, reader)) {
      return fmt::format("room \"{}\" includes the header \"{}\" of a room above it", reader,
                         include.target);
    }
  }
  return std::nullopt;
}

bool is_standard_header(const Include& include) {
  static const std::regex kStandard("[a-z0-9_]+");
  return include.angled && std::regex_match(include.target, kStandard);
}

}  // namespace

std::string room_of(std::string_view path) {
  if (path.starts_with("include/segue/")) return "public";
  if (path.starts_with("tools/")) return "tools";
  if (path.starts_with("examples/")) return "examples";
  if (!path.starts_with("src/")) return "";
  path.remove_prefix(std::string_view("src/").size());
  if (const Room* room = included_room(path)) return std::string(room->name);
  return fmt::format("unknown: {}", path.substr(0, path.find('/')));
}

std::optional<Include> parse_include(std::string_view line) {
  static const std::regex kDirective(R"re(^\s*#\s*include\s*(["<])([^">]+)[">].*$)re");
  std::match_results<std::string_view::const_iterator> match;
  if (!std::regex_match(line.begin(), line.end(), match, kDirective)) return std::nullopt;
  return Include{match[2].str(), match[1].str() == "<"};
}

std::optional<std::string> include_violation(std::string_view path, const Include& include) {
  const std::string room = room_of(path);
  if (room.empty()) return std::nullopt;
  if (include.target.starts_with("segue/")) return public_include_violation(path, room, include);
  if (room == "public") {
    if (is_standard_header(include) || contains(kNativeHeaders, path)) return std::nullopt;
    return fmt::format("a public header includes \"{}\", which is neither public nor standard",
                       include.target);
  }

  const Room* target = included_room(include.target);
  if (target == nullptr) return std::nullopt;
  if (room == "examples") {
    return fmt::format("an example includes the private header \"{}\"", include.target);
  }
  const Room* self = find_room(room);
  if (self == nullptr) return fmt::format("no rule names the room of \"{}\"", path);
  if (self == target || contains(self->may_use, target->name)) return std::nullopt;
  return fmt::format(
      "room \"{}\" includes \"{}\" but may use only: {}", room, include.target,
      self->may_use.empty() ? "public headers" : fmt::format("{}", fmt::join(self->may_use, ", ")));
}

std::vector<std::string> include_violations(const SourceFile& file) {
  std::vector<std::string> violations;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const auto include = parse_include(file.lines[i]);
    if (!include) continue;
    if (const auto violation = include_violation(file.path, *include)) {
      violations.push_back(fmt::format("{}:{}: {}.", file.path, i + 1, *violation));
    }
  }
  return violations;
}

}  // namespace segue::architecture
