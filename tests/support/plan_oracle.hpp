// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace segue::test {

/// Bytes `[begin, end)` of one memory and what a command does to them.
struct OracleAccess {
  std::uint64_t memory = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool reads = false;
  bool writes = false;
};

/// One command of a program in recorded order: a fence, or work with its accesses.
struct OracleCommand {
  bool fence = false;
  std::vector<OracleAccess> accesses;
};
using OracleProgram = std::vector<OracleCommand>;

/// What is wrong with a plan. Empty means: correct, and no inferred barrier too many.
struct OracleFindings {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> missing;  ///< Commands that lack an order.
  std::vector<std::uint32_t> needless;  ///< Barriers after group g that no pair needs; fences not.
  std::vector<std::string> malformed;   ///< The plan is none: a command lost, an end out of place.

  [[nodiscard]] bool clean() const {
    return missing.empty() && needless.empty() && malformed.empty();
  }
  [[nodiscard]] std::string describe() const;
};

/// Whether recorded order matters between two commands that are no fences. Looks at each pair of
/// accesses.
[[nodiscard]] bool must_keep_order(const OracleCommand& earlier, const OracleCommand& later);

/// Looks at every pair of commands. `order` are positions in the program without its fences,
/// `group_ends` positions in `order`.
[[nodiscard]] OracleFindings check_plan(const OracleProgram& program,
                                        std::span<const std::uint32_t> order,
                                        std::span<const std::uint32_t> group_ends);

/// The fewest barriers that recorded order allows, found by trying every placement. At most 16
/// commands that are no fences.
[[nodiscard]] std::uint32_t fewest_barriers(const OracleProgram& program);

}  // namespace segue::test
